-- What was carried into the current period follows a late event of the period before, as long as the current
-- one has no event of its own.
UPDATE usage_totals t
   SET quantity = p.quantity, version = greatest(nextval('usage_version'), t.version + 1), last_ms = p.last_ms,
       last_entry = p.last_entry, updated_at = now()
  FROM metrics m, usage_totals p
 WHERE m.carry AND m.metric = t.metric AND t.period_start <= now() AND now() < t.period_end
   AND t.last_ms < extract(epoch FROM t.period_start) * 1000
   AND p.tenant = t.tenant AND p.metric = t.metric
   AND p.period_start = (SELECT max(b.period_start) FROM usage_totals b
                          WHERE b.tenant = t.tenant AND b.metric = t.metric AND b.period_start < t.period_start)
   AND (p.last_ms, p.last_entry) > (t.last_ms, t.last_entry)
RETURNING t.tenant
