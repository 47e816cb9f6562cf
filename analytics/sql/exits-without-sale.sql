-- Which items left through an exit zone without being sold?
-- One row per item whose last stay was in an exit zone and led nowhere, the unexplained ones first, then the newest.
-- Items whose EPC was booked as sold or transferred out, and not as returned before, are left out. Where a till named
-- only the GTIN, the row says `maybe sold` and how many units were booked so, from `$minutes` before the exit to 5
-- minutes after it. `alerted` says whether the inventory job raised its alert `exit_without_sale`, which lets each
-- such sale excuse one exit.
-- subject: gates and exits
-- parameters:
-- $minutes: how long before its exit an item may have been paid for (default: 120)
-- $site: site identifier (default: all)
-- $gtin: GTIN-14 (default: all)

WITH dealings AS (
    SELECT
        site,
        epc_hex,
        event,
        first_value(CASE WHEN event IN ('return', 'transfer_in') THEN event_time END IGNORE NULLS) OVER (
            PARTITION BY site, epc_hex
            ORDER BY event_time, edge_offset, edge_index
            ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS returned_time
    FROM business_events
    WHERE epc_hex IS NOT NULL AND event IN ('sale', 'transfer_out', 'return', 'transfer_in')
),
last_stays AS (
    SELECT
        *,
        lag(zone) OVER item AS came_from_zone
    FROM locations
    WINDOW item AS (PARTITION BY site, epc_hex ORDER BY from_time)
    QUALIFY row_number() OVER (PARTITION BY site, epc_hex ORDER BY from_time DESC) = 1
),
exits AS (
    SELECT
        last_stays.*,
        (
            SELECT coalesce(sum(quantity), 0)
            FROM business_events
            WHERE business_events.site = last_stays.site
              AND business_events.gtin = last_stays.gtin
              AND business_events.epc_hex IS NULL
              AND business_events.event = 'sale'
              AND business_events.event_time >= last_stays.until_time - to_seconds(60 * $minutes::DOUBLE)
              AND business_events.event_time <= last_stays.until_time + INTERVAL 5 MINUTE
        )::BIGINT AS sales_without_epc_units
    FROM last_stays
    JOIN zones USING (site, zone)
    WHERE zones.kind = 'exit'
      AND last_stays.until_time IS NOT NULL
      AND last_stays.left_for IS NULL
      AND NOT EXISTS (
          SELECT 1
          FROM dealings
          WHERE dealings.site = last_stays.site
            AND dealings.epc_hex = last_stays.epc_hex
            AND dealings.event IN ('sale', 'transfer_out')
            AND (dealings.returned_time IS NULL OR dealings.returned_time > last_stays.until_time)
      )
)
SELECT
    site,
    until_time AS exit_time,
    zone AS exit_zone,
    came_from_zone,
    epc_hex,
    epc_uri,
    gtin,
    confidence,
    sales_without_epc_units,
    CASE WHEN sales_without_epc_units = 0 THEN 'unsold' ELSE 'maybe sold' END AS verdict,
    EXISTS (
        SELECT 1
        FROM alerts
        WHERE alerts.site = exits.site
          AND alerts.alert = 'exit_without_sale'
          AND alerts.subject = exits.epc_hex
          AND alerts.event_time >= exits.from_time
    ) AS alerted
FROM exits
WHERE ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
  AND ($gtin::VARCHAR IS NULL OR gtin = $gtin::VARCHAR)
ORDER BY verdict DESC, exit_time DESC, site, epc_hex
