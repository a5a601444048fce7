-- A claim that the database refused gets another number, and so another identifier: the one it had may be taken by a
-- tenant that had the customer before.
-- $1 text: tenant, $2 text: metric, $3 timestamptz: period_start
insert into usage_claims as c (tenant, metric, period_start, version, claimed, claims, periods_version)
values ($1, $2, $3, -1, 0, 1, -1)
    on conflict (tenant, metric, period_start) do update set claims = c.claims + 1
