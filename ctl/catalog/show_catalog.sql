-- The catalog in the form of its file, without what is retired. A price of more than nine digits
-- behind the point is shown per 1000, as the file would have to put it.
SELECT json_strip_nulls(json_build_object(
    'metrics', (
        SELECT coalesce(json_agg(json_strip_nulls(json_build_object(
                   'metric', metric, 'name', display_name, 'unit', unit, 'aggregation', aggregation,
                   'carry', CASE WHEN carry THEN true END,
                   'dimensions', CASE WHEN dimensions <> '{}' THEN to_json(dimensions) END,
                   'from', from_metric,
                   'where', CASE WHEN where_dimensions <> '{}' THEN where_dimensions END,
                   'stripe_event_name', stripe_event_name, 'transport', transport,
                   'cost_per_unit', CASE WHEN cost_per_unit IS NOT NULL THEN
                       json_build_object('amount_minor', trim_scale(cost_per_unit * x.per)::text, 'per', x.per::text,
                                         'currency', cost_currency) END,
                   'hours_saved', trim_scale(hours_saved)::text))
                   ORDER BY metric), '[]')
          FROM metrics
         CROSS JOIN LATERAL (SELECT CASE WHEN scale(trim_scale(cost_per_unit)) > 9 THEN 1000 ELSE 1 END) AS x (per)
         WHERE retired_at IS NULL),
    'plans', (
        SELECT coalesce(json_agg(json_strip_nulls(json_build_object(
                   'plan', p.plan, 'name', p.display_name, 'currency', p.currency,
                   'custom', CASE WHEN p.custom THEN true END,
                   'base_amount_minor', CASE WHEN NOT p.custom THEN p.base_amount_minor END,
                   'yearly_amount_minor', p.yearly_amount_minor,
                   'seat', CASE WHEN p.seat_amount_minor IS NOT NULL THEN
                       json_build_object('amount_minor', p.seat_amount_minor,
                                         'yearly_amount_minor', p.yearly_seat_amount_minor) END,
                   'trial_days', CASE WHEN p.trial_days > 0 THEN p.trial_days END,
                   'interval', p.billing_interval, 'stripe_lookup_key', p.stripe_lookup_key,
                   'limits', (
                       SELECT coalesce(json_object_agg(l.metric, json_build_object(
                                  'included', coalesce(trim_scale(l.included)::text, 'unlimited'),
                                  'cap', l.cap,
                                  'window', CASE WHEN l.limit_window <> 'period' THEN l.limit_window END,
                                  'overage', CASE WHEN l.overage_unit_price IS NOT NULL THEN
                                      json_build_object(
                                          'amount_minor',
                                          trim_scale(l.overage_unit_price * x.per)::text,
                                          'per', x.per::text) END) ORDER BY l.metric), '{}')
                         FROM plan_limits l
                        CROSS JOIN LATERAL (
                            SELECT CASE WHEN scale(trim_scale(l.overage_unit_price)) > 9
                                        THEN 1000 ELSE 1 END) AS x (per)
                        WHERE l.plan = p.plan)))
                   ORDER BY p.base_amount_minor, p.plan), '[]')
          FROM plans p
         WHERE p.retired_at IS NULL),
    'on_collection_pause', (
        SELECT CASE value WHEN 1 THEN 'blocked' ELSE 'active' END FROM ledger_state WHERE name = 'blocks_paused'),
    'tax_rounding', (
        SELECT CASE value WHEN 1 THEN 'invoice' ELSE 'line' END FROM ledger_state WHERE name = 'tax_by_invoice'),
    'tax', (
        SELECT json_build_object('name', display_name, 'percentage', trim_scale(percentage)::text,
                                 'inclusive', inclusive)
          FROM catalog_tax),
    'alerts', (SELECT coalesce(json_agg(percent ORDER BY percent), '[]') FROM alert_thresholds)))
