-- What a subscription in that state earns a month, in minor units of its currency, exactly: nothing unless it is active or
-- past due. NULL: a price or its tiers are not known.
CREATE OR REPLACE FUNCTION subscription_mrr(p_state subscription_states) RETURNS fraction
LANGUAGE sql STABLE
RETURN CASE WHEN p_state.status IN ('active', 'past_due') THEN items_mrr(p_state.items, p_state.discounts, p_state.currency)
            ELSE ROW(0, 1)::fraction END;

COMMENT ON FUNCTION subscription_mrr IS 'What a subscription in that state earns a month, in minor units, exactly.';
