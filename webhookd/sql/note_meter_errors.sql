-- note_meter_errors
-- Marks submissions that Stripe took and refused later, and asks the sink to compare their tenants. Only samples are
-- named: where there are more, all tenants are compared of which usage was sent to the same meters not long before
-- Stripe checked. What is sent is checked within minutes; an hour is to spare. What was sent in the last 10 minutes
-- is not held against Stripe, so that they are compared after that.
-- $1 jsonb: [{"identifier": text, "error": text}, …]
-- $2 bigint, $3 bigint: between these Stripe checked, Unix seconds; NULL: there are no others, or it did not say
WITH named AS MATERIALIZED (
    SELECT x.identifier, x.error FROM jsonb_to_recordset($1::jsonb) AS x (identifier text, error text)
), marked AS MATERIALIZED (
    SELECT note_meter_errors(array_agg(identifier), array_agg(error)) AS submissions FROM named
), others AS MATERIALIZED (
    SELECT DISTINCT s.tenant
      FROM usage_submissions s
     WHERE s.event_name IN (SELECT o.event_name FROM usage_submissions o JOIN named USING (identifier))
       AND s.last_sent_at >= 'epoch'::timestamptz + ($2::bigint - 3600) * interval '1 s'
       AND s.first_sent_at < 'epoch'::timestamptz + ($3::bigint + 60) * interval '1 s'
), asked AS MATERIALIZED (
    SELECT request_sink(tenant, 'reconcile', '11 minutes') FROM others
)
SELECT (SELECT submissions FROM marked) AS marked, (SELECT count(*) FROM asked) AS asked
