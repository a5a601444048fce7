-- Have the notifier look at all that is used now: thresholds may be other ones, or limits of tenants without quotas.
INSERT INTO alert_checks (tenant, metric)
SELECT tenant, metric FROM usage_totals WHERE period_end > now() AND period_start <= now()
