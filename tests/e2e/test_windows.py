"""Limits that count over a month or a day and not over the billing period: their windows, and `used` within them, exact
whatever comes late, is taken back, moves, dies or is taken over."""

import datetime
import json
import random

import pytest

from support.aggregator import now_ms, start
from support.ledger_proof import Emitter, settle
from support.windows import (DAY_MS, MINUTE_MS, UTC, apply_windows, at_ms, cached, calendar_month, catalog, day_around,
                             month_around, ms, subscribe, used_between)

COUNTED = ["tokens", "large_tokens", "logins", "peak"]


def utc(*parts):
    return datetime.datetime(*parts, tzinfo=UTC)


def window(line, tenant, kind, at):
    row, = line.sql("SELECT lower(w) AS low, upper(w) AS high FROM limit_window(%s, %s, %s) w", tenant, kind, at)
    return row.low, row.high


# The windows.

@pytest.mark.parametrize("unit, anchor, at, low, high", [
    # A month from the 31st is clamped, and the 31st comes back; 2024 and 2028 have a 29 February.
    ("year", utc(2023, 12, 31, 10, 30), utc(2024, 2, 29, 10, 29), utc(2024, 1, 31, 10, 30), utc(2024, 2, 29, 10, 30)),
    ("year", utc(2023, 12, 31, 10, 30), utc(2024, 2, 29, 10, 30), utc(2024, 2, 29, 10, 30), utc(2024, 3, 31, 10, 30)),
    ("year", utc(2023, 12, 31, 10, 30), utc(2024, 4, 30, 23, 0), utc(2024, 4, 30, 10, 30), utc(2024, 5, 31, 10, 30)),
    ("year", utc(2026, 12, 31), utc(2027, 2, 28, 12, 0), utc(2027, 2, 28), utc(2027, 3, 31)),
    # Bought on a 29 February: its years end on a 28th, its months on the 29th where there is one.
    ("year", utc(2024, 2, 29), utc(2025, 2, 27), utc(2025, 1, 29), utc(2025, 2, 28)),
    ("year", utc(2024, 2, 29), utc(2025, 3, 28), utc(2025, 2, 28), utc(2025, 3, 29)),
    ("year", utc(2024, 2, 29), utc(2028, 3, 1), utc(2028, 2, 29), utc(2028, 3, 29)),
    # A billing month is the month, a quarter's weeks are not.
    ("month", utc(2024, 1, 31, 8, 0), utc(2024, 2, 29, 9, 0), utc(2024, 2, 29, 8, 0), utc(2024, 3, 31, 8, 0)),
    ("week", utc(2024, 1, 10, 8, 0), utc(2024, 3, 12), utc(2024, 3, 10, 8, 0), utc(2024, 4, 10, 8, 0))])
def test_a_month_begins_on_the_billing_day(line, unit, anchor, at, low, high):
    apply_windows(line, free="month")
    subscribe(line, "acme", "free", anchor, unit)
    assert window(line, "acme", "month", at) == (low, high)
    assert window(line, "acme", "month", low) == (low, high)
    assert window(line, "acme", "month", high - datetime.timedelta(seconds=1)) == (low, high)
    assert window(line, "acme", "day", at) == day_around(at)


def test_windows_without_and_at_the_edges_of_a_subscription(line):
    apply_windows(line, free="month")
    assert window(line, "nobody", "month", utc(2024, 2, 5)) == (utc(2024, 2, 1), utc(2024, 3, 1))
    # It begins in the middle of a month, and its anchor lies later: a trial.
    subscribe(line, "acme", "free", utc(2024, 3, 20, 6, 0), "year", started=utc(2024, 3, 6, 6, 0))
    assert window(line, "acme", "month", utc(2024, 3, 5)) == (utc(2024, 3, 1), utc(2024, 3, 6, 6, 0))
    assert window(line, "acme", "month", utc(2024, 3, 7)) == (utc(2024, 3, 6, 6, 0), utc(2024, 3, 20, 6, 0))
    assert window(line, "acme", "month", utc(2024, 3, 21)) == (utc(2024, 3, 20, 6, 0), utc(2024, 4, 20, 6, 0))
    line.sql("UPDATE subscriptions SET status = 'canceled', ended_at = '2026-07-03 12:00Z'; "
             "DELETE FROM billing_periods; SELECT refresh_billing_periods('acme')")
    assert window(line, "acme", "month", utc(2026, 7, 3)) == (utc(2026, 6, 20, 6, 0), utc(2026, 7, 3, 12, 0))
    assert window(line, "acme", "month", utc(2026, 7, 4)) == (utc(2026, 7, 3, 12, 0), utc(2026, 8, 1))


