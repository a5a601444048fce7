-- Tenants whose names are about as long as one that is not there. $1 text: that one
SELECT tenant FROM billing_customers
 WHERE char_length(tenant) BETWEEN char_length($1::text) - 3 AND char_length($1::text) + 3
 UNION
SELECT tenant FROM usage_totals
 WHERE char_length(tenant) BETWEEN char_length($1::text) - 3 AND char_length($1::text) + 3
 UNION
SELECT tenant FROM tenant_limits
 WHERE char_length(tenant) BETWEEN char_length($1::text) - 3 AND char_length($1::text) + 3
 LIMIT 100000
