-- Which item of a subscription becomes which of the wanted prices, so that all change in one call: the same price, else
-- the metered price of the same meter or metric, else fee by fee, in their order. Returns the items that are wanted, with the id of
-- the one that each replaces, or without one. Pure.
--
-- p_items: those of preview_spec. p_wanted: [{price, quantity}], quantity NULL: as many as before, of a new one 1.
CREATE OR REPLACE FUNCTION match_items(p_items jsonb, p_wanted jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    wanted record;
    found record;
    taken text[] := '{}';
    round integer;
    done bigint[] := '{}';
    result jsonb := '[]';
BEGIN
    FOR round IN 1 .. 4 LOOP
        FOR wanted IN SELECT w.place, w.item, w.item -> 'price' AS price
                        FROM jsonb_array_elements(p_wanted) WITH ORDINALITY w (item, place) ORDER BY w.place LOOP
            CONTINUE WHEN wanted.place = ANY (done);
            SELECT i.item ->> 'id' AS id, i.item -> 'quantity' AS quantity INTO found
              FROM jsonb_array_elements(p_items) WITH ORDINALITY i (item, place)
             WHERE i.item ->> 'id' <> ALL (taken)
               AND CASE round
                   WHEN 1 THEN i.item #>> '{price,stripe_price_id}' = wanted.price ->> 'stripe_price_id'
                   WHEN 2 THEN i.item #>> '{price,usage_type}' = 'metered' AND wanted.price ->> 'usage_type' = 'metered'
                               AND (i.item #>> '{price,meter}' = wanted.price ->> 'meter'
                                    OR i.item #>> '{price,metric}' = wanted.price ->> 'metric')
                   WHEN 3 THEN i.item #>> '{price,usage_type}' IS DISTINCT FROM 'metered'
                               AND wanted.price ->> 'usage_type' IS DISTINCT FROM 'metered'
                   ELSE false END
             ORDER BY i.place LIMIT 1;
            CONTINUE WHEN found.id IS NULL AND round < 4;
            done := done || wanted.place;
            IF found.id IS NOT NULL THEN
                taken := taken || found.id;
            END IF;
            result := result || jsonb_build_array(jsonb_build_object('id', found.id, 'price', wanted.price, 'quantity',
                CASE WHEN wanted.price ->> 'usage_type' = 'metered' THEN NULL
                     ELSE coalesce(NULLIF(wanted.item -> 'quantity', 'null'), NULLIF(found.quantity, 'null'), '1') END));
        END LOOP;
    END LOOP;
    RETURN result;
END $$;

COMMENT ON FUNCTION match_items IS 'Which item of a subscription becomes which of the wanted prices.';
