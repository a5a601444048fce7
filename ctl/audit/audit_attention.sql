-- What waits for a person although everything adds up: one row, NULL where there is nothing. Units are added over all
-- metrics, negative ones like positive ones, so that what waits is never hidden by its opposite. lost: entries that
-- nobody has accepted (`meterctl lost accept`). in_doubt: also resolved by the sink's own comparison, if that can
-- tell. late: not decided on yet. too_large: values that Stripe does not take. drift: where Stripe differs from what
-- was sent, by the last comparison. meter_held: not sent because Stripe's meter is missing or counts in another way
-- (`meterctl status` says which). unmapped: cannot be sent although the tenant has a subscription: the customer is
-- gone, or the subscription has no item of the metric. not_compared: not claimed because it was not compared with
-- Stripe since a restore. not_invoiced: sent for a period that is over, and no final invoice bills it.
-- sink_hold: sinks send nothing.
WITH books AS (
    SELECT stream, epoch, lost FROM stream_positions
    UNION ALL
    SELECT stream, epoch, lost FROM stream_epochs
), lost AS (
    SELECT sum(greatest(b.lost - coalesce(a.lost, 0), 0))::bigint AS entries
      FROM books b
      LEFT JOIN lost_accepted a USING (stream, epoch)
), stuck AS (
    SELECT trim_scale(sum(abs(quantity)) FILTER (WHERE state = 'failed')) AS failed,
           trim_scale(sum(abs(quantity)) FILTER (WHERE state = 'in_doubt')) AS in_doubt,
           trim_scale(sum(abs(quantity)) FILTER (WHERE state = 'late' AND decision IS NULL)) AS late
      FROM usage_submissions
     WHERE state IN ('failed', 'in_doubt', 'late')
), too_large AS (
    SELECT trim_scale(sum(abs(t.quantity))) AS units
      FROM metrics m
      JOIN usage_totals t USING (metric)
      JOIN billing_customers b ON b.tenant = t.tenant AND b.deleted_at IS NULL
     WHERE m.aggregation NOT IN ('sum', 'count') AND m.transport <> 'none'
       AND abs(floor(t.quantity)) > 999999999999999
), unmetered AS (
    SELECT trim_scale(sum(abs(s.quantity))) AS units
      FROM meter_holds h
      JOIN usage_submissions s USING (event_name)
     WHERE s.state = 'pending' AND s.transport <> 'usage_records'
), unmapped AS (
    SELECT trim_scale(sum(abs(u.quantity))) AS units
      FROM usage_unbilled u
     WHERE u.reason = 'unmapped' AND u.quantity <> 0
       AND u.tenant IN (SELECT tenant FROM subscriptions WHERE status NOT IN ('canceled', 'incomplete', 'incomplete_expired'))
), unproven AS (
    SELECT trim_scale(sum(abs(units))) AS units FROM restore_unproven WHERE is_held AND units <> 0
), not_invoiced AS (
    SELECT trim_scale(sum(abs(quantity))) AS units FROM usage_not_invoiced WHERE period_end > now() - interval '62 days'
), drift AS (
    SELECT trim_scale(sum(abs(drift_units))) AS units FROM usage_drift WHERE drift_units <> 0
)
SELECT nullif(l.entries, 0) AS lost, s.failed, s.in_doubt, s.late, t.units AS too_large, d.units AS drift,
       u.units AS meter_held, p.units AS unmapped, n.units AS not_compared,
       i.units AS not_invoiced,
       (SELECT nullif(value, 0) FROM ledger_state WHERE name = 'sink_hold') AS sink_hold
  FROM lost l, stuck s, too_large t, drift d, unmetered u, unmapped p, unproven n, not_invoiced i
