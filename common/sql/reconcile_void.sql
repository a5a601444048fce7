-- One that Stripe does not hold: its quantity is claimed anew.
-- $1 text: identifier
-- $2 text: why
select void_submission($1, array['in_doubt'], $2)