# Used in them.

class Tenants:
    """Of every kind: who they are, over which window their limits count, and from which edge."""

    def __init__(self, line, now):
        self.line, self.now = line, now
        self.spans = {}

    def add(self, tenant, plan, anchor=None, unit="month"):
        if anchor:
            subscribe(self.line, tenant, plan, anchor, unit)
        elif plan != "free":
            raise ValueError("only a subscriber has another plan")
        if plan == "daily":
            span = day_around(self.now)
        elif not anchor:
            span = calendar_month(self.now)
        elif unit == "week" and plan == "period":
            weeks = (self.now - anchor) // datetime.timedelta(days=7)
            span = (anchor + datetime.timedelta(days=7 * weeks), anchor + datetime.timedelta(days=7 * (weeks + 1)))
        elif unit == "year" and plan == "period":
            span = (anchor, anchor.replace(year=anchor.year + 1))
        else:
            span = month_around(anchor, self.now)
            span = (max(span[0], anchor), span[1]) if unit == "week" else span
        self.spans[tenant] = span

    def add_of_every_kind(self):
        ago = lambda **span: (self.now - datetime.timedelta(**span)).replace(second=0, microsecond=0)  # noqa: E731
        self.add("stranger", "free")
        self.add("yearly", "monthly", ago(days=97, hours=5), "year")
        self.add("fresh", "monthly", ago(minutes=40), "year")
        self.add("weekly", "monthly", ago(days=31 + 18), "week")
        self.add("month", "monthly", ago(days=12))
        self.add("day", "daily", ago(days=3, hours=2))
        self.add("moment", "daily", ago(minutes=25))        # The day reaches over two periods.
        self.add("plain", "period", ago(days=9), "week")


def use(emitter, tenants, choose, count, prefix):
    """Events around every edge, late ones and ones of the near future, some taken back later."""
    now = now_ms()
    for n in range(count):
        tenant = choose.choice(list(tenants.spans))
        edge = ms(choose.choice(tenants.spans[tenant]))
        ts = choose.choice([now, now - choose.randrange(40 * MINUTE_MS), now + choose.randrange(4 * MINUTE_MS),
                            now - choose.randrange(34 * DAY_MS), edge + choose.randrange(-3, 3) * 30_000])
        ts = min(max(ts, now - 34 * DAY_MS), now + 4 * MINUTE_MS)
        emitter.add(tenant=tenant, metric=choose.choice(["tokens", "tokens", "logins", "peak"]), id=f"{prefix}{n}", ts=ts,
                    quantity=f"{choose.randrange(1, 60)}.{choose.randrange(10)}", model=choose.choice(["large", "small"]))
        if n % 6 == 5:
            emitter.add(op="retract", tenant=tenant, id=f"{prefix}{choose.randrange(n)}")


def wrong(line, emitter, tenants):
    """Where the cache and SQL do not have what the events say."""
    found = {}
    for tenant, span in tenants.spans.items():
        for metric in COUNTED:
            expected = used_between(emitter.oracle, tenant, metric, span)
            seen, end = cached(line, tenant, metric)
            in_sql = line.value("SELECT get_window_usage(%s, %s)", tenant, metric)
            if seen != float(expected) or end not in (None, ms(span[1])) or in_sql != expected:
                found[tenant, metric] = (seen, end and at_ms(end), in_sql, expected, span)
    return found


