-- What each day adds to each period; with dimensions for unique only.
CREATE TEMPORARY TABLE rebuild_parts (
    tenant       text COLLATE "C" NOT NULL,
    metric       text COLLATE "C" NOT NULL,
    aggregation  text NOT NULL,
    period_start timestamptz NOT NULL,
    period_end   timestamptz NOT NULL,
    dimensions   jsonb NOT NULL,
    events       bigint NOT NULL,
    quantity_sum numeric NOT NULL,
    quantity_max numeric NOT NULL,
    last         text COLLATE "C" NOT NULL
) ON COMMIT DROP
