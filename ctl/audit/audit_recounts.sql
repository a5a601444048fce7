-- Minutes that wait to be counted anew although nothing of them was taken back in that batch; at most 10.
SELECT r.stream, r.batch, r.tenant, r.metric, r.minute_at
  FROM usage_recounts r
 WHERE NOT EXISTS (
       SELECT FROM usage_batches b
        CROSS JOIN LATERAL unnest(b.tenants, b.metrics, b.occurred_ms, b.retracts) AS e (tenant, metric, occurred, retracts)
        WHERE b.stream = r.stream AND b.batch = r.batch AND b.slice = tenant_slice(r.tenant) AND e.retracts > 0
          AND e.tenant = r.tenant AND e.metric = r.metric
          AND minute_of(to_timestamp(0) + e.occurred * interval '1 ms') = r.minute_at)
 ORDER BY r.stream, r.batch, r.tenant
 LIMIT 10
