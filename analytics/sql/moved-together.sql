-- What moved together?
-- One row per group of items that left one zone for the same other zone within a few seconds of each other, newest
-- first. `gtins` counts the articles among them, `units` the logistic units that are known to contain something;
-- `epcs` lists the first twenty. What one person carries through several zones has a row for each border.
-- subject: items
-- parameters:
-- $epc: groups with this item: EPC hex or part of it (default: all)
-- $zone: groups that came into this zone (default: all)
-- $items_minimum: items of a group at least (default: 3)
-- $gap_seconds: longest pause between two moves of one group (default: 10)
-- $site: site identifier (default: all)
-- $rows: most rows to show (default: 100)

WITH moves AS (
    SELECT site, epc_hex, gtin, zone, left_for, until_time AS moved_time
    FROM locations
    WHERE left_for IS NOT NULL
      AND left_for <> '(outside)'
      AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
      AND ($zone::VARCHAR IS NULL OR left_for = $zone::VARCHAR)
),
paused AS (
    SELECT
        *,
        coalesce(
            epoch(moved_time - lag(moved_time) OVER way) > $gap_seconds::DOUBLE,
            true
        ) AS begins
    FROM moves
    WINDOW way AS (PARTITION BY site, zone, left_for ORDER BY moved_time, epc_hex)
),
grouped AS (
    SELECT *, sum(begins::INTEGER) OVER (PARTITION BY site, zone, left_for ORDER BY moved_time, epc_hex) AS number
    FROM paused
)
SELECT
    site,
    zone AS from_zone,
    left_for AS to_zone,
    min(moved_time) AS first_moved_time,
    max(moved_time) AS last_moved_time,
    count(DISTINCT epc_hex) AS items,
    count(DISTINCT gtin) AS gtins,
    count(DISTINCT epc_hex) FILTER (
        (site, epc_hex) IN (SELECT (site, parent_epc_hex) FROM aggregations)
    ) AS units,
    list_sort(list(DISTINCT epc_hex))[:20] AS epcs
FROM grouped
GROUP BY site, zone, left_for, number
HAVING count(DISTINCT epc_hex) >= $items_minimum::BIGINT
   AND ($epc::VARCHAR IS NULL OR bool_or(contains(epc_hex, upper($epc::VARCHAR))))
ORDER BY first_moved_time DESC, site, from_zone, to_zone
LIMIT $rows::BIGINT
