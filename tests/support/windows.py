"""Windows of limits, worked out apart from the database: the edges, and what was used within them."""

import calendar
import datetime
import json

from support.aggregator import apply
from support.usage_oracle import DAY_MS, MINUTE_MS, UTC, month_of, value_of

METRICS = [
    {"metric": "tokens", "name": "Tokens", "unit": "token", "aggregation": "sum", "dimensions": ["model"]},
    {"metric": "large_tokens", "name": "Large", "unit": "token", "aggregation": "count", "from": "tokens",
     "where": {"model": "large"}},
    {"metric": "logins", "name": "Logins", "unit": "login", "aggregation": "count"},
    {"metric": "peak", "name": "Peak", "unit": "GB", "aggregation": "max"},
    {"metric": "seats", "name": "Seats", "unit": "seat", "aggregation": "last", "carry": True}]


def catalog(**windows):
    """One with a plan for each name, and a limit of each metric that counts over that window."""
    return {"metrics": [{**metric, "transport": "none"} for metric in METRICS],
            "plans": [{"plan": plan, "name": plan, "currency": "usd", "base_amount_minor": 0, "stripe_lookup_key": plan,
                       "limits": {m["metric"]: {"included": "1000", "cap": "hard",
                                                **({} if m["metric"] == "seats" else {"window": window})}
                                  for m in METRICS}}
                      for plan, window in windows.items()]}


def apply_windows(line, **windows):
    return apply(line, catalog(**windows))


def subscribe(line, tenant, plan, anchor, unit="month", started=None):
    """anchor, started: datetimes; started: the anchor."""
    line.sql("""
        INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, plan, status, current_period_start,
                                   current_period_end, billing_cycle_anchor, billing_interval, started_at)
        SELECT 'sub_' || %(tenant)s, %(tenant)s, 'cus_' || %(tenant)s, %(plan)s, 'active', p.period_start, p.period_end,
               %(anchor)s, %(unit)s, %(started)s
          FROM project_period(%(anchor)s, %(unit)s, 1, greatest(now(), %(started)s)) p
        ON CONFLICT (stripe_subscription_id) DO UPDATE
           SET plan = excluded.plan, current_period_start = excluded.current_period_start,
               current_period_end = excluded.current_period_end, billing_cycle_anchor = excluded.billing_cycle_anchor,
               billing_interval = excluded.billing_interval;
        SELECT refresh_billing_periods(%(tenant)s);
        SELECT refresh_usage_quotas(%(tenant)s)""".replace("%(tenant)s", "'%s'" % tenant)
             .replace("%(plan)s", "'%s'" % plan).replace("%(unit)s", "'%s'" % unit)
             .replace("%(anchor)s", "'%s'::timestamptz" % anchor.isoformat())
             .replace("%(started)s", "'%s'::timestamptz" % (started or anchor).isoformat()))


def ms(at):
    return int(at.timestamp() * 1000)


def at_ms(milliseconds):
    return datetime.datetime.fromtimestamp(milliseconds / 1000, UTC)


def add_months(anchor, months):
    """As Stripe does it: the anchor's own day, or the last of a shorter month."""
    month = anchor.year * 12 + anchor.month - 1 + months
    year, month = divmod(month, 12)
    return anchor.replace(year=year, month=month + 1, day=min(anchor.day, calendar.monthrange(year, month + 1)[1]))


def month_around(anchor, now):
    """The months from the billing day: the one that holds this time."""
    anchor = anchor.replace(second=0, microsecond=0)
    months = (now.year - anchor.year) * 12 + now.month - anchor.month + 1
    while add_months(anchor, months) > now:
        months -= 1
    return add_months(anchor, months), add_months(anchor, months + 1)


def day_around(now):
    start = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return start, start + datetime.timedelta(days=1)


def calendar_month(now):
    start = month_of("", ms(now))
    return at_ms(start), add_months(at_ms(start), 1)


def used_between(oracle, tenant, metric, span):
    """As the cache has it: 0 where nothing was."""
    low, high = map(ms, span)
    events = [event for known, event in oracle.left()
              if known["metric"] == metric and event["tenant"] == tenant
              and low <= event["ts"] // MINUTE_MS * MINUTE_MS < high]
    return value_of(oracle.metrics[metric]["aggregation"], events) if events else 0


def cached(line, tenant, metric):
    """(used, end of the window in Unix ms), as a reader takes them."""
    used, end = line.client().hmget(f"quota:{{{tenant}}}", f"{metric}.used", f"{metric}.period_end")
    now = line.value("SELECT (extract(epoch FROM now()) * 1000)::bigint")
    return (0, None) if used is None or int(end) <= now else (json.loads(used), int(end))


__all__ = ["DAY_MS", "MINUTE_MS", "UTC", "add_months", "apply_windows", "at_ms", "cached", "calendar_month", "catalog",
           "day_around", "month_around", "ms", "subscribe", "used_between"]
