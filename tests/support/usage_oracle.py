"""What a stream of entries must come to, worked out from the stream's rules alone: each entry's
outcome, and the minute rows and period totals of what is counted."""

import bisect
import collections
import datetime
import decimal
import json
import re

from line.line import STREAM
from line.paths import CATALOG

MINUTE_MS = 60_000
DAY_MS = 86_400_000
AGE_MAX_MS = 35 * 86_400_000
FUTURE_MAX_MS = 5 * MINUTE_MS
NAME = re.compile(rb"[a-z0-9_]{1,64}")
QUANTITY = re.compile(rb"-?[0-9]{1,18}(\.[0-9]{1,9})?")
CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
KNOWN = ("tenant", "metric", "quantity", "id", "ts", "op")
UTC = datetime.timezone.utc

Outcome = collections.namedtuple("Outcome", "kind reasons")  # reasons: any of them may be told
COUNTED, DUPLICATE = Outcome("counted", frozenset()), Outcome("duplicates", frozenset())
CONFLICT = Outcome("conflicts", frozenset({"conflict"}))


def rejected(reasons):
    return Outcome("rejected", frozenset(reasons))


def as_bytes(text):
    return text if isinstance(text, bytes) else str(text).encode()


def month_of(tenant, minute_ms):
    """The calendar month that a minute lies in: its first millisecond."""
    at = datetime.datetime.fromtimestamp(minute_ms / 1000, UTC)
    return int(datetime.datetime(at.year, at.month, 1, tzinfo=UTC).timestamp() * 1000)


