-- Has the notifier look at what a tenant uses now: its thresholds may be other ones.
-- $1 text: tenant
INSERT INTO alert_checks (tenant, metric)
SELECT tenant, metric FROM usage_totals WHERE tenant = $1::text AND period_end > now() AND period_start <= now()
