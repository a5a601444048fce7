-- Notes the discounts in a batch of observations that say what they take off. That never changes at Stripe.
CREATE OR REPLACE FUNCTION note_discounts(p_batch jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stripe_discounts (stripe_discount_id, stripe_coupon_id, duration, percent_off, amount_off, currency, starts_at,
                                  ends_at)
    SELECT DISTINCT ON (d.id) d.id, d.coupon, d.duration, round(d.percent_off, 4), d.amount_off, d.currency,
           to_timestamp(d.starts), to_timestamp(d.ends)
      FROM (SELECT jsonb_path_query(p_batch, '$[*].facts.discounts[*] ? (exists (@.duration))')
            UNION ALL
            SELECT jsonb_path_query(p_batch, '$[*].facts.items[*].discounts[*] ? (exists (@.duration))')) AS x (discount)
     CROSS JOIN LATERAL jsonb_to_record(x.discount) AS d (id text, coupon text, duration text, percent_off numeric,
                                                          amount_off numeric, currency text,
                                                          starts float8, ends float8)
     WHERE d.id IS NOT NULL
     ORDER BY d.id
    ON CONFLICT (stripe_discount_id) DO NOTHING;
END $$;

COMMENT ON FUNCTION note_discounts IS 'Notes what discounts take off.';
