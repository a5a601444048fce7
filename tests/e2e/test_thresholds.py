"""Usage that passes a threshold of its limit is told: once for each tenant, metric, window, threshold and limit."""

import concurrent.futures
import json
import time

from line.paths import CATALOG
from line.wait import wait_until

TOLD = """SELECT tenant, data ->> 'metric' AS metric, (data ->> 'threshold_percent')::int AS percent, data ->> 'used' AS usage,
                 data ->> 'limit' AS "limit", data ->> 'window' AS kind
            FROM outgoing_messages WHERE kind = 'quota_threshold' AND channel = 'signal' ORDER BY 1, 2, 3, 5"""


def told(line, tenant="acme"):
    return [(row.percent, row.usage, row.limit) for row in line.sql(TOLD) if row.tenant == tenant]


def use(line, quantity, tenant="acme", metric="api_calls", **more):
    line.xadd(tenant=tenant, metric=metric, quantity=str(quantity), **more)


def wait_used(line, quantity, tenant="acme", metric="api_calls"):
    wait_until(lambda: line.value("SELECT get_window_usage(%s, %s)", tenant, metric) == quantity, 20, f"{quantity} are counted")


def wait_looked(line):
    """All that was noted has been looked at."""
    wait_until(lambda: line.value("SELECT count(*) FROM alert_checks") == 0, 20, "all is looked at")


def expect(line, *wanted, tenant="acme"):
    wait_until(lambda: sorted(told(line, tenant)) == sorted(wanted), 20, f"{wanted} is told", explain=lambda: str(told(line, tenant)))


def set_limit(line, included, tenant="acme", metric="api_calls"):
    line.must("meterctl", "quota", "set", tenant, metric, "--limit", str(included), "--new")


def start(line):
    line.start_aggregator().wait_ready()
    line.start_notifier().wait_ready()


def test_each_threshold_once_exactly_and_soon(line):
    """Free plan: 1,000 calls. 799 say nothing, 800 do; what is passed at once is told at once."""
    start(line)
    use(line, 799)
    wait_used(line, 799)
    wait_looked(line)
    assert told(line) == []
    begun = time.monotonic()
    use(line, 1)
    expect(line, (80, "800", "1000"))
    assert time.monotonic() - begun < 10
    use(line, 100)
    wait_used(line, 900)
    use(line, 300)
    expect(line, (80, "800", "1000"), (100, "1200", "1000"), (120, "1200", "1000"))
    use(line, 5000)
    wait_used(line, 6200)
    wait_looked(line)
    assert len(told(line)) == 3
    assert line.value("SELECT count(*) FROM usage_alerts") == 3


def test_usage_that_falls_and_rises_again_is_no_news_but_another_limit_is(line):
    start(line)
    set_limit(line, 100)
    use(line, 85, id="big")
    expect(line, (80, "85", "100"))
    line.xadd(tenant="acme", metric="api_calls", op="retract", id="big")
    wait_used(line, 0)
    use(line, 90)
    wait_used(line, 90)
    wait_looked(line)
    assert len(told(line)) == 1
    set_limit(line, 200)
    wait_looked(line)
    assert len(told(line)) == 1, "90 of 200"
    use(line, 70)
    expect(line, (80, "85", "100"), (80, "160", "200"))
    set_limit(line, 160)
    expect(line, (80, "85", "100"), (80, "160", "160"), (80, "160", "200"), (100, "160", "160"))
    set_limit(line, 200)
    wait_looked(line)
    assert len(told(line)) == 4, "80 % of 200 was told"


