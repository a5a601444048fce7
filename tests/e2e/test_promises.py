"""What an unlucky minute, a stranger's entry or a wrong clock must not do to anybody's usage."""

import contextlib
import random
import subprocess
import threading

import pytest

from support.aggregator import DAY_MS, age, now_ms, start
from support.ledger_proof import Flow, assert_balanced, position, prove, settle
from support.usage_oracle import MINUTE_MS

SUBSCRIBE = """
    INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status,
                               current_period_start, current_period_end, billing_cycle_anchor,
                               billing_interval, interval_count, started_at, ended_at)
    SELECT %(id)s, 'acme', 'cus_1', 'active', p.period_start, p.period_end, %(anchor)s,
           %(unit)s, %(count)s, %(started)s, %(ended)s
      FROM project_period(%(anchor)s, %(unit)s, %(count)s, %(told)s) p
    RETURNING refresh_billing_periods('acme')"""

# Edges with the minutes around them, and minutes in between; each with its period.
MINUTES = """
    WITH edge AS (
        SELECT started_at AS at FROM subscriptions UNION SELECT ended_at FROM subscriptions
        UNION SELECT period_start FROM billing_periods UNION SELECT period_end FROM billing_periods
        UNION SELECT billing_cycle_anchor + n * interval '1 month'
                FROM subscriptions, generate_series(0, 9) n
    ), minute AS (
        SELECT DISTINCT minute_of(at) + n * interval '1 minute' AS at
          FROM edge, generate_series(-1, 1) n WHERE at IS NOT NULL
        UNION SELECT minute_of('2026-01-01Z'::timestamptz + n * interval '51 hours')
          FROM generate_series(1, 150) n
    )
    SELECT at, b.* FROM minute, billing_period('acme', at) b"""
ASTRAY = f"""
    WITH found AS ({MINUTES})
    SELECT a.at, a.period_start, a.period_end, b.at AS other_at FROM found a, found b
     WHERE NOT (a.period_start <= a.at AND a.at < a.period_end)
        OR a.period_start <= b.at AND b.at < a.period_end
       AND (a.period_start, a.period_end) <> (b.period_start, b.period_end)
     LIMIT 3"""


def subscribe(line, id, anchor, started=None, unit="month", count=1, ended=None, told=None):
    """Times are SQL, Unix seconds."""
    stamp = lambda at: None if at is None else line.value("SELECT to_timestamp(%s)", at)
    values = {"id": id, "anchor": stamp(anchor), "started": stamp(started or anchor), "unit": unit,
              "count": count, "ended": stamp(ended), "told": stamp(told or started or anchor)}
    with contextlib.closing(line.postgres.connect()) as connection:
        connection.cursor().execute(SUBSCRIBE, values)


