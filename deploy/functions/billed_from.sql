-- From when on Stripe bills usage to the period that begins with that minute: the cut edge's own second, and not before
-- the subscription. Usage of the minute that holds the edge would be of the invoice before. Anchor and start are those
-- of the period's subscription; NULL for a calendar month.
CREATE OR REPLACE FUNCTION billed_from(p_period_start timestamptz, p_anchor timestamptz, p_started_at timestamptz)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(p_period_start, p_started_at, p_period_start + (p_anchor - minute_of(p_anchor)));

COMMENT ON FUNCTION billed_from IS
    'From when on Stripe bills usage to the period that begins with that minute, by the subscription''s anchor and start.';
