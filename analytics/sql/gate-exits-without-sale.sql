-- What went out through a gate without a sale?
-- One row per item whose last passage of a gate that leads off the site was outbound, and which has not been located
-- since; the surest losses first. Items whose EPC was booked as sold or transferred out are left out. Where a till
-- named only the GTIN, the row says `maybe sold` and how many units were booked so, from `$minutes` before the
-- passage to 5 minutes after it. exits-without-sale asks the same of stays in exit zones, for exits without a gate.
-- subject: gates and exits
-- formerly: left-without-sale
-- parameters:
-- $confidence: least probability that it went out (default: 0.8)
-- $minutes: how long before it went out an item may have been paid for (default: 120)
-- $gate: gate identifier (default: all)
-- $gtin: GTIN-14 (default: all)
-- $site: site identifier (default: all)

WITH crossings AS (
    SELECT passages.*, gates.name AS gate_name, gates.kind AS gate_kind
    FROM passages
    JOIN gates USING (site, gate)
    WHERE gates.outside_zone IS NULL
      AND passages.direction IN ('inbound', 'outbound')
      AND passages.confidence >= $confidence::DOUBLE
    QUALIFY row_number() OVER (PARTITION BY site, epc_hex ORDER BY until_time DESC, gate) = 1
),
gone AS (
    SELECT
        crossings.*,
        (
            SELECT coalesce(sum(quantity), 0)
            FROM business_events
            WHERE business_events.site = crossings.site
              AND business_events.gtin = crossings.gtin
              AND business_events.epc_hex IS NULL
              AND business_events.event IN ('sale', 'transfer_out')
              AND business_events.event_time >= crossings.until_time - to_seconds(60 * $minutes::DOUBLE)
              AND business_events.event_time <= crossings.until_time + INTERVAL 5 MINUTE
        )::BIGINT AS sales_without_epc_units
    FROM crossings
    WHERE direction = 'outbound'
      AND (site, epc_hex) NOT IN (SELECT (site, epc_hex) FROM sold)
      AND NOT EXISTS (
          SELECT 1
          FROM locations
          WHERE locations.site = crossings.site
            AND locations.epc_hex = crossings.epc_hex
            AND locations.from_time > crossings.until_time + INTERVAL 1 MINUTE
      )
)
SELECT
    site,
    until_time AS left_time,
    gate,
    gate_name,
    gate_kind,
    "load",
    epc_hex,
    epc_uri,
    gtin,
    confidence,
    sales_without_epc_units,
    CASE WHEN sales_without_epc_units = 0 THEN 'unsold' ELSE 'maybe sold' END AS verdict
FROM gone
WHERE ($gate::VARCHAR IS NULL OR gate = $gate::VARCHAR)
  AND ($gtin::VARCHAR IS NULL OR gtin = $gtin::VARCHAR)
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
ORDER BY verdict DESC, left_time DESC, site, epc_hex
