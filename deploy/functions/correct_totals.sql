-- Corrects totals after minutes of theirs were recounted: values that cannot be subtracted, and which event is the
-- last one. Part of recount_usage. p_lowered: the minute with the greatest value has a smaller one now. p_gone: how
-- many values of a unique metric no longer occur. Without any usage left, a total is 0 and comes before every event.
CREATE OR REPLACE FUNCTION correct_totals(p_tenants text[], p_metrics text[], p_starts timestamptz[], p_lowered boolean[],
                                          p_gone bigint[]) RETURNS void
LANGUAGE sql SET jit = off SET enable_nestloop = on AS $$
    UPDATE usage_totals t
       SET quantity = CASE m.aggregation
               WHEN 'last' THEN coalesce(n.quantity_last, 0)
               WHEN 'unique' THEN t.quantity - k.gone
               WHEN 'max' THEN
                   CASE WHEN k.lowered
                        THEN coalesce((SELECT max(a.quantity_max) FROM usage_aggregates a
                                        WHERE a.tenant = k.tenant AND a.metric = k.metric
                                          AND a.minute_at >= x.period_start AND a.minute_at < x.period_end), 0)
                        ELSE t.quantity END
               ELSE t.quantity END,
           last_ms = coalesce(n.last_ms, (-9223372036854775808)), last_entry = coalesce(n.last_entry, '')
      FROM unnest(p_tenants, p_metrics, p_starts, p_lowered, p_gone) k (tenant, metric, period_start, lowered, gone)
      JOIN metrics m USING (metric)
      JOIN usage_totals x USING (tenant, metric, period_start)
      LEFT JOIN LATERAL (
           SELECT a.quantity_last, a.last_ms, a.last_entry FROM usage_aggregates a
            WHERE a.tenant = k.tenant AND a.metric = k.metric
              AND a.minute_at >= x.period_start AND a.minute_at < x.period_end
            ORDER BY a.minute_at DESC, a.last_ms DESC, a.last_entry DESC LIMIT 1) n ON true
     WHERE (t.tenant, t.metric, t.period_start) = (k.tenant, k.metric, k.period_start)
       AND NOT m.carry
$$;

COMMENT ON FUNCTION correct_totals IS 'Corrects the totals of minutes that were recounted; part of recount_usage.';
REVOKE ALL ON FUNCTION correct_totals FROM PUBLIC;
GRANT EXECUTE ON FUNCTION correct_totals TO meterline_ctl;
