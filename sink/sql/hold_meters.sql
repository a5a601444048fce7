-- Nothing is sent by these event names from now on, and by all others again. Tells what is held, and whether
-- usage waits for it, and what is not held any more. Two sinks may find the same at once: rows are locked in one order.
-- $1 text[] event_name, $2 text[] metric, $3 text[] why
with given as (
    select * from unnest($1::text[], $2::text[], $3::text[]) as g (event_name, metric, why)
), freed as (
    delete from meter_holds h
     where h.event_name in (select event_name from meter_holds except select event_name from given
                             order by event_name)
    returning h.event_name, h.metric, h.why
), put as (
    insert into meter_holds as h (event_name, metric, why)
    select event_name, metric, why from given order by event_name
        on conflict (event_name) do update set metric = excluded.metric, why = excluded.why
     where (h.metric, h.why) is distinct from (excluded.metric, excluded.why)
)
select g.event_name, g.metric, g.why, true as held,
       exists (select from usage_submissions s
                where s.event_name = g.event_name and s.state in ('pending', 'sending')
                  and s.transport <> 'usage_records') as waits
  from given g
 union all
select event_name, metric, why, false, false from freed
 order by held, event_name
