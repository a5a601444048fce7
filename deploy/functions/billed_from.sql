-- From when on Stripe bills usage to the period that begins with this minute. Stripe's period begins at a second
-- inside the minute (the second of the anchor), and not before the subscription. Stripe bills earlier usage of that
-- minute on the previous invoice. Anchor and start are those of the period's subscription; NULL for a calendar month.
CREATE OR REPLACE FUNCTION billed_from(p_period_start timestamptz, p_anchor timestamptz, p_started_at timestamptz)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(p_period_start, p_started_at, p_period_start + (p_anchor - minute_of(p_anchor)));

COMMENT ON FUNCTION billed_from IS
    'From when on Stripe bills usage to the period that begins with this minute, by the subscription''s anchor and start.';
