-- What became of a POST.
-- $1 text: idempotency key; $2 text: done, refused, or spent: a failure is stored under the key; $3 text: the object that
-- it made or changed, or NULL; $4 text: why it failed, or NULL
UPDATE stripe_operations SET state = $2, object_id = $3, error = $4, ended_at = clock_timestamp() WHERE idempotency_key = $1
