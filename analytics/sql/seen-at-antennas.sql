-- Which tags did each antenna see, and from when until when?
-- One row per sighting, in order of time: reads of one tag at one antenna without a pause longer than `$gap_seconds`,
-- at any antenna, not at gates alone: which way things went through a gate is in passages-today and the table
-- `passages`. `reads` are rows of the table, `air_reads` the reads on the air that the reader says they stand for;
-- `passage` numbers the sightings.
-- subject: devices and data
-- formerly: gate-passages
-- parameters:
-- $reader: reader identifier (default: all)
-- $antenna: antenna port (default: all)
-- $epc: EPC hex or part of it (default: all)
-- $site: site identifier (default: all)
-- $gap_seconds: a longer pause begins a new passage (default: 20)

WITH marked AS (
    SELECT
        *,
        coalesce(event_time - lag(event_time) OVER in_order > to_seconds($gap_seconds::DOUBLE), TRUE) AS begins
    FROM reads
    WHERE ($reader::VARCHAR IS NULL OR reader = $reader::VARCHAR)
      AND ($antenna::INTEGER IS NULL OR antenna = $antenna::INTEGER)
      AND ($epc::VARCHAR IS NULL OR contains(epc_hex, upper($epc::VARCHAR)))
      AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
    WINDOW in_order AS (PARTITION BY site, reader, antenna, epc_hex ORDER BY event_time, edge_offset, edge_index)
),
numbered AS (
    SELECT
        *,
        count(*) FILTER (begins) OVER (
            PARTITION BY site, reader, antenna, epc_hex
            ORDER BY event_time, edge_offset, edge_index
            ROWS UNBOUNDED PRECEDING
        ) AS passage
    FROM marked
)
SELECT
    numbered.site,
    numbered.reader,
    numbered.antenna,
    readers.zone,
    numbered.epc_hex,
    numbered.passage,
    min(numbered.event_time) AS first_time,
    max(numbered.event_time) AS last_time,
    epoch(max(numbered.event_time) - min(numbered.event_time)) AS duration_seconds,
    count(*) AS reads,
    sum(numbered.read_count)::BIGINT AS air_reads,
    max(numbered.rssi_dbm) AS rssi_dbm_peak
FROM numbered
LEFT JOIN readers USING (site, reader, antenna)
GROUP BY numbered.site, numbered.reader, numbered.antenna, readers.zone, numbered.epc_hex, numbered.passage
ORDER BY first_time, numbered.site, numbered.reader, numbered.antenna NULLS LAST, numbered.epc_hex
