-- Minute sums for fold_usage: of a batch, and maybe of others before.
-- $1 int8 batch, NULL: a number of its own; $2 text stream; $3 text[] tenants; $4 text[] metrics; $5 text[] dimensions,
-- JSON; $6 timestamptz[] minutes; $7 int8[] events; $8 to $10 numeric[] sum, min, max; $11 text[] last values with
-- their places
INSERT INTO usage_pending (batch, stream, tenants, metrics, dimensions, minutes, events, sums, mins, maxs, lasts)
VALUES (coalesce($1, nextval('usage_batch')), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
