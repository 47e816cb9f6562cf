-- How long do items stay in each zone?
-- One row per zone, longest median first. Minutes are of stays that have ended; `stays_open` still last and are in no
-- average, `minutes_open_median` is how long those have lasted by now.
-- subject: items
-- parameters:
-- $zone: zone identifier (default: all)
-- $gtin: GTIN-14 (default: all)
-- $site: site identifier (default: all)

WITH stays AS (
    SELECT
        locations.*,
        epoch(coalesce(locations.until_time, newest.now_time) - locations.from_time) / 60 AS minutes,
        locations.until_time IS NOT NULL AS ended
    FROM locations
    CROSS JOIN newest
    WHERE ($zone::VARCHAR IS NULL OR locations.zone = $zone::VARCHAR)
      AND ($gtin::VARCHAR IS NULL OR locations.gtin = $gtin::VARCHAR)
      AND ($site::VARCHAR IS NULL OR locations.site = $site::VARCHAR)
)
SELECT
    site,
    zone,
    zones.name AS zone_name,
    zones.kind AS zone_kind,
    count(*) FILTER (ended) AS stays_ended,
    count(*) FILTER (NOT ended) AS stays_open,
    median(minutes) FILTER (ended) AS minutes_median,
    quantile_cont(minutes, 0.9) FILTER (ended) AS minutes_p90,
    round(avg(minutes) FILTER (ended), 6) AS minutes_mean,
    max(minutes) FILTER (ended) AS minutes_max,
    median(minutes) FILTER (NOT ended) AS minutes_open_median
FROM stays
LEFT JOIN zones USING (site, zone)
GROUP BY site, zone, zones.name, zones.kind
ORDER BY minutes_median DESC NULLS LAST, site, zone