def agree(line, emitter, tenants):
    settle(line)
    line.wait_for(lambda: not wrong(line, emitter, tenants), 30,
                  "the cache has what was used in the windows")
    # What is stored is right, not only what is read.
    assert line.sql("""SELECT t.tenant, t.metric, t.window_start, t.window_quantity FROM usage_totals t
                        WHERE t.window_start <= now() AND now() < t.window_end
                          AND t.window_quantity IS DISTINCT FROM minutes_between(t.tenant, t.metric,
                              greatest(t.window_start, t.period_start), least(t.window_end, t.period_end))""") == []


@pytest.mark.parametrize("seed", [1, 4])
def test_used_counts_over_every_kind_of_window(line, seed):
    choose = random.Random(seed)
    emitter = Emitter(line, apply_windows(line, free="month", monthly="month", daily="day", period="period"))
    tenants = Tenants(line, datetime.datetime.now(UTC))
    tenants.add_of_every_kind()
    first = start(line, AGGREGATOR_BATCH_MAX=7)
    use(emitter, tenants, choose, 150, "a")
    agree(line, emitter, tenants)
    first.kill9()
    use(emitter, tenants, choose, 100, "b")     # A backlog, for whoever takes over.
    start(line, AGGREGATOR_BATCH_MAX=50)
    agree(line, emitter, tenants)
    # Limits count over other windows; a billing day moves; all while events come.
    use(emitter, tenants, choose, 60, "c")
    tenants.add("yearly", "daily", tenants.now - datetime.timedelta(days=97, hours=5), "year")
    tenants.add("plain", "monthly", (tenants.now - datetime.timedelta(days=9)).replace(second=0, microsecond=0), "week")
    tenants.add("fresh", "monthly", (tenants.now - datetime.timedelta(minutes=90)).replace(second=0, microsecond=0), "year")
    use(emitter, tenants, choose, 60, "d")
    agree(line, emitter, tenants)
    tenants.add("yearly", "period", (tenants.now - datetime.timedelta(days=97, hours=5)).replace(second=0, microsecond=0), "year")
    use(emitter, tenants, choose, 40, "e")
    agree(line, emitter, tenants)
    prove_totals(line)


def prove_totals(line):
    audit = line.audit()
    assert audit.balanced, audit.text
    assert line.run("meterctl", "rebuild", "--check").returncode == 0


def test_a_window_that_ended_begins_anew_with_what_came_ahead_of_it(line):
    emitter = Emitter(line, apply_windows(line, free="day"))
    start(line)
    now = now_ms()
    emitter.add(tenant="acme", metric="tokens", quantity=5, ts=now)
    settle(line)
    line.wait_for(lambda: cached(line, "acme", "tokens")[0] == 5)
    # As if that day were over: no event tells of it, and then one does.
    back = "UPDATE usage_totals SET window_start = window_start - interval '1 day', window_end = window_end - interval '1 day', window_quantity = 99"
    line.sql(back)
    assert line.value("SELECT get_window_usage('acme', 'tokens')") == 5
    line.sql("INSERT INTO usage_window_changes VALUES ('acme')")
    line.wait_for(lambda: line.value("SELECT window_end > now() AND window_quantity = 5 FROM usage_totals"))
    line.sql(back)
    emitter.add(tenant="acme", metric="tokens", quantity=2, ts=now)
    settle(line)
    line.wait_for(lambda: cached(line, "acme", "tokens") == (7, ms(day_around(at_ms(now))[1])))


