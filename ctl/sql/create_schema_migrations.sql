-- What was applied, by whom stages tell whether the schema is theirs.
create table if not exists public.schema_migrations (
    version         int primary key,
    name            text collate "C" not null,
    checksum        text not null,         -- SHA-256 of the migration's text
    compatible_from int not null,          -- the oldest build that this still suits
    applied_at      timestamptz not null default now()
)
