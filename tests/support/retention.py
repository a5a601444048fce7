"""Old events for tests of retention."""

import json

from support.by_hand import seal


def age(line, tenant="acme", days=100, metric="api_calls", used_days=None):
    """One event that was counted, then moved into the past: committed and used so many days ago."""
    line.xadd(tenant=tenant, metric=metric)
    line.must("aggregator", "--once")
    line.sql("""DO $$
        DECLARE d date := (now() AT TIME ZONE 'UTC')::date - %s; name text := 'usage_batches_' || to_char(d, 'YYYYMMDD');
        BEGIN IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %%I PARTITION OF usage_batches FOR VALUES FROM (%%L) TO (%%L)', name, d, d + 1);
        END IF; END $$""" % days)
    used = days if used_days is None else used_days
    line.sql("UPDATE usage_batches SET day = (now() AT TIME ZONE 'UTC')::date - %s, "
             "committed_at = committed_at - make_interval(days => %s), "
             "occurred_min = occurred_min - make_interval(days => %s), "
             "occurred_max = occurred_max - make_interval(days => %s), "
             "occurred_ms = ARRAY[occurred_ms[1] - %s * 86400000::bigint] "
             "WHERE committed_at > now() - interval '1 h' AND day > (now() AT TIME ZONE 'UTC')::date - 2",
             days, days, used, used, used)
    seal(line)
    line.sql("UPDATE usage_aggregates SET minute_at = minute_at - make_interval(days => %s), "
             "last_ms = last_ms - %s * 86400000::bigint WHERE minute_at > now() - interval '1 day'", used, used)
    line.sql("DELETE FROM usage_totals")
    line.sql("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry) "
             "SELECT tenant, metric, lower(p), upper(p), sum(quantity_sum), nextval('usage_version'), max(last_ms), '' "
             "FROM usage_aggregates, usage_period(tenant, minute_at) p GROUP BY 1, 2, 3, 4")


def apply(line, *args, code=0, **settings):
    done = line.meterctl("retention", "apply", "--json", *args, **settings)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def outcomes(report):
    return [(row["outcome"], row.get("reason")) for row in report["days"]]
