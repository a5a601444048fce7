-- How many tenants have usage that is not claimed because it was not compared with Stripe since a restore.
SELECT count(DISTINCT tenant) FROM restore_unproven
