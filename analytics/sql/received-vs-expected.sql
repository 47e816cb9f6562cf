-- Did the deliveries bring what was announced, and were they booked right?
-- One row per delivery document and GTIN, newest first: units announced (`expected`), booked (`receipt`) and seen.
-- Seen are items first located on the site within `$hours` after the announcement: of an announcement that names EPCs
-- those items, otherwise items of its GTIN, each counted for the last announcement of its GTIN before it came. Where
-- antennas watch a receiving zone, these must have been located there too. Goods booked without an announcement have
-- no figure.
-- subject: deliveries
-- parameters:
-- $document: delivery document, or part of its name (default: all)
-- $gtin: GTIN-14 (default: all)
-- $site: site identifier (default: all)
-- $hours: how long after its announcement a delivery may come (default: 24)

WITH deliveries AS (
    SELECT
        site,
        business_transaction,
        gtin,
        min(event_time) FILTER (event = 'expected') AS announced_time,
        max(event_time) FILTER (event = 'receipt') AS booked_time,
        sum(quantity) FILTER (event = 'expected') AS expected_units,
        sum(quantity) FILTER (event = 'receipt') AS booked_units
    FROM business_events
    WHERE event IN ('expected', 'receipt')
    GROUP BY site, business_transaction, gtin
),
announced_items AS (
    SELECT
        site,
        epc_hex,
        arg_max({'document': business_transaction, 'gtin': gtin, 'time': event_time}, event_time) AS line
    FROM business_events
    WHERE event = 'expected' AND epc_hex IS NOT NULL
    GROUP BY site, epc_hex
),
announced_goods AS (
    SELECT site, business_transaction, gtin, min(event_time) AS announced_time
    FROM business_events
    WHERE event = 'expected' AND epc_hex IS NULL AND gtin IS NOT NULL
    GROUP BY site, business_transaction, gtin
),
docks AS (
    SELECT DISTINCT site, zone
    FROM zones
    JOIN readers USING (site, zone)
    WHERE zones.kind = 'receiving'
),
arrivals AS (
    SELECT
        site,
        epc_hex,
        any_value(gtin) AS gtin,
        min(from_time) AS first_time,
        bool_or((site, zone) IN (SELECT (site, zone) FROM docks)) OR site NOT IN (SELECT site FROM docks) AS came_in
    FROM locations
    GROUP BY site, epc_hex
),
by_epc AS (
    SELECT site, announced_items.line.document AS business_transaction, announced_items.line.gtin AS gtin
    FROM arrivals
    JOIN announced_items USING (site, epc_hex)
    WHERE arrivals.first_time BETWEEN announced_items.line.time
                              AND announced_items.line.time + to_seconds(3600 * $hours::DOUBLE)
),
by_gtin AS (
    SELECT arrivals.site, announced_goods.business_transaction, arrivals.gtin
    FROM arrivals
    ASOF JOIN announced_goods
        ON arrivals.site = announced_goods.site
       AND arrivals.gtin = announced_goods.gtin
       AND arrivals.first_time >= announced_goods.announced_time
    WHERE arrivals.came_in
      AND arrivals.first_time <= announced_goods.announced_time + to_seconds(3600 * $hours::DOUBLE)
      AND (arrivals.site, arrivals.epc_hex) NOT IN (SELECT (site, epc_hex) FROM announced_items)
),
seen AS (
    SELECT site, business_transaction, gtin, count(*) AS units
    FROM (FROM by_epc UNION ALL FROM by_gtin)
    GROUP BY site, business_transaction, gtin
),
compared AS (
    SELECT
        deliveries.*,
        CASE WHEN deliveries.announced_time IS NOT NULL THEN coalesce(seen.units, 0) END AS seen_units
    FROM deliveries
    LEFT JOIN seen
        ON seen.site = deliveries.site
       AND seen.business_transaction IS NOT DISTINCT FROM deliveries.business_transaction
       AND seen.gtin IS NOT DISTINCT FROM deliveries.gtin
)
SELECT
    site,
    business_transaction AS document,
    gtin,
    announced_time,
    booked_time,
    expected_units::BIGINT AS expected_units,
    booked_units::BIGINT AS booked_units,
    seen_units,
    (booked_units - expected_units)::BIGINT AS booked_minus_expected_units,
    (seen_units - expected_units)::BIGINT AS seen_minus_expected_units,
    CASE
        WHEN announced_time IS NULL THEN 'not announced'
        WHEN seen_units = 0 THEN 'not seen'
        WHEN seen_units < expected_units THEN 'short'
        WHEN seen_units > expected_units THEN 'over'
        ELSE 'as announced'
    END AS verdict
FROM compared
WHERE ($document::VARCHAR IS NULL OR contains(lower(business_transaction), lower($document::VARCHAR)))
  AND ($gtin::VARCHAR IS NULL OR gtin = $gtin::VARCHAR)
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
ORDER BY coalesce(announced_time, booked_time) DESC, site, document, gtin
