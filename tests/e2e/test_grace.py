"""What limits a tenant when: a limit that rises holds at once, one that falls leaves grace until its window ends, a pause
of collecting does what the catalog says, and what ends by itself ends within a second."""

import datetime
import itertools
import json
import time

import pytest

from support.webhooks import Events, NOW, customer, deliver
from support.windows import METRICS, UTC, month_around, ms

DAY = 86400
INCLUDED = {"free": 10, "small": 100, "large": 1000}


def catalog(window="period", cap="hard", **more):
    return {**more, "metrics": [{**metric, "transport": "none"} for metric in METRICS], "plans": [
        {"plan": plan, "name": plan, "currency": "usd", "base_amount_minor": 0, "stripe_lookup_key": plan,
         "limits": {"tokens": {"included": str(included), "cap": cap, "window": window}}}
        for plan, included in INCLUDED.items()]}


def apply(line, *args, **more):
    path = line.folder / "catalog.json"
    path.write_text(json.dumps(catalog(*args, **more)), encoding="utf-8")
    return line.catalog(path)


def subscription(plan, start=NOW - 12 * DAY, end=NOW + 18 * DAY, status="active", quantity=1, interval="month", started=None,
                 **more):
    price = {"id": f"price_{plan}", "object": "price", "lookup_key": plan, "product": "prod_1", "metadata": {},
             "recurring": {"interval": interval, "interval_count": 1, "usage_type": "licensed"}}
    item = {"id": "si_1", "object": "subscription_item", "price": price, "quantity": quantity, "metadata": {},
            "current_period_start": start, "current_period_end": end}
    return {"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status, "currency": "usd",
            "start_date": started or start, "billing_cycle_anchor": started or start, "cancel_at_period_end": False,
            "ended_at": None, "items": {"object": "list", "data": [item]}, "metadata": {}, **more}


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def stage(line):
    apply(line)
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=3600).wait_ready()
    stage.wait_log("limits_rewritten")
    return stage


def work(line, stage, *events):
    for event in events:
        deliver(stage, event)
        line.wait_for(lambda id=event["id"]: line.value(
            "SELECT state <> 'received' FROM webhook_events WHERE event_id = %s", id), 20)


def quota(line):
    """(limit, grace_until as a datetime) of acme's tokens, in PostgreSQL."""
    return tuple(line.sql("SELECT limit_quantity::int, grace_until FROM usage_quotas WHERE tenant = 'acme' AND metric = 'tokens'")[0])


def cached(line, *fields):
    return line.client().hmget("quota:{acme}", *(fields or ("tokens.limit", "tokens.grace_until", "status", "plan")))


