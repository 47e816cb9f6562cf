-- How good was each counting pass, and what would one more add?
-- One row per pass of a handheld reader, newest first. `seen_quantity` items were heard; with the passes of the same
-- count before it (`passes`, itself included) and the fixed readers, `estimate` are there that can be heard at all,
-- with a 90 % interval. `recall` is the share of them that this pass heard, `further_quantity` what one more pass as
-- good is expected to add, and `missing_quantity` how many of the expected items are gone. With a GTIN, of that
-- alone.
-- subject: counting
-- formerly: counts
-- parameters:
-- $gtin: GTIN-14, instead of all goods (default: all)
-- $site: site identifier (default: all)

SELECT
    site,
    pass,
    reader,
    from_time,
    until_time,
    passes,
    gtin,
    seen_quantity,
    estimate,
    estimate_low,
    estimate_high,
    recall,
    further_quantity,
    missing_quantity
FROM counts
WHERE gtin IS NOT DISTINCT FROM $gtin::VARCHAR
  AND ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
ORDER BY from_time DESC, site, pass
