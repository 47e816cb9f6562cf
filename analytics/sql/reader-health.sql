-- Which readers work, and which are silent?
-- One row per reader of the site files, or that was ever heard, the worst first. A sign of life is a read, or anything
-- that the reader says of itself except that it went away. States: `never heard`; `disconnected` (it, or the broker
-- for it, said so, and nothing came since); `silent` (no sign of life for $silent_seconds); `reporting`.
-- `reports_lost` are those that it, or its running numbers, admit to; device-losses has them in detail.
-- subject: devices and data
-- parameters:
-- $site: site identifier (default: all)
-- $silent_seconds: silence after which a reader counts as silent (default: 300)

WITH heard AS (
    SELECT
        reads.site,
        reads.reader,
        max(reads.event_time) AS last_read_time,
        count(*) AS reads_total,
        count(*) FILTER (reads.event_time > newest.now_time - INTERVAL 1 HOUR) AS reads_last_hour,
        count(DISTINCT reads.epc_hex) FILTER (reads.event_time > newest.now_time - INTERVAL 1 HOUR) AS tags_last_hour,
        count(*) FILTER (reads.late) AS reads_late
    FROM reads
    CROSS JOIN newest
    GROUP BY reads.site, reads.reader
),
said AS (
    SELECT
        site,
        source AS reader,
        max(event_time) FILTER (
            event_time_source <> 'derived' AND event NOT IN ('lost', 'disconnected')
        ) AS last_said_time,
        max(event_time) FILTER (event IN ('lost', 'disconnected')) AS last_gone_time,
        count(*) FILTER (event IN ('lost', 'disconnected')) AS connections_lost,
        count(*) FILTER (event = 'silent') AS silences,
        count(*) FILTER (event IN ('error', 'warning')) AS errors_and_warnings,
        coalesce(sum("count") FILTER (event IN ('overflow', 'gap', 'dropped')), 0)::BIGINT AS reports_lost
    FROM device_events
    WHERE source_kind = 'reader'
    GROUP BY site, source
),
antennas AS (
    SELECT
        readers.site,
        readers.reader,
        any_value(readers.profile) AS profile,
        count(*) AS antennas_planned,
        string_agg(readers.antenna::VARCHAR, ', ' ORDER BY readers.antenna) FILTER (recent.antenna IS NULL)
            AS antennas_silent
    FROM readers
    LEFT JOIN (
        SELECT DISTINCT reads.site, reads.reader, reads.antenna
        FROM reads
        CROSS JOIN newest
        WHERE reads.event_time > newest.now_time - INTERVAL 1 HOUR
    ) AS recent USING (site, reader, antenna)
    GROUP BY readers.site, readers.reader
),
refused AS (
    SELECT site, source AS reader, count(*) AS rejects
    FROM rejects
    GROUP BY site, source
),
known AS (
    SELECT site, reader FROM readers
    UNION SELECT site, reader FROM heard
    UNION SELECT site, reader FROM said
),
signs AS (
    SELECT
        known.*,
        heard.* EXCLUDE (site, reader),
        said.* EXCLUDE (site, reader),
        greatest(heard.last_read_time, said.last_said_time) AS last_sign_time
    FROM known
    LEFT JOIN heard USING (site, reader)
    LEFT JOIN said USING (site, reader)
),
judged AS (
    SELECT
        signs.*,
        epoch(newest.now_time - signs.last_sign_time) AS silent_seconds,
        CASE
            WHEN signs.last_sign_time IS NULL AND signs.last_gone_time IS NULL THEN 'never heard'
            WHEN signs.last_gone_time > coalesce(signs.last_sign_time, '-infinity'::TIMESTAMPTZ) THEN 'disconnected'
            WHEN newest.now_time - signs.last_sign_time > to_seconds($silent_seconds::DOUBLE) THEN 'silent'
            ELSE 'reporting'
        END AS state
    FROM signs
    CROSS JOIN newest
)
SELECT
    site,
    reader,
    antennas.profile,
    judged.state,
    judged.silent_seconds,
    judged.last_sign_time,
    judged.last_read_time,
    coalesce(judged.reads_last_hour, 0) AS reads_last_hour,
    coalesce(judged.tags_last_hour, 0) AS tags_last_hour,
    coalesce(judged.reads_total, 0) AS reads_total,
    coalesce(judged.reads_late, 0) AS reads_late,
    antennas.antennas_planned,
    antennas.antennas_silent AS antennas_silent_last_hour,
    coalesce(judged.silences, 0) AS silences,
    coalesce(judged.connections_lost, 0) AS connections_lost,
    coalesce(judged.reports_lost, 0) AS reports_lost,
    coalesce(judged.errors_and_warnings, 0) AS errors_and_warnings,
    coalesce(refused.rejects, 0) AS rejects
FROM judged
LEFT JOIN antennas USING (site, reader)
LEFT JOIN refused USING (site, reader)
WHERE ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
ORDER BY list_position(['never heard', 'disconnected', 'silent', 'reporting'], judged.state),
    judged.silent_seconds DESC NULLS FIRST, site, reader
