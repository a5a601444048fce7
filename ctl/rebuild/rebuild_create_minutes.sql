-- The minute rows of one day: recomputed, or as they are stored if they cannot be recomputed.
CREATE TEMPORARY TABLE rebuild_minutes (
    tenant       text COLLATE "C" NOT NULL,
    metric       text COLLATE "C" NOT NULL,
    dimensions   jsonb NOT NULL,
    minute_at    timestamptz NOT NULL,
    events       bigint NOT NULL,
    quantity_sum numeric NOT NULL,
    quantity_min numeric NOT NULL,
    quantity_max numeric NOT NULL,
    last         text COLLATE "C" NOT NULL   -- as last_value makes it
) ON COMMIT DROP
