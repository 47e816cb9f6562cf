-- How fresh are the data of each site?
-- One row per site and table. `seconds_behind` is how far a table's newest row lies behind the newest row of any site;
-- tables that change rarely are behind without harm. `delay_seconds_*` is how long after the event its publication
-- was received, over each site's last hour. Rejects count by the time that they were received; those of unknown topics
-- have no site.
-- subject: devices and data
-- parameters:
-- $site: site identifier (default: all)

WITH landed AS (
    SELECT 1 AS place, 'reads' AS table_name, site, count(*) AS row_count, max(event_time) AS newest_time
    FROM reads GROUP BY site
    UNION ALL SELECT 2, 'readings', site, count(*), max(event_time) FROM readings GROUP BY site
    UNION ALL SELECT 3, 'device_events', site, count(*), max(event_time) FROM device_events GROUP BY site
    UNION ALL SELECT 4, 'business_events', site, count(*), max(event_time) FROM business_events GROUP BY site
    UNION ALL SELECT 5, 'rejects', site, count(*), max(received_time) FROM rejects GROUP BY site
    UNION ALL SELECT 6, 'locations', site, count(*), max(as_of_time) FROM locations GROUP BY site
    UNION ALL SELECT 7, 'inventory', site, count(*), max(as_of_time) FROM inventory GROUP BY site
    UNION ALL SELECT 8, 'shelves', site, count(*), max(from_time) FROM shelves GROUP BY site
    UNION ALL SELECT 9, 'alerts', site, count(*), max(event_time) FROM alerts GROUP BY site
    UNION ALL SELECT 10, 'radio_laws', site, count(*), max(as_of_time) FROM radio_laws GROUP BY site
    UNION ALL SELECT 11, 'passages', site, count(*), max(as_of_time) FROM passages GROUP BY site
    UNION ALL SELECT 12, 'aggregations', site, count(*), max(as_of_time) FROM aggregations GROUP BY site
    UNION ALL SELECT 13, 'counts', site, count(*), max(as_of_time) FROM counts GROUP BY site
    UNION ALL SELECT 14, 'counted', site, count(*), max(as_of_time) FROM counted GROUP BY site
    -- Sites of which nothing has landed show that, table by table.
    UNION ALL
    SELECT places.place, places.table_name, sites.site, 0, NULL
    FROM sites
    CROSS JOIN (
        VALUES (1, 'reads'), (2, 'readings'), (3, 'device_events'), (4, 'business_events'), (5, 'rejects'),
            (6, 'locations'), (7, 'inventory'), (8, 'shelves'), (9, 'alerts'), (10, 'radio_laws'),
            (11, 'passages'), (12, 'aggregations'), (13, 'counts'), (14, 'counted')
    ) AS places (place, table_name)
),
tables AS (
    SELECT place, table_name, site, sum(row_count)::BIGINT AS row_count, max(newest_time) AS newest_time
    FROM landed
    GROUP BY place, table_name, site
),
site_ends AS (
    SELECT site, max(newest_time) - INTERVAL 1 HOUR AS start_time
    FROM tables
    WHERE table_name <> 'rejects'
    GROUP BY site
),
delays AS (
    SELECT
        received.table_name,
        received.site,
        median(epoch(received.received_time - received.event_time)) AS delay_seconds_median,
        quantile_cont(epoch(received.received_time - received.event_time), 0.95) AS delay_seconds_p95
    FROM (
        SELECT 'reads' AS table_name, site, event_time, received_time FROM reads
        UNION ALL SELECT 'readings', site, event_time, received_time FROM readings
        UNION ALL SELECT 'device_events', site, event_time, received_time FROM device_events
        UNION ALL SELECT 'business_events', site, event_time, received_time FROM business_events
    ) AS received
    JOIN site_ends USING (site)
    WHERE received.event_time > site_ends.start_time
    GROUP BY received.table_name, received.site
)
SELECT
    tables.site,
    tables.table_name,
    tables.row_count,
    tables.newest_time,
    epoch(newest.now_time - tables.newest_time) AS seconds_behind,
    delays.delay_seconds_median,
    delays.delay_seconds_p95
FROM tables
CROSS JOIN newest
LEFT JOIN delays ON delays.site = tables.site AND delays.table_name = tables.table_name
WHERE ($site::VARCHAR IS NULL OR tables.site = $site::VARCHAR)
ORDER BY tables.site NULLS LAST, tables.place
