-- The stream is rewritten: end its epoch with its balance and open the next one, which begins with what waits.
-- $1 text stream; $2 text owner; $3 int4 epoch; $4 text last_id; $5 uuid token of the new epoch
SELECT open_epoch($1, $2, $3, $4, 'reset', 0, '0-0', 0, 0, '0-0', $5)
