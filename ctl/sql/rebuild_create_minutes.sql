-- The minute rows of one day, recomputed, or as they are stored where they cannot be.
create temporary table rebuild_minutes (
    tenant       text collate "C" not null,
    metric       text collate "C" not null,
    dimensions   jsonb not null,
    minute_at    timestamptz not null,
    events       bigint not null,
    quantity_sum numeric not null,
    quantity_min numeric not null,
    quantity_max numeric not null,
    last         text collate "C" not null   -- as last_value makes it
) on commit drop
