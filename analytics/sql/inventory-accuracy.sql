-- How accurate is the book stock, by GTIN, zone and day?
-- One row per site, trading day (in the site's time zone), zone and GTIN, newest day first: the figures that closed
-- the day, and how accuracy went over it. A zone of null is the whole site, a GTIN of null all goods. Accuracy and
-- its denominators are defined in docs/accuracy.md; 1 is a right book.
-- subject: stock
-- parameters:
-- $gtin: GTIN-14, or - for the rows of all goods together (default: all)
-- $zone: zone identifier, or - for the rows of whole sites (default: all)
-- $day: trading day YYYY-MM-DD (default: all)
-- $site: site identifier (default: all)

WITH dated AS (
    SELECT inventory.*, timezone(coalesce(sites.timezone, 'UTC'), inventory.as_of_time)::DATE AS trading_day
    FROM inventory
    LEFT JOIN sites USING (site)
),
days AS (
    SELECT
        *,
        avg(accuracy) OVER of_day AS accuracy_mean,
        min(accuracy) OVER of_day AS accuracy_min
    FROM dated
    WHERE ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
      AND ($gtin::VARCHAR IS NULL OR coalesce(gtin, '-') = $gtin::VARCHAR)
      AND ($zone::VARCHAR IS NULL OR coalesce(zone, '-') = $zone::VARCHAR)
      AND ($day::DATE IS NULL OR trading_day = $day::DATE)
    WINDOW of_day AS (PARTITION BY site, zone, gtin, trading_day)
    QUALIFY row_number() OVER (PARTITION BY site, zone, gtin, trading_day ORDER BY as_of_time DESC) = 1
)
SELECT
    site,
    trading_day,
    zone,
    gtin,
    as_of_time,
    book_quantity AS book_units,
    seen_quantity AS seen_units,
    on_hand AS on_hand_units,
    on_hand_low AS on_hand_low_units,
    on_hand_high AS on_hand_high_units,
    misplaced_quantity AS misplaced_units,
    accuracy,
    round(accuracy_mean, 6) AS accuracy_mean,
    accuracy_min
FROM days
ORDER BY site, trading_day DESC, zone NULLS FIRST, gtin NULLS FIRST
