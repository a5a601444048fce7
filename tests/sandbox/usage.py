"""The meter events that were accepted, and their sums. Values are whole numbers of any size."""
WINDOW_S = {"hour": 3600, "day": 86400}


class MeterEvent:
    __slots__ = ("identifier", "event_name", "customer", "payload", "value", "timestamp",
                 "received_at", "status", "code", "source")

    def __init__(self, identifier, event_name, customer, payload, value, timestamp, received_at,
                 source):
        self.identifier, self.event_name, self.customer = identifier, event_name, customer
        self.payload, self.value = payload, value
        self.timestamp, self.received_at = timestamp, received_at
        self.status, self.code, self.source = "aggregated", None, source

    def shown(self):
        return {"identifier": self.identifier, "event_name": self.event_name,
                "customer": self.customer, "value": None if self.value is None else str(self.value),
                "payload": self.payload, "timestamp": self.timestamp,
                "received_at": self.received_at, "status": self.status, "code": self.code,
                "source": self.source}


class Bucket:
    """One customer's events of one meter, with a running sum and the latest."""
    __slots__ = ("events", "total", "latest")

    def __init__(self):
        self.events, self.total, self.latest = [], 0, None

    def add(self, event):
        self.events.append(event)
        self.total += event.value
        # Of two with one timestamp the one that came later counts.
        if self.latest is None or event.timestamp >= self.latest.timestamp:
            self.latest = event

    def remove(self, event):
        self.events.remove(event)
        self.total -= event.value
        self.latest = newest(self.events)

    def between(self, start, end):
        return [e for e in self.events if (start is None or e.timestamp >= start)
                and (end is None or e.timestamp < end)]

    def value(self, meter):
        formula = meter["default_aggregation"]["formula"]
        if meter["event_time_window"]:
            return aggregate(self.events, meter)
        if formula == "count":
            return len(self.events)
        return self.total if formula == "sum" else (self.latest.value if self.latest else 0)


def newest(events):
    found = None
    for event in events:
        if found is None or event.timestamp >= found.timestamp:
            found = event
    return found


def aggregate(events, meter):
    """By the meter's formula. A meter of pre-aggregated values keeps the newest event a window."""
    if meter["event_time_window"]:
        window_s, kept = WINDOW_S[meter["event_time_window"]], {}
        for event in events:
            window = event.timestamp // window_s
            if window not in kept or event.timestamp >= kept[window].timestamp:
                kept[window] = event
        events = list(kept.values())
    formula = meter["default_aggregation"]["formula"]
    if formula == "count":
        return len(events)
    if formula == "sum":
        return sum(event.value for event in events)
    latest = newest(events)
    return latest.value if latest else 0


class Usage:
    def __init__(self, clock):
        self.clock = clock
        self.accepted = []          # every event, rejected later or not
        self.by_identifier = {}     # the newest event with that identifier
        self.buckets = {}           # (customer, event_name) -> Bucket

    def add(self, event):
        self.accepted.append(event)
        self.by_identifier[event.identifier] = event
        if event.status == "aggregated":
            key = event.customer, event.event_name
            bucket = self.buckets.get(key)
            if bucket is None:
                bucket = self.buckets[key] = Bucket()
            bucket.add(event)

    def cancel(self, event):
        if event.status == "aggregated":
            self.buckets[event.customer, event.event_name].remove(event)
        event.status = "canceled"
