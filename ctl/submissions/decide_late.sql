-- Decides on submissions that are late, notes it in the billing history, and asks the sink to act. Returns what was asked
-- for, as it was before. Values that replace each other are not carried over: an old one would replace the current one.
-- $1 text: carry or drop; $2 jsonb: identifiers, or NULL: all that wait for a decision; $3 text: one tenant, or NULL
WITH wanted AS MATERIALIZED (
    SELECT s.identifier, s.tenant, s.metric, s.state, s.quantity, s.decision,
           EXISTS (SELECT FROM metrics m
                    WHERE m.metric = s.metric AND m.aggregation NOT IN ('sum', 'count')) AS replaces
      FROM usage_submissions s
     WHERE CASE WHEN $2::jsonb IS NULL THEN s.state = 'late' AND s.decision IS NULL
                ELSE s.identifier IN (SELECT jsonb_array_elements_text($2::jsonb)) END
       AND ($3::text IS NULL OR s.tenant = $3::text)
), decided AS (
    UPDATE usage_submissions s
       SET decision = $1::text, decided_at = now()
      FROM wanted w
     WHERE s.identifier = w.identifier AND s.state = 'late' AND s.decision IS DISTINCT FROM $1::text
       AND ($1::text = 'drop' OR NOT w.replaces)
    RETURNING s.identifier, s.tenant, s.metric, s.quantity, s.usage_at, s.period_start
), noted AS (
    INSERT INTO billing_history (tenant, kind, object_id, detail)
    SELECT tenant, CASE $1::text WHEN 'carry' THEN 'late_carried' ELSE 'late_dropped' END, identifier,
           jsonb_build_object('metric', metric, 'quantity', trim_scale(quantity)::text, 'usage_at', usage_at,
                              'period_start', period_start)
      FROM decided
     ORDER BY identifier
), asked AS MATERIALIZED (
    SELECT request_sink(tenant, 'settle') FROM (SELECT DISTINCT tenant FROM decided) t
)
SELECT w.identifier, w.tenant, w.state, trim_scale(w.quantity) AS quantity, w.decision,
       d.identifier IS NOT NULL AS done, p.stripe_subscription_id IS NOT NULL AS subscribed, w.replaces, w.metric
  FROM wanted w
  LEFT JOIN decided d USING (identifier)
 CROSS JOIN LATERAL billing_period(w.tenant, now()) p
 WHERE (SELECT count(*) FROM asked) >= 0
 ORDER BY w.identifier
