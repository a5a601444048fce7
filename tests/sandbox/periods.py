"""Billing periods: their edges are the anchor plus whole intervals, in UTC; a 31st is clamped."""
from calendar import monthrange
from datetime import datetime, timedelta, timezone


def edge(anchor, interval, count, k):
    """The k-th edge counted from the anchor; k may be negative. Unix seconds."""
    start = datetime.fromtimestamp(anchor, timezone.utc)
    if interval in ("day", "week"):
        days = k * count * (7 if interval == "week" else 1)
        return int((start + timedelta(days=days)).timestamp())
    months = start.year * 12 + start.month - 1 + k * count * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(start.day, monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def last_day(year, month):
    return monthrange(year, month)[1]


def around(anchor, interval, count, moment, not_before):
    """(start, end) of the period that holds the moment; the first begins with the subscription."""
    length_days = {"day": 1, "week": 7, "month": 30.44, "year": 365.25}[interval] * count
    k = int((moment - anchor) // (length_days * 86400))     # a guess that is off by one at most
    while edge(anchor, interval, count, k) > moment:
        k -= 1
    while edge(anchor, interval, count, k + 1) <= moment:
        k += 1
    return (max(edge(anchor, interval, count, k), not_before), edge(anchor, interval, count, k + 1))
