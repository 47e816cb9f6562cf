-- What of a delivery came in through the gates?
-- One row per delivery document and GTIN, newest first: units announced and booked, and items that went in through a
-- gate, `$hours` or less after the announcement: of an announcement that names EPCs those items, otherwise items of
-- its GTIN, each counted for the last announcement of its GTIN before it came. `missing_units` were announced and not
-- heard. Sites without a gate have no rows.
-- subject: deliveries
-- parameters:
-- $document: delivery document, or part of its name (default: all)
-- $gtin: GTIN-14 (default: all)
-- $confidence: least probability that an item went in (default: 0.5)
-- $hours: how long after its announcement a delivery may come (default: 24)
-- $site: site identifier (default: all)

WITH announced AS (
    SELECT
        site,
        business_transaction,
        gtin,
        min(event_time) FILTER (event = 'expected') AS announced_time,
        coalesce(sum(quantity) FILTER (event = 'expected'), 0)::BIGINT AS expected_units,
        coalesce(sum(quantity) FILTER (event = 'receipt'), 0)::BIGINT AS booked_units
    FROM business_events
    WHERE event IN ('expected', 'receipt') AND gtin IS NOT NULL AND business_transaction IS NOT NULL
    GROUP BY site, business_transaction, gtin
    HAVING count(*) FILTER (event = 'expected') > 0
),
came AS (
    SELECT site, epc_hex, gtin, min(until_time) AS came_time, max(confidence) AS confidence
    FROM passages
    WHERE direction = 'inbound' AND confidence >= $confidence::DOUBLE
    GROUP BY site, epc_hex, gtin
),
named AS (
    SELECT site, epc_hex, arg_max(business_transaction, event_time) AS business_transaction
    FROM business_events
    WHERE event = 'expected' AND epc_hex IS NOT NULL
    GROUP BY site, epc_hex
),
matched AS (
    SELECT
        came.site,
        came.epc_hex,
        came.came_time,
        announced.business_transaction,
        announced.gtin
    FROM came
    JOIN announced
      ON announced.site = came.site
     AND announced.gtin = came.gtin
     AND came.came_time >= announced.announced_time
     AND came.came_time <= announced.announced_time + to_seconds(3600 * $hours::DOUBLE)
    LEFT JOIN named ON named.site = came.site AND named.epc_hex = came.epc_hex
    WHERE named.business_transaction IS NULL OR named.business_transaction = announced.business_transaction
    QUALIFY row_number() OVER (
        PARTITION BY came.site, came.epc_hex
        ORDER BY announced.announced_time DESC, announced.business_transaction
    ) = 1
),
heard AS (
    SELECT
        site,
        business_transaction,
        gtin,
        count(*) AS heard_units,
        min(came_time) AS first_time,
        max(came_time) AS last_time
    FROM matched
    GROUP BY site, business_transaction, gtin
)
SELECT
    announced.site,
    announced.business_transaction,
    announced.gtin,
    announced.announced_time,
    announced.expected_units,
    announced.booked_units,
    coalesce(heard.heard_units, 0) AS heard_units,
    greatest(announced.expected_units - coalesce(heard.heard_units, 0), 0) AS missing_units,
    greatest(coalesce(heard.heard_units, 0) - announced.expected_units, 0) AS surplus_units,
    heard.first_time AS first_came_time,
    heard.last_time AS last_came_time
FROM announced
LEFT JOIN heard USING (site, business_transaction, gtin)
WHERE announced.site IN (SELECT site FROM gates)
  AND ($document::VARCHAR IS NULL OR contains(announced.business_transaction, $document::VARCHAR))
  AND ($gtin::VARCHAR IS NULL OR announced.gtin = $gtin::VARCHAR)
  AND ($site::VARCHAR IS NULL OR announced.site = $site::VARCHAR)
ORDER BY announced.announced_time DESC, announced.site, announced.business_transaction, announced.gtin
