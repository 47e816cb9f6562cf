-- What did the site teach about its radio?
-- One row per antenna and parameter of the law in force, what differs most from where it began first. An antenna is
-- named `reader:port`; a reader stands for all of its antennas, and no antenna for the whole site. `prior_value` is
-- what was taken before the site taught anything: physics and the site file, or a calibration. `value` lies within
-- two `spread`s of the truth, as far as the model is right. `laws` is how many laws were in force so far.
-- subject: devices and data
-- parameters:
-- $antenna: antenna, as `reader:port` (default: all)
-- $parameter: parameter, such as offset_db (default: all)
-- $site: site identifier (default: all)

WITH last_laws AS (
    SELECT site, max(version) AS version, count(DISTINCT version) AS laws
    FROM radio_laws
    GROUP BY site
)
SELECT
    site,
    antenna,
    parameter,
    round(value, 3) AS value,
    round(prior_value, 3) AS prior_value,
    round(value - prior_value, 3) AS change,
    round(spread, 3) AS spread,
    unit,
    items,
    version,
    laws,
    as_of_time
FROM radio_laws
JOIN last_laws USING (site, version)
WHERE ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
  AND ($antenna::VARCHAR IS NULL OR antenna = $antenna::VARCHAR)
  AND ($parameter::VARCHAR IS NULL OR parameter = $parameter::VARCHAR)
ORDER BY
    site,
    abs(value - prior_value) / nullif(spread, 0) DESC NULLS LAST,
    abs(value - prior_value) DESC NULLS LAST,
    antenna NULLS FIRST,
    parameter
