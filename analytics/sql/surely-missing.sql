-- Which items did the last counting pass expect and not hear, and how surely are they gone?
-- One row per item that the newest pass which expected it did not hear, surest first. `missing_probability` follows from
-- the pass's recall, from passes of the same count that did not hear it either, and from whether fixed readers still hear
-- it. `last_zone` is where it was last located; empty where only handhelds have heard it. Items sold since are left out.
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
    newest_pass.recall
FROM newest_pass
WHERE NOT newest_pass.heard
  AND newest_pass.missing_probability >= $probability::DOUBLE
  AND (site, epc_hex) NOT IN (SELECT (site, epc_hex) FROM sold)
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
  AND ($gtin::VARCHAR IS NULL OR newest_pass.gtin = $gtin::VARCHAR)
ORDER BY newest_pass.missing_probability DESC, site, epc_hex
