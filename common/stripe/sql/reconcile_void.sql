-- One that Stripe does not hold: its quantity is claimed anew.
-- $1 text: identifier
-- $2 text: why
SELECT void_submission($1, ARRAY['in_doubt'], $2)
