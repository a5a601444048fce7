-- Recurring revenue at a time, with what moved it in the 30 days before; what was paid in them, and metered usage of the last
-- full periods, each by currency. Column 1: why it cannot be told, and 2: which parameter that is about; else NULL.
-- $1 timestamptz: when; NULL: now
-- $2 text: the currency of sums; NULL: reporting_currency()
-- $3 text: plan or currency: a row for each; NULL: all of it in one
SELECT jsonb_build_object(
           'at', w.at, 'since', w.at - interval '30 days', 'revenue', a.told -> 'rows',
           'receipts', coalesce((SELECT jsonb_agg(jsonb_build_object(
                                            'payments', p.payments,
                                            'amount', shown_amount(to_jsonb(p.amount_minor), p.currency)) ORDER BY p.currency)
                                   FROM revenue_receipts(w.at - interval '30 days', w.at, NULL, 'currency') p), '[]'),
           'metered', coalesce((SELECT jsonb_agg(jsonb_build_object(
                                           'subscriptions', m.subscriptions,
                                           'amount', shown_amount(to_jsonb(m.amount), m.currency)) ORDER BY m.currency)
                                  FROM (SELECT u.currency, count(DISTINCT u.subscription) AS subscriptions, sum(u.amount_minor) AS amount
                                          FROM metered_revenue(w.at) u WHERE u.amount_minor > 0 GROUP BY u.currency) m), '[]'))::text,
       a.told ->> 'fault', a.told ->> 'param'
  FROM (SELECT coalesce($1::timestamptz, now()) AS at) w
 CROSS JOIN LATERAL (SELECT revenue_answer(NULL, w.at, NULL, $2::text, $3::text) AS told) a
