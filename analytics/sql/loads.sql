-- Which loads went through the gates, and with what?
-- One row per load, newest first: what was at a gate together. `direction` is that of most of its items; `others`
-- went another way, such as a box that stood beside the gate. `documents` are those nearest in time that announced or
-- booked its items, by EPC where they name one, else by GTIN. Loads that did not go through are left out unless
-- `$direction` asks for them.
-- subject: gates and exits
-- parameters:
-- $direction: inbound, outbound, returned, passed_by or static; all is the first three (default: all)
-- $gate: gate identifier (default: all)
-- $epc: EPC hex or part of it, of an item in the load (default: all)
-- $hours: how far from its document a load may be (default: 24)
-- $site: site identifier (default: all)

WITH directed AS (
    SELECT site, gate, "load", direction, count(*) AS items, max(confidence) AS surest
    FROM passages
    GROUP BY site, gate, "load", direction
    QUALIFY row_number() OVER (PARTITION BY site, gate, "load" ORDER BY items DESC, surest DESC, direction) = 1
),
members AS (
    SELECT passages.*, directed.direction AS load_direction
    FROM passages
    JOIN directed USING (site, gate, "load")
),
matches AS (
    SELECT members.site, members.gate, members."load", business_events.business_transaction
    FROM members
    JOIN business_events
      ON business_events.site = members.site
     AND business_events.business_transaction IS NOT NULL
     AND (
         business_events.epc_hex = members.epc_hex
         OR (business_events.epc_hex IS NULL AND business_events.gtin = members.gtin)
     )
     AND business_events.event_time BETWEEN members.from_time - to_seconds(3600 * $hours::DOUBLE)
         AND members.until_time + to_seconds(3600 * $hours::DOUBLE)
    WHERE members.direction = members.load_direction
      AND (
          (members.direction = 'inbound' AND business_events.event IN ('receipt', 'transfer_in'))
          OR (
              members.direction = 'inbound'
              AND business_events.event = 'expected'
              AND business_events.event_time <= members.until_time
          )
          OR (members.direction = 'outbound' AND business_events.event IN ('transfer_out', 'sale'))
      )
    QUALIFY row_number() OVER (
        PARTITION BY members.site, members.gate, members."load", members.epc_hex
        ORDER BY
            business_events.epc_hex IS NULL,
            abs(epoch_us(business_events.event_time) - epoch_us(members.from_time)),
            business_events.business_transaction
    ) = 1
),
papers AS (
    SELECT DISTINCT site, gate, "load", business_transaction
    FROM matches
)
SELECT
    members.site,
    members.gate,
    gates.name AS gate_name,
    members."load",
    members.load_direction AS direction,
    min(members.from_time) AS from_time,
    max(members.until_time) AS until_time,
    count(*) FILTER (members.direction = members.load_direction) AS items,
    count(DISTINCT members.gtin) FILTER (members.direction = members.load_direction) AS gtins,
    count(*) FILTER (members.direction <> members.load_direction) AS others,
    round(avg(members.confidence) FILTER (members.direction = members.load_direction), 6) AS confidence_mean,
    (
        SELECT string_agg(papers.business_transaction, ', ' ORDER BY papers.business_transaction)
        FROM papers
        WHERE papers.site = members.site AND papers.gate = members.gate AND papers."load" = members."load"
    ) AS documents
FROM members
LEFT JOIN gates USING (site, gate)
WHERE ($site::VARCHAR IS NULL OR members.site = $site::VARCHAR)
  AND ($gate::VARCHAR IS NULL OR members.gate = $gate::VARCHAR)
  AND (
      members.load_direction = $direction::VARCHAR
      OR ($direction::VARCHAR IS NULL AND members.load_direction IN ('inbound', 'outbound', 'returned'))
  )
GROUP BY members.site, members.gate, gates.name, members."load", members.load_direction
HAVING $epc::VARCHAR IS NULL OR bool_or(contains(members.epc_hex, upper($epc::VARCHAR)))
ORDER BY until_time DESC, members.site, members.gate, members."load"
