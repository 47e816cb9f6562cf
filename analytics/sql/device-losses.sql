-- What did devices lose, and when were they away?
-- One row per device and kind of loss, most reports lost first. `overflow` is what a reader purged, `gap` numbers
-- missing in its reports, `dropped` what it says it dropped: `reports_lost` counts them. `lost`, `disconnected` and
-- `silent` are times away, until the device's next `connected`, `resumed` or `heartbeat`, or now: `minutes_away`.
-- `session_lost` are times for which the MQTT broker forgot what it held for our bridge: nobody knows how many reports
-- that were. `away` are times in which the bridge did not listen: nothing is lost by that alone.
-- subject: devices and data
-- parameters:
-- $site: site identifier (default: all)
-- $source: device identifier (default: all)

WITH spans AS (
    SELECT
        device_events.*,
        first_value(CASE WHEN event IN ('connected', 'resumed', 'heartbeat') THEN event_time END IGNORE NULLS) OVER (
            PARTITION BY site, source_kind, source
            ORDER BY event_time, edge_offset, edge_index
            ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ) AS back_time
    FROM device_events
)
SELECT
    site,
    source_kind,
    source,
    event,
    count(*) AS times,
    sum("count") FILTER (event IN ('overflow', 'gap', 'dropped'))::BIGINT AS reports_lost,
    round(
        sum(epoch(coalesce(until_time, back_time, now_time) - coalesce(from_time, event_time)) / 60)
            FILTER (event IN ('lost', 'disconnected', 'silent', 'session_lost', 'away')),
        6
    ) AS minutes_away,
    min(coalesce(from_time, event_time)) AS first_time,
    max(event_time) AS last_time,
    arg_max(detail, (event_time, edge_offset, edge_index)) AS last_detail
FROM spans
CROSS JOIN newest
WHERE event IN ('overflow', 'gap', 'dropped', 'lost', 'disconnected', 'silent', 'session_lost', 'away')
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
  AND ($source::VARCHAR IS NULL OR source = $source::VARCHAR)
GROUP BY site, source_kind, source, event
ORDER BY reports_lost DESC NULLS LAST, minutes_away DESC NULLS LAST, site, source_kind, source, event
