-- Tenants whose names are about as long as one that is not there. $1 text: that one
select tenant from billing_customers
 where char_length(tenant) between char_length($1::text) - 3 and char_length($1::text) + 3
 union
select tenant from usage_totals
 where char_length(tenant) between char_length($1::text) - 3 and char_length($1::text) + 3
 union
select tenant from tenant_limits
 where char_length(tenant) between char_length($1::text) - 3 and char_length($1::text) + 3
 limit 100000
