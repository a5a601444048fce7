-- What was changed, and by whose key.
-- $1 text: tenant, '' for all; $2 text: kind; $3 text: object, or NULL; $4 text: name of the key; $5 text: JSON of before and after
INSERT INTO billing_history (tenant, kind, object_id, actor, detail, occurred_at)
VALUES ($1, $2, $3, $4, $5::jsonb, clock_timestamp())
