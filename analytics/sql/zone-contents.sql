-- What is in this zone now?
-- One row per zone and GTIN, most items first; items without a GTIN share a row. `items_sold` of them were booked as
-- sold and are still there: at the till, or brought back.
-- subject: items
-- parameters:
-- $zone: zone identifier (default: all)
-- $site: site identifier (default: all)

SELECT
    site,
    zone,
    zones.name AS zone_name,
    zones.kind AS zone_kind,
    locations.gtin,
    count(*) AS items,
    count(*) FILTER ((site, epc_hex) IN (SELECT (site, epc_hex) FROM sold)) AS items_sold,
    round(avg(locations.confidence), 6) AS confidence_mean,
    min(locations.from_time) AS first_came_time,
    max(locations.from_time) AS last_came_time,
    median(epoch(newest.now_time - locations.from_time) / 60) AS minutes_there_median
FROM locations
CROSS JOIN newest
LEFT JOIN zones USING (site, zone)
WHERE locations.until_time IS NULL
  AND ($zone::VARCHAR IS NULL OR zone = $zone::VARCHAR)
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
GROUP BY site, zone, zones.name, zones.kind, locations.gtin
ORDER BY site, zone, items DESC, locations.gtin NULLS LAST
