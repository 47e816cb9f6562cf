-- How much of the time was each shelf stocked?
-- One row per shelf with a scale, the worst first, over the time from its first known count until now. A shelf is
-- available while it holds at least one unit; times without a known count are in neither part of the share.
-- subject: stock
-- parameters:
-- $minimum_share: share of capacity that is the minimum where the site file gives none (default: 0.25)
-- $shelf: shelf identifier (default: all)
-- $gtin: GTIN-14 (default: all)
-- $site: site identifier (default: all)

WITH spans AS (
    SELECT
        shelves.*,
        lag(available) OVER of_shelf AS was_available,
        coalesce(lead(from_time) OVER of_shelf, newest.now_time) AS end_time
    FROM shelves
    CROSS JOIN newest
    WINDOW of_shelf AS (PARTITION BY site, shelf ORDER BY from_time)
),
timed AS (
    SELECT
        spans.*,
        epoch(spans.end_time - spans.from_time) / 60 AS minutes,
        spans.units < coalesce(shelf_plan.minimum_units, ceil($minimum_share::DOUBLE * shelf_plan.capacity_units))
            AS below_minimum
    FROM spans
    LEFT JOIN shelf_plan USING (site, shelf)
)
SELECT
    site,
    shelf,
    arg_max(zone, from_time) AS zone,
    arg_max_null(gtin, from_time) AS gtin,
    arg_max_null(units, from_time) AS units_now,
    coalesce(
        round(sum(minutes) FILTER (available) / nullif(sum(minutes) FILTER (available IS NOT NULL), 0), 6),
        bool_and(available)::INT::DOUBLE
    ) AS available_share,
    round(coalesce(sum(minutes) FILTER (NOT available), 0), 6) AS minutes_empty,
    round(coalesce(sum(minutes) FILTER (below_minimum), 0), 6) AS minutes_below_minimum,
    round(coalesce(sum(minutes) FILTER (available IS NOT NULL), 0), 6) AS minutes_observed,
    count(*) FILTER (NOT available AND was_available IS DISTINCT FROM FALSE) AS times_empty,
    min(from_time) FILTER (available IS NOT NULL) AS since_time
FROM timed
WHERE ($shelf::VARCHAR IS NULL OR shelf = $shelf::VARCHAR)
  AND ($gtin::VARCHAR IS NULL OR gtin = $gtin::VARCHAR)
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
GROUP BY site, shelf
ORDER BY available_share NULLS LAST, site, shelf
