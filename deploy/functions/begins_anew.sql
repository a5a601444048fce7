-- Whether a change begins a new billing cycle at once, whenever it is asked for: it is from a plan without fees to one with
-- fees, a fee gets another interval, or nothing is billed any more by an interval that there was. Pure; part of preview_lines.
CREATE OR REPLACE FUNCTION begins_anew(p_spec jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(sum(price_amount(x.old_price, x.old_quantity)) FILTER (WHERE NOT x.was_metered), 0) = 0
           AND coalesce(sum(price_amount(x.price, x.quantity)) FILTER (WHERE NOT x.is_metered), 0) > 0
           OR coalesce(bool_or(((x.price).billing_interval, (x.price).interval_count)
                               IS DISTINCT FROM ((x.old_price).billing_interval, (x.old_price).interval_count))
                           FILTER (WHERE NOT x.is_metered AND NOT x.was_metered AND x.is_replaced), false)
           OR coalesce(NOT array_agg(o.cycle) FILTER (WHERE x.was_metered IS NOT NULL)
                           && array_agg(n.cycle) FILTER (WHERE x.is_metered IS NOT NULL), false)
      FROM preview_items(p_spec) x
     CROSS JOIN LATERAL (SELECT coalesce((x.old_price).interval_count || (x.old_price).billing_interval,
                                         (x.old_price).stripe_price_id)) o (cycle)
     CROSS JOIN LATERAL (SELECT coalesce((x.price).interval_count || (x.price).billing_interval, (x.price).stripe_price_id)) n (cycle)
$$;

COMMENT ON FUNCTION begins_anew IS 'Whether a change begins a new billing cycle at once.';
