-- Which items stand where they do not belong?
-- One row per item on a part of the sales floor that has no shelf for its GTIN, longest there first; `is_misplaced` in
-- analytics/accuracy.py defines it. Sold items are on their way out and left out, and so are GTINs without any shelf.
-- subject: items
-- parameters:
-- $minutes: shortest time in the wrong place; a shopper carries items about (default: 5)
-- $site: site identifier (default: all)
-- $zone: zone where the item is (default: all)
-- $gtin: GTIN-14 (default: all)

WITH homes AS (
    SELECT site, gtin, list_sort(list(DISTINCT zone)) AS home_zones
    FROM shelf_plan
    WHERE gtin IS NOT NULL
    GROUP BY site, gtin
)
SELECT
    site,
    epc_hex,
    locations.epc_uri,
    gtin,
    zone,
    zones.name AS zone_name,
    array_to_string(homes.home_zones, ', ') AS belongs_in,
    locations.from_time AS since_time,
    epoch(newest.now_time - locations.from_time) / 60 AS minutes_there,
    locations.confidence,
    locations.x AS x_m,
    locations.y AS y_m
FROM locations
CROSS JOIN newest
JOIN zones USING (site, zone)
JOIN homes USING (site, gtin)
WHERE locations.until_time IS NULL
  AND zones.kind = 'sales_floor'
  AND NOT list_contains(homes.home_zones, zone)
  AND (site, epc_hex) NOT IN (SELECT (site, epc_hex) FROM sold)
  AND newest.now_time - locations.from_time >= to_seconds(60 * $minutes::DOUBLE)
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
  AND ($zone::VARCHAR IS NULL OR zone = $zone::VARCHAR)
  AND ($gtin::VARCHAR IS NULL OR gtin = $gtin::VARCHAR)
ORDER BY minutes_there DESC, site, epc_hex
