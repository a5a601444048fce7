-- note_meter_errors
-- Marks submissions that Stripe took and refused later, and asks the sink to compare their tenants. Only samples are
-- named: where there are more, all tenants are compared of which usage was sent to the same meters not long before
-- Stripe checked. What is sent is checked within minutes; an hour is to spare. What was sent in the last 10 minutes
-- is not held against Stripe, so that they are compared after that.
-- $1 jsonb: [{"identifier": text, "error": text}, …]
-- $2 bigint, $3 bigint: between these Stripe checked, Unix seconds; NULL: there are no others, or it did not say
with named as materialized (
    select x.identifier, x.error from jsonb_to_recordset($1::jsonb) as x (identifier text, error text)
), marked as materialized (
    select note_meter_errors(array_agg(identifier), array_agg(error)) as submissions from named
), others as materialized (
    select distinct s.tenant
      from usage_submissions s
     where s.event_name in (select o.event_name from usage_submissions o join named using (identifier))
       and s.last_sent_at >= 'epoch'::timestamptz + ($2::bigint - 3600) * interval '1 s'
       and s.first_sent_at < 'epoch'::timestamptz + ($3::bigint + 60) * interval '1 s'
), asked as materialized (
    select request_sink(tenant, 'reconcile', '11 minutes') from others
)
select (select submissions from marked) as marked, (select count(*) from asked) as asked
