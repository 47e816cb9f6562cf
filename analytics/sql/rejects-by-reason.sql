-- What could not be decoded, and why?
-- One row per site, device, topic and reason, most rejects first. Several parts of a publication may be rejected each;
-- `example` is what the newest reject says.
-- subject: devices and data
-- parameters:
-- $site: site identifier (default: all)
-- $reason: reason code (default: all)

SELECT
    site,
    source,
    topic,
    reason_code,
    count(*) AS rejects,
    count(DISTINCT (edge_id, edge_offset)) AS publications,
    sum(octet_length("bytes"))::BIGINT AS payload_bytes,
    min(received_time) AS first_time,
    max(received_time) AS last_time,
    arg_max(reason, (received_time, edge_offset, edge_index)) AS example
FROM rejects
WHERE ($site::VARCHAR IS NULL OR site = $site::VARCHAR)
  AND ($reason::VARCHAR IS NULL OR reason_code = $reason::VARCHAR)
GROUP BY site, source, topic, reason_code
ORDER BY rejects DESC, site NULLS LAST, source NULLS LAST, topic NULLS LAST, reason_code
