-- What is in this carton, or on this pallet?
-- One row per logistic unit and thing in it, as far as moving together tells: now, or over all time with `past`. What
-- is in a carton that is on a pallet has a row with each. `unit_zone` and `zone` are where the unit and the thing are
-- located now, null where they are not heard. `common_trips` counts the moves that both have made together.
-- subject: items
-- parameters:
-- $epc: the unit, or a thing in it: EPC hex or part of it, EPC URI or part of it, or a GTIN-14 (default: all)
-- $past: yes for containments that have ended, too (default: no)
-- $site: site identifier (default: all)

WITH here AS (
    SELECT site, epc_hex, zone
    FROM locations
    WHERE until_time IS NULL
)
SELECT
    aggregations.site,
    parent_epc_hex,
    parent_epc_uri,
    units.zone AS unit_zone,
    child_epc_hex,
    child_epc_uri,
    child_gtin,
    items.zone,
    from_time,
    until_time,
    round(confidence, 6) AS confidence,
    (evidence ->> 'trips')::BIGINT AS common_trips
FROM aggregations
LEFT JOIN here AS units ON units.site = aggregations.site AND units.epc_hex = parent_epc_hex
LEFT JOIN here AS items ON items.site = aggregations.site AND items.epc_hex = child_epc_hex
WHERE ($site::VARCHAR IS NULL OR aggregations.site = $site::VARCHAR)
  AND (until_time IS NULL OR $past::VARCHAR = 'yes')
  AND (
      $epc::VARCHAR IS NULL
      OR contains(parent_epc_hex, upper($epc::VARCHAR))
      OR contains(lower(parent_epc_uri), lower($epc::VARCHAR))
      OR contains(child_epc_hex, upper($epc::VARCHAR))
      OR contains(lower(child_epc_uri), lower($epc::VARCHAR))
      OR child_gtin = $epc::VARCHAR
  )
ORDER BY aggregations.site, parent_epc_hex, child_gtin NULLS FIRST, child_epc_hex, from_time
