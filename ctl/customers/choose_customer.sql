-- What follows for a tenant from a decision: who is billed.
-- $1 text: tenant
SELECT choose_customers(ARRAY[$1::text])
