-- Adds a line to a tenant's billing history.
-- $1 text: tenant
-- $2 text: the event's type, stored with underscores
-- $3 text: id of the object
-- $4 text: event id
-- $5 jsonb: detail
INSERT INTO billing_history (tenant, kind, object_id, event_id, detail)
VALUES ($1::text, replace($2::text, '.', '_'), $3::text, $4::text, $5::jsonb)
