-- How many tenants have usage that is not claimed, since it was not compared with Stripe since a restore.
SELECT count(DISTINCT tenant) FROM restore_unproven