def test_own_thresholds_and_those_of_the_catalog(line, tmp_path):
    start(line)
    document = json.loads(CATALOG.read_text(encoding="utf-8"))
    assert json.loads(line.must("meterctl", "catalog", "show").stdout)["alerts"] == [80, 100, 120]
    use(line, 500)
    use(line, 500, tenant="other")
    wait_used(line, 500, "other")
    wait_looked(line)
    line.must("meterctl", "alerts", "set", "other", "--thresholds", "10,200")
    expect(line, (10, "500", "1000"), tenant="other")
    changed = tmp_path / "catalog.json"
    changed.write_text(json.dumps({**document, "alerts": [50]}), encoding="utf-8")
    assert "alert 50 % added" in line.must("meterctl", "catalog", "apply", changed).stdout
    expect(line, (50, "500", "1000"))
    assert json.loads(line.must("meterctl", "catalog", "show").stdout)["alerts"] == [50]
    use(line, 2000)
    wait_used(line, 2500)
    wait_looked(line)
    assert len(told(line)) == 1
    for bad in ([0], [80, 80], [100, 80], ["80"], 80):
        changed.write_text(json.dumps({**document, "alerts": bad}), encoding="utf-8")
        answer = line.meterctl("catalog", "apply", changed)
        assert answer.returncode != 0 and "alerts" in answer.stderr, bad
    line.must("meterctl", "catalog", "apply", CATALOG)


def test_limits_of_a_day(line, tmp_path):
    """The window counts, and not the period."""
    document = json.loads(CATALOG.read_text(encoding="utf-8"))
    free = next(plan for plan in document["plans"] if plan["plan"] == "free")
    free["limits"]["api_calls"].update(included="100", window="day")
    changed = tmp_path / "catalog.json"
    changed.write_text(json.dumps(document), encoding="utf-8")
    line.must("meterctl", "catalog", "apply", changed)
    start(line)
    use(line, 90)
    expect(line, (80, "90", "100"))
    assert {row.kind for row in line.sql(TOLD)} == {"day"}
    use(line, 15)
    expect(line, (80, "90", "100"), (100, "105", "100"))
    line.must("meterctl", "catalog", "apply", CATALOG)


def test_one_that_dies_tells_nothing_twice(line):
    """Many tenants at once, two notifiers, and kills."""
    line.start_aggregator().wait_ready()
    tenants = [f"tenant{number}" for number in range(400)]
    line.emit([{"tenant": tenant, "metric": "api_calls", "quantity": "1100"} for tenant in tenants])
    stages = [line.start_notifier().wait_ready() for _ in range(2)]
    for turn in range(4):
        time.sleep(0.3)
        stages[turn % 2].kill9()
        stages[turn % 2] = line.start_notifier()
    wait_until(lambda: line.value("SELECT count(*) FROM usage_alerts") == 800, 60, "all are raised")
    assert len(line.sql(TOLD)) == 800
    # What a killed one held is free when its lease is over; a test need not wait for that.
    def all_sent():
        line.sql("UPDATE outgoing_messages SET lease_until = now() WHERE message_id IN (SELECT message_id FROM outgoing_messages"
                 " WHERE state = 'waiting' AND lease_until > now() + interval '5 s' FOR UPDATE SKIP LOCKED)")
        return line.value("SELECT count(*) FROM outgoing_messages WHERE state <> 'sent'") == 0

    wait_until(all_sent, 60, "all are sent")
    ids = [fields["id"] for _, fields in line.client().xrange("billing:signals")]
    assert len(ids) == len(set(ids)) == 800


def test_totals_that_rise_meanwhile_miss_nothing(line):
    """Writers add while the notifier looks; whatever the order, what was passed is told."""
    line.start_notifier().wait_ready()
    line.sql("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)"
             " SELECT 't' || n, 'api_calls', date_trunc('month', now()), date_trunc('month', now()) + interval '1 month', 0, 1,"
             " 0, '' FROM generate_series(1, 50) n")

    def rise(seed):
        connection = line.postgres.connect(line.postgres.url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            for step in range(60):
                cursor.execute("UPDATE usage_totals SET quantity = quantity + 10, version = version + 1 WHERE tenant = %s",
                               (f"t{(seed * 7 + step) % 50 + 1}",))
        connection.close()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            for done in [pool.submit(rise, seed) for seed in range(8)]:
                done.result()
    wanted = line.value("SELECT count(*) FROM usage_totals, alert_thresholds WHERE quantity * 100 >= 1000 * percent")
    wait_until(lambda: line.value("SELECT count(*) FROM usage_alerts") == wanted, 20, "all are raised")
