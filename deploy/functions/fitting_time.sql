-- When a change of a subscription takes effect if nothing is said: what costs less, or is paid for a shorter time, at the
-- period's end; all else now, also in a trial, and where fees cannot be compared. The API changes plans by the same rule.
-- p_items: those of match_items. Pure.
CREATE OR REPLACE FUNCTION fitting_time(p_spec jsonb, p_items jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    fee record;
BEGIN
    SELECT (i.old_price).unit_amount * i.old_quantity AS was, (i.price).unit_amount * i.quantity AS is,
           p.days_was * (i.old_price).interval_count AS days_was, p.days_is * (i.price).interval_count AS days_is,
           p.times_was * (i.price).interval_count AS times_was, p.times_is * (i.old_price).interval_count AS times_is
      INTO fee
      FROM preview_items(p_spec || jsonb_build_object('change', jsonb_build_object('items', p_items))) i
     CROSS JOIN LATERAL (
           SELECT CASE (i.old_price).billing_interval WHEN 'day' THEN 1 WHEN 'week' THEN 7 WHEN 'year' THEN 365 ELSE 30 END,
                  CASE (i.price).billing_interval WHEN 'day' THEN 1 WHEN 'week' THEN 7 WHEN 'year' THEN 365 ELSE 30 END,
                  CASE (i.old_price).billing_interval WHEN 'day' THEN 365 WHEN 'week' THEN 52 WHEN 'year' THEN 1 ELSE 12 END,
                  CASE (i.price).billing_interval WHEN 'day' THEN 365 WHEN 'week' THEN 52 WHEN 'year' THEN 1 ELSE 12 END)
           p (days_was, days_is, times_was, times_is)
     WHERE i.id IS NOT NULL AND NOT i.was_metered AND NOT i.is_metered AND i.is_replaced
     ORDER BY i.place LIMIT 1;
    RETURN CASE WHEN NOT FOUND OR (p_spec ->> 'trialing')::boolean THEN 'now'
                WHEN fee.days_is <> fee.days_was THEN CASE WHEN fee.days_is < fee.days_was THEN 'period_end' ELSE 'now' END
                WHEN fee.is * fee.times_is < fee.was * fee.times_was THEN 'period_end'
                ELSE 'now' END;
END $$;

COMMENT ON FUNCTION fitting_time IS 'When a change of a subscription takes effect if nothing is said.';
