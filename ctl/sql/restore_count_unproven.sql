-- How many tenants have usage that is not claimed, since it was not compared with Stripe since a restore.
select count(distinct tenant) from restore_unproven
