-- What has to be brought to the shelves now?
-- One row per shelf that holds less than its minimum, empty shelves first. Units are what the shelf's scale counts; of
-- a shelf without one, its share of the tagged items of its GTIN in its zone that no scale there accounts for
-- (`counted_by`). A shelf of which neither says anything is left out. `units_in_back` lie in back room and receiving;
-- shelves of one GTIN share them.
-- subject: stock
-- parameters:
-- $site: site identifier (default: all)
-- $zone: zone identifier of the shelf (default: all)
-- $minimum_share: share of capacity that is the minimum where the site file gives none (default: 0.25)

WITH scales AS (
    SELECT site, shelf, units, from_time
    FROM shelves
    QUALIFY row_number() OVER (PARTITION BY site, shelf ORDER BY from_time DESC) = 1
),
tagged AS (
    SELECT site, zone, gtin, count(*) AS items
    FROM locations
    WHERE until_time IS NULL AND gtin IS NOT NULL AND (site, epc_hex) NOT IN (SELECT (site, epc_hex) FROM sold)
    GROUP BY site, zone, gtin
),
in_back AS (
    SELECT site, gtin, sum(items) AS units
    FROM tagged
    JOIN zones USING (site, zone)
    WHERE zones.kind IN ('back_room', 'receiving')
    GROUP BY site, gtin
),
ever_tagged AS (
    SELECT DISTINCT site, gtin
    FROM locations
),
counted AS (
    SELECT
        shelf_plan.*,
        coalesce(shelf_plan.minimum_units, ceil($minimum_share::DOUBLE * shelf_plan.capacity_units))::BIGINT AS minimum,
        scales.units AS scale_units,
        scales.from_time AS since_time,
        coalesce(tagged.items, 0) - coalesce(sum(scales.units) OVER same_goods, 0) AS unscaled_items,
        count(*) FILTER (scales.units IS NULL) OVER same_goods AS unscaled_shelves,
        ever_tagged.gtin IS NOT NULL AS has_tags
    FROM shelf_plan
    LEFT JOIN scales USING (site, shelf)
    LEFT JOIN tagged USING (site, zone, gtin)
    LEFT JOIN ever_tagged USING (site, gtin)
    WINDOW same_goods AS (PARTITION BY site, zone, gtin)
),
held AS (
    SELECT
        *,
        CASE
            WHEN scale_units IS NOT NULL THEN scale_units
            WHEN has_tags THEN greatest(unscaled_items, 0) // unscaled_shelves
        END::BIGINT AS units
    FROM counted
)
SELECT
    site,
    shelf,
    held.zone,
    gtin,
    held.units AS units_on_shelf,
    held.minimum AS minimum_units,
    held.capacity_units,
    (coalesce(held.capacity_units, held.minimum) - held.units)::BIGINT AS units_to_fill,
    coalesce(in_back.units, 0)::BIGINT AS units_in_back,
    least(coalesce(held.capacity_units, held.minimum) - held.units, coalesce(in_back.units, 0))::BIGINT
        AS units_to_bring,
    CASE WHEN held.scale_units IS NULL THEN 'tags' ELSE 'scale' END AS counted_by,
    CASE WHEN held.scale_units IS NOT NULL THEN held.since_time END AS since_time
FROM held
LEFT JOIN in_back USING (site, gtin)
WHERE held.units < held.minimum
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
  AND ($zone::VARCHAR IS NULL OR held.zone = $zone::VARCHAR)
ORDER BY held.units > 0, held.units / held.minimum, site, shelf
