-- A batch whose minute sums follow, or will be counted from its raw events.
-- $1 int8 batch; $2 text stream
INSERT INTO usage_pending (batch, stream, from_raw) VALUES ($1, $2, true)
