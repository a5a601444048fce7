-- What each function was last defined by; `migrate` defines it anew when its text has changed.
CREATE TABLE IF NOT EXISTS public.schema_functions (
    name       text COLLATE "C" PRIMARY KEY,
    checksum   text NOT NULL,              -- SHA-256 of the text of deploy/functions/NAME.sql
    applied_at timestamptz NOT NULL DEFAULT now()
)
