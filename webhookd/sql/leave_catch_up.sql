-- Leaves the reading of Stripe's events to others, though it has not come to its end.
-- $1 text: who has it
UPDATE stripe_catch_up SET owner = NULL, lease_until = NULL WHERE name = 'events' AND owner = $1::text
