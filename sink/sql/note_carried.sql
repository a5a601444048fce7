-- Carried ones: the number that each got among the claims of its own period, and the minute that it uses in the
-- current one. Arrays of one length; a tenant and metric comes once.
-- $1 text[] tenant, $2 text[] metric, $3 timestamptz[] period_start, $4 int8[] claim,
-- $5 timestamptz[] period_start of the current one, $6 timestamptz[] usage_at
WITH carried AS (
    SELECT *
      FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::int8[], $5::timestamptz[], $6::timestamptz[])
           AS a (tenant, metric, own_start, claim, current_start, usage_at)
), numbered AS (
    UPDATE usage_claims c
       SET claims = greatest(c.claims, n.claim),
           first_at = CASE WHEN n.own_start = n.current_start THEN least(c.first_at, n.usage_at) ELSE c.first_at END,
           last_at = CASE WHEN n.own_start = n.current_start THEN greatest(c.last_at, n.usage_at) ELSE c.last_at END
      FROM carried n
     WHERE c.tenant = n.tenant AND c.metric = n.metric AND c.period_start = n.own_start
)
INSERT INTO usage_claims AS c (tenant, metric, period_start, version, claimed, claims, first_at, last_at,
                               periods_version)
SELECT tenant, metric, current_start, -1, 0, 0, usage_at, usage_at, -1
  FROM carried
 WHERE own_start <> current_start
    ON CONFLICT (tenant, metric, period_start) DO UPDATE
   SET first_at = least(c.first_at, excluded.first_at), last_at = greatest(c.last_at, excluded.last_at)
