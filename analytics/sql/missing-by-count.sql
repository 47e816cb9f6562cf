-- Which items did the last counting pass not hear, and how surely are they gone?
-- One row per item that the newest pass which expected it did not hear, surest first. `missing_probability` follows
-- from the pass's recall, from passes of the same count that did not hear it either, and from whether fixed readers
-- still hear it. `last_zone` is where it was last located; empty where only handhelds have heard it. Items whose EPC
-- was booked as sold or transferred out are left out. A till that names only the GTIN cannot clear one item:
-- `sales_without_epc_units` are units of its GTIN booked so since an hour before it was last heard, each of which may
-- explain one such row.
-- subject: counting
-- formerly: surely-missing
-- parameters:
-- $probability: least probability (default: 0.9)
-- $site: site identifier (default: all)
-- $gtin: GTIN-14 (default: all)

WITH newest_pass AS (
    SELECT *
    FROM counted
    QUALIFY row_number() OVER (PARTITION BY site, epc_hex ORDER BY as_of_time DESC, pass DESC) = 1
)
SELECT
    site,
    epc_hex,
    newest_pass.epc_uri,
    newest_pass.gtin,
    newest_pass.zone AS last_zone,
    newest_pass.last_heard_time,
    newest_pass.missing_probability,
    newest_pass.pass,
    newest_pass.recall,
    (
        SELECT coalesce(sum(quantity), 0)
        FROM business_events
        WHERE business_events.site = newest_pass.site
          AND business_events.gtin = newest_pass.gtin
          AND business_events.epc_hex IS NULL
          AND business_events.event IN ('sale', 'transfer_out')
          AND business_events.event_time >= newest_pass.last_heard_time - INTERVAL 1 HOUR
    )::BIGINT AS sales_without_epc_units
FROM newest_pass
WHERE NOT newest_pass.heard
  AND newest_pass.missing_probability >= $probability::DOUBLE
  AND (site, epc_hex) NOT IN (SELECT (site, epc_hex) FROM sold)
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
  AND ($gtin::VARCHAR IS NULL OR newest_pass.gtin = $gtin::VARCHAR)
ORDER BY newest_pass.missing_probability DESC, site, epc_hex
