"""When a subscription's periods begin and end, and what is due next."""
from datetime import datetime, timezone

from .. import params as p
from .. import periods
from ..errors import StripeError

DAY_S = 86400
WARN_S = 3 * DAY_S          # before a trial ends
INCOMPLETE_S = 23 * 3600
EVER = -10 ** 12


def set_period(sub, item, now):
    """The period of the item that holds this moment; a trial is one."""
    recurring = item["price"]["recurring"]
    if sub["status"] == "trialing":
        start, end = max(sub["trial_start"], 0), sub["trial_end"]
    else:
        first = sub["trial_end"] or sub["start_date"]
        if first > now:
            first = sub["start_date"]
        start, end = periods.around(sub["billing_cycle_anchor"], recurring["interval"],
                                    recurring["interval_count"], max(now, first), first)
    item["current_period_start"], item["current_period_end"] = start, end


def whole_period(sub, item, at):
    """The uncut period around a moment: what a fee is for."""
    recurring = item["price"]["recurring"]
    return periods.around(sub["billing_cycle_anchor"], recurring["interval"],
                          recurring["interval_count"], at, EVER)


def period_end(sub):
    return min(item["current_period_end"] for item in sub["items"]["data"])


def read_trial_end(params, now):
    days = p.integer(params, "trial_period_days")
    if days is not None:
        if days < 1:
            raise StripeError(400, "The minimum number of trial period days is 1.", param="trial_period_days")
        return now + days * 86400
    if params.get("trial_end") in (None, "", "now"):
        return None
    end = p.integer(params, "trial_end")
    if end <= now:
        raise StripeError(400, "Invalid timestamp: must be an integer Unix timestamp in the future.",
                          param="trial_end")
    if end > now + 730 * 86400:
        raise StripeError(400, "Invalid timestamp: trial_end can be no more than two years from now.",
                          param="trial_end")
    return end


def read_anchor(params, start, items):
    """The first edge of a full period, or None: billing_cycle_anchor, or the next moment that fits its
    config."""
    anchor = p.integer(params, "billing_cycle_anchor")
    config = p.group(params, "billing_cycle_anchor_config")
    if config:
        anchor = fitting(config, start)
    if anchor is None:
        return None
    latest = min(periods.edge(start, *(i["price"]["recurring"][n] for n in ("interval", "interval_count")), 1)
                 for i in items)
    if anchor < start or anchor > latest:
        raise StripeError(400, "billing_cycle_anchor cannot be later than next natural billing date (%d) "
                          "for plan." % latest, param="billing_cycle_anchor")
    return anchor


def fitting(config, start):
    first = datetime.fromtimestamp(start, timezone.utc)
    wanted = {name: p.integer(config, name) for name in ("hour", "minute", "second")}
    clock = first.replace(**{name: v for name, v in wanted.items() if v is not None})
    months = first.year * 12 + first.month - 1
    for k in range(0, 14):
        year, month = divmod(months + k, 12)
        if p.integer(config, "month", month + 1) != month + 1:
            continue
        last = periods.last_day(year, month + 1)
        day = min(p.integer(config, "day_of_month", first.day), last)
        moment = int(clock.replace(year=year, month=month + 1, day=day).timestamp())
        if moment >= start:
            return moment
    return None


def tells_ahead(world, sub):
    """Is there an invoice.upcoming to come, by the account's setting?"""
    return world.options.upcoming_days and sub["status"] in ("active", "trialing", "past_due") \
        and not sub["cancel_at"] and sub["_announced"] != period_end(sub)


def told_ahead_s(world):
    return world.options.upcoming_days * DAY_S


def due(world, sub):
    """The next moment at which something happens to it by itself, or None."""
    if sub["ended_at"] or sub["status"] in ("canceled", "incomplete_expired"):
        return None
    if sub["status"] == "incomplete":
        return sub["created"] + INCOMPLETE_S
    moments = [sub["cancel_at"]]
    if sub["status"] != "paused":
        moments.append(period_end(sub))
    if sub["status"] == "trialing" and not sub["_warned"]:
        moments.append(max(sub["trial_end"] - WARN_S, 0))
    if tells_ahead(world, sub):
        moments.append(period_end(sub) - told_ahead_s(world))
    if sub["pending_update"]:
        moments.append(sub["pending_update"]["expires_at"])
    if (sub["pause_collection"] or {}).get("resumes_at"):
        moments.append(sub["pause_collection"]["resumes_at"])
    if sub["schedule"]:
        moments.append(world.of("subscription_schedule").get(sub["schedule"])["current_phase"]["end_date"])
    return min((m for m in moments if m is not None), default=None)
