-- What is in the fitting rooms now, and what was left behind there?
-- One row per item, longest there first. `abandoned` says that it has been there for `$minutes` or more: nobody tries
-- on for so long. `came_from_zone` is where to bring it back to.
-- subject: places
-- parameters:
-- $minutes: after how long an item counts as left behind (default: 30)
-- $zone: zone identifier (default: all)
-- $gtin: GTIN-14 (default: all)
-- $site: site identifier (default: all)

WITH stays AS (
    SELECT *, lag(zone) OVER (PARTITION BY site, epc_hex ORDER BY from_time) AS came_from_zone
    FROM locations
)
SELECT
    site,
    zone,
    zones.name AS zone_name,
    stays.epc_hex,
    stays.epc_uri,
    stays.gtin,
    stays.from_time AS since_time,
    epoch(newest.now_time - stays.from_time) / 60 AS minutes_there,
    epoch(newest.now_time - stays.from_time) >= 60 * $minutes::DOUBLE AS abandoned,
    stays.came_from_zone,
    stays.confidence
FROM stays
CROSS JOIN newest
JOIN zones USING (site, zone)
WHERE stays.until_time IS NULL
  AND zones.kind = 'fitting_room'
  AND ($zone::VARCHAR IS NULL OR zone = $zone::VARCHAR)
  AND ($gtin::VARCHAR IS NULL OR stays.gtin = $gtin::VARCHAR)
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
ORDER BY since_time, site, stays.epc_hex
