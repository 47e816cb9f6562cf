-- What is at the tills now?
-- One row per item, newest first. `state`: `sold` (its EPC was booked as sold), `maybe sold` (a till booked units of
-- its GTIN without naming EPCs since it came, `sales_without_epc_units` of them), `waiting`, or `left behind` where
-- it has been there for `$minutes` or more without a sale.
-- subject: places
-- parameters:
-- $minutes: after how long an unsold item counts as left behind (default: 20)
-- $zone: zone identifier (default: all)
-- $gtin: GTIN-14 (default: all)
-- $site: site identifier (default: all)

WITH here AS (
    SELECT
        locations.*,
        zones.name AS zone_name,
        (
            SELECT coalesce(sum(quantity), 0)
            FROM business_events
            WHERE business_events.site = locations.site
              AND business_events.gtin = locations.gtin
              AND business_events.epc_hex IS NULL
              AND business_events.event = 'sale'
              AND business_events.event_time >= locations.from_time
        )::BIGINT AS sales_without_epc_units
    FROM locations
    JOIN zones USING (site, zone)
    WHERE locations.until_time IS NULL AND zones.kind = 'point_of_sale'
)
SELECT
    site,
    zone,
    zone_name,
    epc_hex,
    epc_uri,
    gtin,
    from_time AS since_time,
    epoch(newest.now_time - from_time) / 60 AS minutes_there,
    CASE
        WHEN (site, epc_hex) IN (SELECT (site, epc_hex) FROM sold) THEN 'sold'
        WHEN sales_without_epc_units > 0 THEN 'maybe sold'
        WHEN epoch(newest.now_time - from_time) >= 60 * $minutes::DOUBLE THEN 'left behind'
        ELSE 'waiting'
    END AS state,
    sales_without_epc_units,
    confidence
FROM here
CROSS JOIN newest
WHERE ($zone::VARCHAR IS NULL OR zone = $zone::VARCHAR)
  AND ($gtin::VARCHAR IS NULL OR gtin = $gtin::VARCHAR)
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
ORDER BY since_time DESC, site, epc_hex
