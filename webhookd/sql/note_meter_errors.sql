-- Marks submissions that Stripe accepted and refused later, and asks the sink to compare their tenants. A report names
-- only samples. If there are more errors, all tenants are compared that sent usage to the same meters shortly before
-- Stripe checked. Stripe checks within minutes of the call, and an hour is to be safe. The comparison starts after 11
-- minutes, because it does not count what was sent in the last 10.
-- $1 jsonb: [{"identifier": text, "error": text}, …]
-- $2 bigint, $3 bigint: when Stripe began and ended its check, Unix seconds; NULL: all errors are named, or it is not known
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
