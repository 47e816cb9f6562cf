-- What went through the gates today, and which way?
-- One row per gate and direction: items, loads, and how sure their directions are. A day is a trading day: it begins
-- at midnight at the site. `items` are distinct; one that went in and out counts in both directions. Passages whose
-- direction is less sure than `$confidence` are counted in `doubtful` only.
-- subject: gates and exits
-- parameters:
-- $day: trading day, YYYY-MM-DD; all is the newest (default: all)
-- $gate: gate identifier (default: all)
-- $confidence: least probability of the direction (default: 0.8)
-- $site: site identifier (default: all)

WITH dated AS (
    SELECT
        passages.*,
        (until_time AT TIME ZONE coalesce(sites.timezone, 'UTC'))::DATE AS trading_day,
        (newest.now_time AT TIME ZONE coalesce(sites.timezone, 'UTC'))::DATE AS today
    FROM passages
    CROSS JOIN newest
    LEFT JOIN sites USING (site)
)
SELECT
    site,
    trading_day,
    gate,
    gates.name AS gate_name,
    direction,
    CASE direction
        WHEN 'inbound' THEN gates.inside_zone
        WHEN 'outbound' THEN coalesce(gates.outside_zone, 'off site')
    END AS to_zone,
    count(DISTINCT epc_hex) FILTER (confidence >= $confidence::DOUBLE) AS items,
    count(DISTINCT gtin) FILTER (confidence >= $confidence::DOUBLE) AS gtins,
    count(DISTINCT "load") FILTER (confidence >= $confidence::DOUBLE) AS loads,
    count(*) FILTER (confidence < $confidence::DOUBLE) AS doubtful,
    round(avg(confidence), 6) AS confidence_mean,
    min(from_time) AS first_time,
    max(until_time) AS last_time
FROM dated
LEFT JOIN gates USING (site, gate)
WHERE trading_day = coalesce($day::DATE, today)
  AND ($gate::VARCHAR IS NULL OR gate = $gate::VARCHAR)
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
GROUP BY site, trading_day, gate, gates.name, gates.inside_zone, gates.outside_zone, direction
ORDER BY trading_day DESC, site, gate, direction
