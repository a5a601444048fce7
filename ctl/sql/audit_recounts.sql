-- Minutes that wait to be counted anew although nothing of them was taken back in that batch; at most 10.
select r.stream, r.batch, r.tenant, r.metric, r.minute_at
  from usage_recounts r
 where not exists (
       select from usage_batches b
        cross join lateral unnest(b.tenants, b.metrics, b.occurred_ms, b.retracts) as e (tenant, metric, occurred, retracts)
        where b.stream = r.stream and b.batch = r.batch and b.slice = tenant_slice(r.tenant) and e.retracts > 0
          and e.tenant = r.tenant and e.metric = r.metric
          and minute_of(to_timestamp(0) + e.occurred * interval '1 ms') = r.minute_at)
 order by r.stream, r.batch, r.tenant
 limit 10
