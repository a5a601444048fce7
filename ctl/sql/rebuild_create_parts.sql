-- What each day gave to each period; dimensions only for unique.
create temporary table rebuild_parts (
    tenant       text collate "C" not null,
    metric       text collate "C" not null,
    aggregation  text not null,
    period_start timestamptz not null,
    period_end   timestamptz not null,
    dimensions   jsonb not null,
    events       bigint not null,
    quantity_sum numeric not null,
    quantity_max numeric not null,
    last         text collate "C" not null
) on commit drop
