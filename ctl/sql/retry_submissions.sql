-- Gives submissions that failed back, so that their quantities are claimed anew, and asks the sink to do so at once. Those
-- of which Stripe holds or may hold something are left alone, unless told otherwise. Returns what was asked for.
-- $1 jsonb: identifiers, or NULL: all that failed; $2 text: one tenant, or NULL
-- $3 boolean: those too of which Stripe may hold something
with wanted as materialized (
    select s.identifier, s.tenant, s.state, s.quantity, s.doubt_quantity, s.last_error,
           s.state = 'failed' and ($3::boolean or coalesce(s.doubt_quantity, 0) = 0) as may
      from usage_submissions s
     where case when $1::jsonb is null then s.state = 'failed'
                else s.identifier in (select jsonb_array_elements_text($1::jsonb)) end
       and ($2::text is null or s.tenant = $2::text)
), tried as materialized (
    select *, case when may then void_submission(identifier, '{failed}', concat_ws(': ', 'given back by hand', last_error))
                   else false end as done
      from wanted
), asked as materialized (
    select request_sink(tenant, 'settle') from (select distinct tenant from tried where done) t
)
select identifier, state, trim_scale(quantity) as quantity, trim_scale(doubt_quantity) as doubt_quantity, done
  from tried
 where (select count(*) from asked) >= 0
 order by identifier
