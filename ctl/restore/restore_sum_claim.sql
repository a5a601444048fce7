-- What is claimed of a period after something was adopted. The next claim sums it up again.
-- $1 text tenant, $2 text metric, $3 timestamptz, $4 timestamptz: the period
SELECT sum_claim($1, $2, $3::timestamptz, $4::timestamptz)
