-- Notes what changed in a tenant's billing.
-- $1 text: tenant
-- $2 text: the event's type; kept with underscores
-- $3 text: id of the object
-- $4 text: event id
-- $5 jsonb: detail
INSERT INTO billing_history (tenant, kind, object_id, event_id, detail)
VALUES ($1::text, replace($2::text, '.', '_'), $3::text, $4::text, $5::jsonb)
