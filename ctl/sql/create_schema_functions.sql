-- What each function was last defined by: `migrate` defines it anew when its text has changed.
create table if not exists public.schema_functions (
    name       text collate "C" primary key,
    checksum   text not null,              -- SHA-256 of the text of deploy/functions/NAME.sql
    applied_at timestamptz not null default now()
)
