-- Those that are left are this run's: one that still works on them is over.
-- $1 int8: sink_hold, $2 uuid: owner
with mine as (
    update restore_checks set owner = $2 where hold = $1 and checked_at is null returning tenant
)
select tenant from mine order by tenant
