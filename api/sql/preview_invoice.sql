-- The next invoice of a tenant's subscription, by what is stored here. NULL: it has none.
-- $1 text: tenant
-- $2 text: JSON of what is to change: {plan, seats, at, interval}, or {}
SELECT preview_invoice($1::text, $2::jsonb, now())::text