def test_usage_in_the_minute_of_a_renewal_counts(line):
    """Anchors have seconds; nobody has told of the next period yet."""
    renewed_s = now_ms() // 60_000 * 60 - 120 + 31
    anchor = line.value("SELECT extract(epoch FROM to_timestamp(%s) - interval '1 month')::bigint",
                        renewed_s)
    subscribe(line, "sub_1", anchor)
    start(line)
    line.xadd(tenant="acme", metric="api_calls", quantity=2, ts=renewed_s * 1000 - 1000)
    line.xadd(tenant="acme", metric="api_calls", quantity=3, ts=renewed_s * 1000 - MINUTE_MS)
    settle(line)
    periods = line.sql("SELECT quantity, extract(epoch FROM period_start)::bigint AS start_s"
                       "  FROM usage_totals ORDER BY period_start")
    assert [(row.quantity, row.start_s) for row in periods] == [
        (3, anchor // 60 * 60), (2, renewed_s // 60 * 60)]


@pytest.mark.parametrize("seed", range(3))
def test_each_minute_lies_in_one_period_whatever_subscriptions_come_and_go(line, seed):
    choose = random.Random(seed)
    january_s = 1767225600
    for _ in range(12):
        line.sql("DELETE FROM subscriptions")
        line.sql("DELETE FROM billing_periods")
        for number in range(choose.randrange(1, 4)):
            started = january_s + choose.randrange(200 * 86400)
            subscribe(line, f"sub_{number}", started + choose.choice([0, choose.randrange(40 * 86400)]),
                      started, choose.choice(["day", "week", "month", "year"]), choose.choice([1, 2]),
                      choose.choice([None, started + choose.randrange(100 * 86400)]),
                      started + choose.randrange(150 * 86400))
            if choose.random() < 0.3:  # What was told is lost: all is projected.
                line.sql("DELETE FROM billing_periods")
        assert line.sql(ASTRAY) == []


def test_a_backfill_in_any_order_goes_through(line):
    count = 100_000
    choose = random.Random(1)
    events = [{"tenant": f"t{n % 50}", "metric": "api_calls", "id": n,
               "ts": now_ms() - 2 * DAY_MS - choose.randrange(30 * DAY_MS)} for n in range(count)]
    line.emit(events, pipeline=5000)
    start(line)
    line.wait_for(lambda: line.value("SELECT sum(counted) FROM stream_positions") == count, 60,
                  "all of it is counted")
    age(line, hours=48)
    line.stages[-1].kill9()
    line.emit(events[::2], pipeline=5000)
    start(line)
    line.wait_for(lambda: position(line).duplicates == count // 2, 60, "repeats are recognised")
    assert position(line).counted == count
    assert_balanced(line)


def test_other_tenants_periods_that_change_all_the_time_hold_up_nobody(line):
    count = 50_000
    line.emit([{"tenant": f"t{n % 1000}", "metric": "api_calls", "note": "x" * 100}
               for n in range(count)], pipeline=5000)
    ending = threading.Event()

    def refresh():
        with contextlib.closing(line.postgres.connect()) as connection:
            while not ending.wait(0.005):
                connection.cursor().execute("SELECT refresh_billing_periods('other')")

    renewals = threading.Thread(target=refresh)
    renewals.start()
    try:
        start(line)
        settle(line, timeout=30)
    finally:
        ending.set()
        renewals.join()
    assert position(line).counted == count
    assert_balanced(line)


def test_the_greatest_entry_id_can_be_audited(line):
    greatest = f"{2**64 - 1}-{2**64 - 1}"
    line.xadd(tenant="acme", metric="api_calls")
    line.xadd(entry_id=greatest, tenant="acme", metric="api_calls")
    line.must("aggregator", "--once")
    assert (position(line).last_id, position(line).rejected) == (greatest, 1)
    assert_balanced(line)
    status = line.meterctl("status")
    assert status.returncode == 0 and "invalid" not in status.stdout + status.stderr


def test_large_entries_come_in_small_numbers(line):
    count = 3000
    line.emit([{"tenant": "acme", "metric": "api_calls", "note": "x" * 65_000}] * count, pipeline=100)
    aggregator = start(line)
    settle(line, timeout=60)
    assert position(line).rejected == count
    # 64 MiB and a reply's 4 MiB at most.
    assert max(int(batch["entries"]) for batch in aggregator.logs("batch_committed")) < 1200


@pytest.mark.parametrize("key", ["quota:{mallory}", "quota:{acme}"])
def test_an_entry_in_place_of_a_quota_holds_up_nobodys(line, key):
    client = line.client()
    client.xadd(key, {"any": "thing"})
    start(line)
    line.start_webhookd(WEBHOOKD_HEAL_S=1)
    for tenant, quantity in (("mallory", 1), ("acme", 5)):
        line.xadd(tenant=tenant, metric="api_calls", quantity=quantity)
        settle(line)
    for field, value in (("api_calls.used", "5"), ("api_calls.limit", "1000")):
        line.wait_for(lambda: client.type("quota:{acme}") == "hash" and
                      client.hget("quota:{acme}", field) == value, 10, f"{field} is cached")


def test_a_version_that_is_no_number_is_replaced(line):
    client = line.client()
    client.hset("quota:{acme}", mapping={"api_calls.version": "?", "api_calls.used": "0"})
    start(line)
    line.xadd(tenant="acme", metric="api_calls", quantity=5)
    line.wait_for(lambda: client.hget("quota:{acme}", "api_calls.used") == "5", 10, "it is cached")


@pytest.mark.own_servers
def test_a_postgres_that_dies_at_any_moment_ends_no_aggregator(line):
    aggregator = start(line, AGGREGATOR_FLUSH_MS=1)
    with Flow(line, rest_s=0.0005) as flow:
        for _ in range(8):
            mark = aggregator.mark()
            aggregator.wait_log("batch_committed", since=mark)
            line.postgres.kill()
            line.postgres.start()
            aggregator.wait_log("stream_opened", since=mark)
    settle(line)
    prove(line, flow.oracle, entries=False)


CLOCK = """
    #define _GNU_SOURCE
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>
    int clock_gettime(clockid_t id, struct timespec *at)
    {
        int failed = (int)syscall(SYS_clock_gettime, id, at);
        if (id == CLOCK_REALTIME)
            at->tv_sec += SHIFT_S;
        return failed;
    }"""


def shifted_clock(folder, seconds):
    """Settings of a stage whose wall clock is wrong by so much."""
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", f"-DSHIFT_S={seconds}", "-o", library, source],
                   check=True)
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"}


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_wrong_clock_of_the_aggregator_counts_nothing_twice(line, folder, hours):
    events = [{"tenant": "acme", "metric": "api_calls", "id": n,
               "ts": now_ms() - 25 * 60 * MINUTE_MS} for n in range(20)]
    line.emit(events)
    line.must("aggregator", "--once")
    age(line, hours=25)
    line.emit(events)
    line.must("aggregator", "--once", **shifted_clock(folder, hours * 3600))
    assert position(line).counted == position(line).duplicates == 20
