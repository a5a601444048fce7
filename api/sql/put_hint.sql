-- Tells webhookd that an object has changed at Stripe, as a thin event would. It works it before a backlog of others.
-- $1 text: id of the hint; $2 text: type; $3 text: the object; $4 text: its customer, or NULL; $5 text: payload
INSERT INTO webhook_events (event_id, type, object_id, customer_id, priority, created_at, payload)
VALUES ($1, $2, $3, $4, 1, clock_timestamp(), $5)
    ON CONFLICT (event_id) DO NOTHING
