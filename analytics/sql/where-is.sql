-- Where is this item, and which way did it come?
-- One row per stay of each item, its newest stay first; the item that moved last comes first. An item that was read
-- but never located has one row without a zone. `here_now` says whether the stay lasts.
-- subject: items
-- parameters:
-- $epc: EPC hex or part of it, EPC URI or part of it, or a GTIN-14 (default: all)
-- $site: site identifier (default: all)
-- $rows: most rows to show (default: 500)

WITH found AS (
    SELECT site, epc_hex, max(from_time) AS moved_time
    FROM locations
    WHERE ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
      AND (
          $epc::VARCHAR IS NULL
          OR contains(epc_hex, upper($epc::VARCHAR))
          OR contains(lower(epc_uri), lower($epc::VARCHAR))
          OR gtin = $epc::VARCHAR
      )
    GROUP BY site, epc_hex
    -- Every item has a row at least, so no more items than rows are needed.
    ORDER BY moved_time DESC, epc_hex, site
    LIMIT $rows::BIGINT
),
wanted AS (
    SELECT site, epc_hex FROM found
    UNION
    SELECT site, epc_hex FROM reads WHERE contains(epc_hex, upper($epc::VARCHAR))
),
stays AS (
    SELECT locations.*, found.moved_time
    FROM locations
    JOIN found USING (site, epc_hex)
),
heard AS (
    SELECT
        site,
        epc_hex,
        max(event_time) AS last_read_time,
        arg_max({'reader': reader, 'antenna': antenna}, (event_time, edge_offset, edge_index)) AS last_heard
    FROM reads
    SEMI JOIN wanted USING (site, epc_hex)
    WHERE ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
    GROUP BY site, epc_hex
)
SELECT
    site,
    epc_hex,
    stays.epc_uri,
    stays.gtin,
    stays.zone,
    zones.name AS zone_name,
    stays.from_time,
    stays.until_time,
    stays.zone IS NOT NULL AND stays.until_time IS NULL AS here_now,
    stays.confidence,
    stays.x AS x_m,
    stays.y AS y_m,
    stays.radius_m,
    stays.left_for,
    heard.last_read_time,
    heard.last_heard.reader AS last_reader,
    heard.last_heard.antenna AS last_antenna
FROM stays
FULL JOIN heard USING (site, epc_hex)
LEFT JOIN zones USING (site, zone)
ORDER BY coalesce(stays.moved_time, heard.last_read_time) DESC, epc_hex, site, stays.from_time DESC
LIMIT $rows::BIGINT