def end_of(period_end):
    """The minute that a period's end lies in."""
    return datetime.datetime.fromtimestamp(period_end // 60 * 60, UTC)


def life(events, *states, **more):
    """The customer, then an event for each (days from now, plan, fields)."""
    told = [events.make("customer.created", customer(), NOW - 12 * DAY)]
    for number, (days, plan, fields) in enumerate(states):
        told.append(events.make("customer.subscription.updated" if number else "customer.subscription.created",
                                subscription(plan, **{**more, **fields}), NOW + int(days * DAY),
                                **({"previous": {"items": {}}} if number else {})))
    return told


def forget(line):
    line.sql("TRUNCATE stripe_observations, stripe_customers, billing_customers, subscriptions, subscription_states, "
             "billing_periods, usage_quotas, webhook_events, billing_history CASCADE")


# A limit that falls.

@pytest.mark.parametrize("states, limit, falls", [
    ([(-12, "large", {}), (-3, "small", {})], 100, True),
    ([(-12, "small", {}), (-3, "large", {})], 1000, False),
    ([(-12, "large", {}), (-6, "small", {}), (-3, "large", {})], 1000, False),
    ([(-12, "small", {}), (-6, "large", {}), (-3, "small", {})], 100, True),
    ([(-12, "large", {"quantity": 7}), (-3, "large", {"quantity": 5})], 5000, True),
    ([(-12, "large", {"quantity": 1}), (-3, "small", {"quantity": 12})], 1200, False)])
def test_a_limit_that_fell_leaves_grace_until_the_period_ends(line, stage, states, limit, falls):
    expected = (limit, end_of(NOW + 18 * DAY) if falls else None)
    orders = list(itertools.permutations(range(len(states) + 1)))
    for order in orders if len(states) == 2 else orders[::5]:
        told = life(Events(), *states)
        work(line, stage, *(told[n] for n in order))
        for _ in range(2):
            assert quota(line) == expected, order
            line.sql("SELECT refresh_usage_quotas('acme')")
        grace = cached(line)[1]
        line.wait_for(lambda: cached(line)[:2] == [str(limit), str(ms(expected[1])) if falls else None], 10, f"it is cached, {grace}")
        forget(line)


@pytest.mark.parametrize("together", [True, False])
def test_a_lower_plan_from_the_next_period_on_leaves_no_grace(line, stage, events, together):
    before = {"start": NOW - 32 * DAY, "end": NOW - 2 * DAY}
    after = {"start": NOW - 2 * DAY, "end": NOW + 28 * DAY, "started": NOW - 32 * DAY}
    told = life(events, (-32, "large", before), *([] if together else [(-2, "large", after)]),
                (-2 + (0 if together else 2 / DAY), "small", after))
    work(line, stage, *told)
    assert quota(line) == (100, None)


def test_a_subscription_that_ends_at_once_ends_its_period(line, stage, events):
    work(line, stage, *life(events, (-12, "large", {})),
         events.make("customer.subscription.deleted", subscription("large", status="canceled", ended_at=NOW - DAY), NOW - DAY))
    assert quota(line) == (10, None)
    line.wait_for(lambda: cached(line) == ["10", None, "active", "free"])


@pytest.mark.parametrize("window", ["month", "day"])
def test_a_yearly_plan_has_grace_for_the_month_or_the_day(line, stage, events, window):
    apply(line, window)
    started = NOW - 100 * DAY
    work(line, stage, *life(events, (-100, "large", {}), (-40, "small", {}), start=started, end=started + 365 * DAY, interval="year"))
    assert quota(line) == (100, None), "that was in an earlier one"
    left = DAY - time.time() % DAY
    time.sleep(left + 1 if left < 30 else 0)    # The day of the change is the one in which it is looked at.
    work(line, stage, events.make("customer.subscription.updated", subscription(
        "free", start=started, end=started + 365 * DAY, interval="year"), int(time.time()), previous={"items": {}}))
    limit, grace = quota(line)
    now = line.value("SELECT now()")
    if window == "month":
        end = month_around(datetime.datetime.fromtimestamp(started, UTC), now)[1]
    else:
        end = now.replace(hour=0, minute=0, second=0, microsecond=0) + datetime.timedelta(days=1)
    assert (limit, grace) == (10, end)


def test_a_catalog_that_allows_less_leaves_grace_and_an_operator_does_not(line, stage, events):
    work(line, stage, *life(events, (-12, "large", {})))
    line.wait_for(lambda: cached(line)[0] == "1000")
    INCLUDED["large"] = 800
    try:
        apply(line)
        line.wait_for(lambda: cached(line)[:2] == ["800", str(ms(end_of(NOW + 18 * DAY)))])
        line.sql("SELECT refresh_usage_quotas('acme')")
        assert quota(line) == (800, end_of(NOW + 18 * DAY))
        INCLUDED["large"] = 1000
        apply(line)
        line.wait_for(lambda: cached(line)[:2] == ["1000", None])
    finally:
        INCLUDED["large"] = 1000
    line.sql("INSERT INTO tenant_limits (tenant, metric, included) VALUES ('acme', 'tokens', 5)")
    line.wait_for(lambda: cached(line)[:2] == ["5", None])
    assert line.client().fcall("meterline_check", 1, "quota:{acme}", "tokens", 6)[:2] == ["deny", "hard_cap"]


def test_a_limit_that_is_added_to_a_plan_leaves_grace(line, stage, events):
    """Not that of a metric that is new itself, nor that of a new plan."""
    work(line, stage, *life(events, (-12, "large", {})))
    path, plans = line.folder / "catalog.json", catalog()
    limit = {"included": "5", "cap": "hard", "window": "period"}
    plans["metrics"].append({**plans["metrics"][0], "metric": "brand_new"})
    plans["plans"][-1]["limits"] |= {METRICS[1]["metric"]: limit, "brand_new": limit}
    path.write_text(json.dumps(plans), encoding="utf-8")
    line.catalog(path)
    fields = f"{METRICS[1]['metric']}.limit", f"{METRICS[1]['metric']}.grace_until", "brand_new.limit", "brand_new.grace_until"
    line.wait_for(lambda: cached(line, *fields) == ["5", str(ms(end_of(NOW + 18 * DAY))), "5", None])
    check = line.client().fcall("meterline_check", 1, "quota:{acme}", METRICS[1]["metric"], 6)
    assert check[0] != "deny"
    assert line.client().fcall("meterline_check", 1, "quota:{acme}", "brand_new", 6)[:2] == ["deny", "hard_cap"]


def test_a_plan_that_limits_nothing_is_not_the_plan_free(line, stage, events):
    """Redis and SQL say so, and nobody is told of a limit that is another plan's."""
    path = line.folder / "catalog.json"
    plans = catalog()
    plans["plans"][-1]["limits"] = {}
    path.write_text(json.dumps(plans), encoding="utf-8")
    line.catalog(path)
    work(line, stage, *life(events, (-12, "large", {})))
    line.wait_for(lambda: cached(line)[2:] == ["active", "large"])
    for tenant, verdict in (("acme", ("allow", "ok")), ("nobody", ("deny", "hard_cap"))):
        line.sql("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)"
                 " SELECT %s, 'tokens', p.period_start, p.period_end, 9, 1, 0, '' FROM billing_period(%s, now()) p", tenant, tenant)
        assert line.sql("SELECT verdict, reason FROM quota_verdict(%s, 'tokens', 2)", tenant) == [verdict]
    assert line.client().fcall("meterline_check", 1, "quota:{acme}", "tokens", 100_000)[:2] == ["allow", "ok"]
    assert line.value("SELECT raised FROM raise_usage_alerts(100)") == 1
    assert line.value("SELECT DISTINCT tenant FROM outgoing_messages WHERE kind = 'quota_threshold'") == "nobody"


def test_a_tenant_without_quotas_and_usage_gets_what_the_catalog_has_since(line, stage, events):
    """Its plan limited nothing, and it has used nothing yet. What it did not know of leaves grace."""
    path = line.folder / "catalog.json"
    plans = catalog()
    plans["plans"][-1]["limits"] = {}
    path.write_text(json.dumps(plans), encoding="utf-8")
    line.catalog(path)
    work(line, stage, *life(events, (-12, "large", {})))
    line.wait_for(lambda: cached(line) == ["unlimited", None, "active", "large"])
    line.client().delete("quota:{acme}")
    line.must("meterctl", "quota", "refresh")
    line.wait_for(lambda: cached(line) == ["unlimited", None, "active", "large"])
    apply(line)
    line.wait_for(lambda: cached(line) == ["1000", str(ms(end_of(NOW + 18 * DAY))), "active", "large"])


# Paused, and what ends by itself. Sweeps are an hour apart.

def test_while_collecting_is_paused_the_catalog_decides(line, stage, events):
    work(line, stage, *life(events, (-12, "large", {})),
         events.make("customer.subscription.updated", subscription(
             "large", pause_collection={"behavior": "void", "resumes_at": None}), NOW - DAY, previous={"pause_collection": None}))
    line.wait_for(lambda: cached(line)[2:] == ["active", "large"])
    assert "setting on_collection_pause changed: active to blocked" in apply(line, on_collection_pause="blocked").stdout
    line.wait_for(lambda: cached(line, "status") == ["blocked"])
    assert line.client().fcall("meterline_check", 1, "quota:{acme}", "tokens", 1)[:2] == ["deny", "blocked"]
    assert line.sql("SELECT verdict, reason FROM quota_verdict('acme', 'tokens')") == [("deny", "blocked")]
    assert json.loads(line.must("meterctl", "catalog", "show").stdout)["on_collection_pause"] == "blocked"
    work(line, stage, events.make("customer.subscription.updated", subscription("large"), NOW,
                                  previous={"pause_collection": {"behavior": "void"}}))
    line.wait_for(lambda: cached(line, "status") == ["active"])


def test_the_end_of_grace_reaches_redis_without_a_sweep(line, stage, events):
    work(line, stage, *life(events, (-12, "large", {})),
         events.make("customer.subscription.updated", subscription("large", status="past_due"), NOW - DAY,
                     previous={"status": "active"}))
    line.wait_for(lambda: cached(line, "status") == ["grace"])
    line.sql("UPDATE subscriptions SET past_due_since = now() - interval '7 days' + interval '2 s'")
    line.wait_for(lambda: cached(line, "status") == ["blocked"])
    work(line, stage, events.make("customer.subscription.updated", subscription("large"), NOW, previous={"status": "past_due"}))
    line.wait_for(lambda: cached(line, "status") == ["active"])


def test_an_own_limit_holds_until_its_end(line, stage, events):
    work(line, stage, *life(events, (-12, "large", {})))
    line.sql("INSERT INTO tenant_limits (tenant, metric, included, until) VALUES ('acme', 'tokens', 5000, now() + interval '3 s')")
    line.wait_for(lambda: cached(line, "tokens.limit") == ["5000"])
    line.wait_for(lambda: cached(line)[:2] == ["1000", None])
