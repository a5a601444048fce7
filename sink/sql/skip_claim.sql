-- A claim that the database refused gets another number, and so another identifier: the one it had may be taken by a
-- tenant that had the customer before.
-- $1 text: tenant, $2 text: metric, $3 timestamptz: period_start
INSERT INTO usage_claims AS c (tenant, metric, period_start, version, claimed, claims, periods_version)
VALUES ($1, $2, $3, -1, 0, 1, -1)
    ON CONFLICT (tenant, metric, period_start) DO UPDATE SET claims = c.claims + 1
