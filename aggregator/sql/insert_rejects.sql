-- Entries that were not counted, with why.
-- $1 text stream; $2 int4 epoch; $3 text[] entry ids; $4 text[] tenants; $5 text[] reasons; $6 text[] details;
-- $7 text[] fields, JSON; $8 int8[] content; $9 int8 batch
INSERT INTO rejected_events (stream, epoch, batch, stream_id, tenant, reason, detail, fields, content)
SELECT $1, $2, $9::int8, id, tenant, reason, detail, fields::jsonb, content
  FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int8[])
       AS r (id, tenant, reason, detail, fields, content)
