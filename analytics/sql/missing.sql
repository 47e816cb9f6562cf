-- Which items were here, are nowhere now, and were not sold?
-- One row per item whose last stay ended and led nowhere, in an exit zone too, last seen first. Items whose EPC was
-- booked as sold or transferred out are left out, and so are cartons, pallets and carriers (SSCC, GRAI, GIAI). A till
-- that names only the GTIN cannot clear one item: `sales_without_epc_units` are units of its GTIN booked so since an
-- hour before it was last seen, each of which may explain one such row.
-- subject: items
-- parameters:
-- $hours: shortest time not seen (default: 1)
-- $site: site identifier (default: all)
-- $gtin: GTIN-14 (default: all)

WITH last_stays AS (
    SELECT *
    FROM locations
    QUALIFY row_number() OVER (PARTITION BY site, epc_hex ORDER BY from_time DESC) = 1
)
SELECT
    site,
    epc_hex,
    last_stays.epc_uri,
    last_stays.gtin,
    zone AS last_zone,
    zones.name AS last_zone_name,
    zones.kind AS last_zone_kind,
    last_stays.until_time AS last_seen_time,
    epoch(newest.now_time - last_stays.until_time) / 3600 AS hours_gone,
    last_stays.confidence,
    (
        SELECT coalesce(sum(quantity), 0)
        FROM business_events
        WHERE business_events.site = last_stays.site
          AND business_events.gtin = last_stays.gtin
          AND business_events.epc_hex IS NULL
          AND business_events.event IN ('sale', 'transfer_out')
          AND business_events.event_time >= last_stays.until_time - INTERVAL 1 HOUR
    )::BIGINT AS sales_without_epc_units
FROM last_stays
CROSS JOIN newest
LEFT JOIN zones USING (site, zone)
WHERE last_stays.until_time IS NOT NULL
  AND last_stays.left_for IS NULL
  AND (site, epc_hex) NOT IN (SELECT (site, epc_hex) FROM sold)
  AND NOT regexp_matches(
      coalesce(last_stays.epc_uri, ''), '^(urn:epc:id:(sscc|grai|giai):|https://id\.gs1\.org/(00|8003|8004)/)'
  )
  AND newest.now_time - last_stays.until_time >= to_seconds(3600 * $hours::DOUBLE)
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
  AND ($gtin::VARCHAR IS NULL OR last_stays.gtin = $gtin::VARCHAR)
ORDER BY last_seen_time DESC, site, epc_hex
