-- Add and change plans. One row for each that is new or different: its name, and what changed.
-- $1 json: rows of plans
WITH wanted AS (
    SELECT * FROM json_to_recordset($1::json) AS x (
        plan text, display_name text, currency text, base_amount_minor bigint, billing_interval text,
        stripe_lookup_key text, custom boolean, trial_days integer, yearly_amount_minor bigint,
        seat_amount_minor bigint, yearly_seat_amount_minor bigint)
), before AS (
    SELECT * FROM plans
), written AS (
    INSERT INTO plans AS p (plan, display_name, currency, base_amount_minor, billing_interval, stripe_lookup_key, custom,
                            trial_days, yearly_amount_minor, seat_amount_minor, yearly_seat_amount_minor)
    SELECT plan, display_name, currency, base_amount_minor, billing_interval, stripe_lookup_key, custom, trial_days,
           yearly_amount_minor, seat_amount_minor, yearly_seat_amount_minor
      FROM wanted
        ON CONFLICT (plan) DO UPDATE
       SET display_name = excluded.display_name, currency = excluded.currency,
           base_amount_minor = excluded.base_amount_minor, billing_interval = excluded.billing_interval,
           stripe_lookup_key = excluded.stripe_lookup_key, custom = excluded.custom, trial_days = excluded.trial_days,
           yearly_amount_minor = excluded.yearly_amount_minor, seat_amount_minor = excluded.seat_amount_minor,
           yearly_seat_amount_minor = excluded.yearly_seat_amount_minor, retired_at = NULL
     WHERE (p.display_name, p.currency, p.base_amount_minor, p.billing_interval, p.stripe_lookup_key, p.custom,
            p.trial_days, p.yearly_amount_minor, p.seat_amount_minor, p.yearly_seat_amount_minor, p.retired_at)
           IS DISTINCT FROM
           (excluded.display_name, excluded.currency, excluded.base_amount_minor, excluded.billing_interval,
            excluded.stripe_lookup_key, excluded.custom, excluded.trial_days, excluded.yearly_amount_minor,
            excluded.seat_amount_minor, excluded.yearly_seat_amount_minor, NULL::timestamptz)
    RETURNING p.*
)
SELECT w.plan,
       CASE WHEN b.plan IS NULL THEN 'added' ELSE 'changed: ' || concat_ws(', ',
           CASE WHEN b.retired_at IS NOT NULL THEN 'no longer retired' END,
           CASE WHEN w.display_name <> b.display_name THEN 'name' END,
           CASE WHEN w.currency <> b.currency THEN 'currency' END,
           CASE WHEN w.base_amount_minor <> b.base_amount_minor THEN
               format('base_amount_minor %s to %s', b.base_amount_minor, w.base_amount_minor) END,
           CASE WHEN w.billing_interval <> b.billing_interval THEN 'interval' END,
           CASE WHEN w.stripe_lookup_key IS DISTINCT FROM b.stripe_lookup_key
                THEN 'stripe_lookup_key' END,
           CASE WHEN w.custom <> b.custom THEN CASE WHEN w.custom THEN 'custom' ELSE 'no longer custom' END END,
           CASE WHEN w.trial_days <> b.trial_days THEN format('trial_days %s to %s', b.trial_days, w.trial_days) END,
           CASE WHEN w.yearly_amount_minor IS DISTINCT FROM b.yearly_amount_minor THEN
               format('yearly_amount_minor %s to %s', coalesce(b.yearly_amount_minor::text, 'none'),
                      coalesce(w.yearly_amount_minor::text, 'none')) END,
           CASE WHEN w.seat_amount_minor IS DISTINCT FROM b.seat_amount_minor THEN
               format('seat amount_minor %s to %s', coalesce(b.seat_amount_minor::text, 'none'),
                      coalesce(w.seat_amount_minor::text, 'none')) END,
           CASE WHEN w.yearly_seat_amount_minor IS DISTINCT FROM b.yearly_seat_amount_minor THEN
               format('seat yearly_amount_minor %s to %s', coalesce(b.yearly_seat_amount_minor::text, 'none'),
                      coalesce(w.yearly_seat_amount_minor::text, 'none')) END) END
  FROM written w
  LEFT JOIN before b USING (plan)
 ORDER BY w.plan