class Oracle:
    """take() each entry in the stream's order; then outcomes, minutes(), totals() tell."""

    def __init__(self, catalog=CATALOG, stream=STREAM, period_of=month_of):
        metrics = json.loads(open(catalog, encoding="utf-8").read())["metrics"]
        self.metrics = {metric["metric"]: metric for metric in metrics}
        self.stream = stream
        self.period_of = period_of
        self.first = {}     # (tenant, id), given or by default -> content
        self.events = []    # counted: (metric, event), derived ones too
        self.raw = {}       # entry id -> event, or what a retraction took back
        self.by_id = {}     # (tenant, id), given or by default -> counted event; given ones go first
        self.taken_back = set()  # (tenant, id) of retractions that counted
        self.entries = []   # (entry id, fields, outcome)

    def take(self, entry_id, fields):
        """fields: a dict or a list of pairs, text or bytes. Returns the entry's outcome."""
        pairs = list(fields.items()) if isinstance(fields, dict) else fields
        pairs = [(as_bytes(name), as_bytes(value)) for name, value in pairs]
        outcome = self.judge(entry_id, pairs)
        self.entries.append((entry_id, pairs, outcome))
        return outcome

    def judge(self, entry_id, pairs):
        faults = shape_faults(pairs)
        if faults:
            return rejected(faults)
        given = {name.decode(): value for name, value in pairs}
        faults = self.value_faults(entry_id, given)
        if faults:
            return rejected(faults)
        return self.retract(entry_id, given) if "op" in given else self.count(entry_id, given)

    def value_faults(self, entry_id, given):
        faults = set()
        retract = given.get("op") == b"retract"
        if "op" in given and not retract:
            faults.add("bad_field")
        faults |= text_faults(given.get("tenant"), 128)
        if CONTROL.search(given.get("tenant", b"")):
            faults.add("bad_field")
        if "id" in given or retract:
            faults |= text_faults(given.get("id"), 255)
        if "metric" in given:
            faults |= self.metric_faults(given["metric"], retract)
        elif not retract:
            faults.add("missing_field")
        if "quantity" in given and not QUANTITY.fullmatch(given["quantity"]):
            faults.add("bad_quantity")
        if "ts" in given:
            faults |= time_faults(given["ts"], milliseconds(entry_id))
        return faults

    def metric_faults(self, metric, retract):
        if not NAME.fullmatch(metric):
            return {"bad_field", "unknown_metric"}
        if retract:
            return set()
        known = self.metrics.get(metric.decode())
        return {"unknown_metric"} if not known or "from" in known else set()

    def count(self, entry_id, given):
        event = {
            "entry": entry_key(entry_id),
            "tenant": given["tenant"].decode(),
            "metric": given["metric"].decode(),
            "quantity": decimal.Decimal(given.get("quantity", b"1").decode()),
            "id": given["id"].decode() if "id" in given else None,
            "ts": int(given["ts"]) if "ts" in given else milliseconds(entry_id),
            "dims": {name: value.decode() for name, value in given.items() if name not in KNOWN},
        }
        content = event["metric"], event["quantity"], event["dims"]
        own_id = f"{self.stream}/{entry_id}" if event["id"] is None else event["id"]
        first = self.first.setdefault((event["tenant"], own_id), content)
        if event["id"] is not None and first is not content:
            return DUPLICATE if first == content else CONFLICT
        self.raw[entry_id] = event
        self.by_id[event["tenant"], event["id"], True] = event
        self.by_id[event["tenant"], f"{self.stream}/{entry_id}", False] = (
            event if event["id"] is None else None)
        for metric in self.metrics.values():
            if metric["metric"] == event["metric"] or (
                    metric.get("from") == event["metric"]
                    and metric.get("where", {}).items() <= event["dims"].items()):
                self.events.append((metric, event))
        return COUNTED

    def retract(self, entry_id, given):
        tenant, id = given["tenant"].decode(), given["id"].decode()
        if (tenant, id) in self.taken_back:
            return DUPLICATE
        event = self.by_id.get((tenant, id, True)) or self.by_id.get((tenant, id, False))
        told = int(given["ts"]) if "ts" in given else None
        is_old = told is not None and told < milliseconds(entry_id) - DAY_MS
        if not event or is_old and told != event["ts"]:
            return rejected({"unknown_retraction"})
        self.taken_back.add((tenant, id))
        self.raw[entry_id] = {**event, "id": id, "given": event["id"] is not None,
                              "quantity": -event["quantity"], "retraction": True}
        event["gone"] = True
        return COUNTED

    def outcomes(self):
        counts = collections.Counter(outcome.kind for _, _, outcome in self.entries)
        return {kind: counts[kind] for kind in ("counted", "duplicates", "rejected", "conflicts")}

    def left(self):
        """What counts and was not taken back."""
        return (pair for pair in self.events if "gone" not in pair[1])

    def minutes(self):
        """(tenant, metric, dimensions, minute) -> (events, sum, min, max, last)."""
        groups = collections.defaultdict(list)
        for metric, event in self.left():
            dims = {name: event["dims"][name] for name in metric.get("dimensions", [])
                    if name in event["dims"]}
            groups[event["tenant"], metric["metric"], json.dumps(dims, sort_keys=True),
                   event["ts"] // MINUTE_MS * MINUTE_MS].append(event)
        return {key: (len(events), *(value_of(kind, events) for kind in
                                     ("sum", "min", "max", "last")))
                for key, events in groups.items()}

    def totals(self):
        """(tenant, metric, start of the period) -> quantity."""
        groups = collections.defaultdict(list)
        for metric, event in self.left():
            start = self.period_of(event["tenant"], event["ts"] // MINUTE_MS * MINUTE_MS)
            groups[event["tenant"], metric["metric"], start].append(event)
        return {key: value_of(self.metrics[key[1]]["aggregation"], events,
                              self.metrics[key[1]].get("dimensions", ()))
                for key, events in groups.items()}

    def carried(self, now_ms):
        """What periods without usage of their own have of metrics that carry, until now: the last
        value of before. Those that would have 0 need not be there, and are left out."""
        owns, found = collections.defaultdict(dict), {}
        for (tenant, metric, start), quantity in self.totals().items():
            if self.metrics[metric].get("carry"):
                owns[tenant, metric][start] = quantity
        for (tenant, metric), own in owns.items():
            value = decimal.Decimal(0)
            for start in self.starts(tenant, min(own), max(now_ms, *own)):
                value = own.get(start, value)
                if start not in own and value and start <= now_ms:
                    found[tenant, metric, start] = value
        return found

    def starts(self, tenant, first_ms, last_ms):
        """Those of all periods that hold a minute from the first to the last."""
        at_ms, last_ms = first_ms, last_ms // MINUTE_MS * MINUTE_MS
        while True:
            start = self.period_of(tenant, at_ms)
            yield start
            later = lambda n: self.period_of(tenant, at_ms + n * MINUTE_MS) > start  # noqa: E731
            left = (last_ms - at_ms) // MINUTE_MS
            if left <= 0 or not later(left):
                return
            at_ms += bisect.bisect_left(range(left + 1), True, key=later) * MINUTE_MS

    def total(self, tenant, metric):
        return sum(quantity for key, quantity in self.totals().items()
                   if key[:2] == (tenant, metric))


def shape_faults(pairs):
    """Faults of the fields as such; the values of known ones are looked at later."""
    faults, names, dimensions = set(), set(), 0
    for name, value in pairs:
        if name in names:
            faults.add("bad_field")
        names.add(name)
        if not is_text(value):
            faults.add("bad_field")
        if name in map(as_bytes, KNOWN):
            continue
        dimensions += 1
        if not NAME.fullmatch(name):
            faults.add("bad_field")
        if len(value) > 256 or dimensions > 16:
            faults.add("too_large")
    return faults


def is_text(value):
    try:
        return "\0" not in value.decode("utf-8")
    except UnicodeDecodeError:
        return False


def text_faults(value, longest):
    if value is None:
        return {"missing_field"}
    if not value:
        return {"bad_field"}
    return {"too_large"} if len(value) > longest else set()


def time_faults(ts, entry_ms):
    if not re.fullmatch(rb"-?[0-9]{1,18}", ts):
        return {"bad_timestamp"}
    if int(ts) < entry_ms - AGE_MAX_MS:
        return {"too_old"}
    return {"in_future"} if int(ts) > entry_ms + FUTURE_MAX_MS else set()


def value_of(aggregation, events, dimensions=()):
    if aggregation == "unique":
        return decimal.Decimal(len({tuple(event["dims"].get(name) for name in dimensions)
                                    for event in events}))
    if aggregation == "count":
        return decimal.Decimal(len(events))
    if aggregation == "last":
        return max(events, key=lambda event: (event["ts"], event["entry"]))["quantity"]
    with decimal.localcontext(decimal.Context(prec=60)):  # Exact.
        return {"sum": sum, "min": min, "max": max}[aggregation](e["quantity"] for e in events)


def entry_key(entry_id):
    return tuple(map(int, entry_id.split("-")))


def milliseconds(entry_id):
    return entry_key(entry_id)[0]
