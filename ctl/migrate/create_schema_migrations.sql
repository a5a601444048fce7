-- The migrations that were applied; by them a stage tells whether it can work with the schema.
CREATE TABLE IF NOT EXISTS public.schema_migrations (
    version         int PRIMARY KEY,
    name            text COLLATE "C" NOT NULL,
    checksum        text NOT NULL,         -- SHA-256 of the migration's text
    compatible_from int NOT NULL,          -- the oldest build that this still suits
    applied_at      timestamptz NOT NULL DEFAULT now()
)