def test_a_window_that_changes_is_in_the_cache_at_once(line):
    emitter = Emitter(line, apply_windows(line, free="period"))
    webhookd = line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=3600).wait_ready()
    webhookd.wait_log("limits_rewritten")
    start(line)
    now = datetime.datetime.now(UTC)
    subscribe(line, "acme", "free", (now - datetime.timedelta(days=40)).replace(second=0, microsecond=0), "year")
    emitter.add(tenant="acme", metric="tokens", quantity=5, ts=now_ms())
    emitter.add(tenant="acme", metric="tokens", quantity=3, ts=now_ms() - 33 * DAY_MS)
    settle(line)
    line.wait_for(lambda: cached(line, "acme", "tokens")[0] == 8)
    line.sql("INSERT INTO tenant_limits (tenant, metric, limit_window) VALUES ('acme', 'tokens', 'month')")
    line.wait_for(lambda: cached(line, "acme", "tokens")[0] == 5, 20, "it counts over the month")
    line.sql("DELETE FROM tenant_limits")
    line.wait_for(lambda: cached(line, "acme", "tokens")[0] == 8, 20, "it counts over the period")
    # A new catalog, for all.
    line.client().hdel("quota:{acme}", "status")
    path = line.folder / "catalog.json"
    path.write_text(json.dumps(catalog(free="month")), encoding="utf-8")
    assert "window period to month" in line.must("meterctl", "catalog", "apply", path).stdout
    line.wait_for(lambda: cached(line, "acme", "tokens")[0] == 5, 20, "it counts over the month")
    assert json.loads(line.must("meterctl", "catalog", "show").stdout)["plans"][0]["limits"]["tokens"]["window"] == "month"


def test_a_yearly_plan_with_a_monthly_allowance(line):
    """Paid for a year, 1,000 a month: what was used in earlier months is over, and what the verdict says follows."""
    emitter = Emitter(line, apply_windows(line, free="period", team="month"))
    line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=3600).wait_ready()
    start(line)
    anchor = (datetime.datetime.now(UTC) - datetime.timedelta(days=70)).replace(second=0, microsecond=0)
    subscribe(line, "acme", "team", anchor, "year")
    line.sql("INSERT INTO limit_changes VALUES ('acme', nextval('limit_change'))")
    low, high = month_around(anchor, datetime.datetime.now(UTC))
    emitter.add(tenant="acme", metric="tokens", quantity=900, ts=ms(low) - 1)     # The month before.
    emitter.add(tenant="acme", metric="tokens", quantity=990, ts=ms(low))
    settle(line)
    line.wait_for(lambda: cached(line, "acme", "tokens") == (990, ms(high)))
    line.wait_for(lambda: line.client().hget("quota:{acme}", "tokens.limit") == "1000")
    for quantity, verdict in ((10, ["allow", "ok"]), (11, ["deny", "hard_cap"])):
        assert line.client().fcall("meterline_check", 1, "quota:{acme}", "tokens", quantity)[:2] == verdict
        assert line.sql("SELECT verdict, reason FROM quota_verdict('acme', 'tokens', %s)", quantity) == [tuple(verdict)]
    assert line.value("SELECT is_over_quota('acme', 'tokens')") is False
    assert line.value("SELECT get_usage_percentage('acme', 'tokens')") == 99
    assert line.value("SELECT get_current_usage('acme', 'tokens')") == 1890    # What is billed is the year.
    emitter.add(tenant="acme", metric="tokens", quantity=10, ts=now_ms())
    settle(line)
    assert line.value("SELECT is_over_quota('acme', 'tokens')") is True
    prove_totals(line)


@pytest.mark.parametrize("metric", ["seats", "users"])
def test_a_value_that_is_no_sum_has_no_window(line, metric):
    wanted = catalog(free="month")
    wanted["metrics"].append({"metric": "users", "name": "Users", "unit": "user", "aggregation": "unique",
                              "dimensions": ["user"], "transport": "none"})
    wanted["plans"][0]["limits"][metric] = {"included": "1", "cap": "hard", "window": "month"}
    path = line.folder / "catalog.json"
    path.write_text(json.dumps(wanted), encoding="utf-8")
    done = line.meterctl("catalog", "apply", path)
    assert done.returncode == 1 and f"plans[0].limits.{metric}.window: must be period" in done.stderr
    assert "only sum, count and max" in done.stderr
