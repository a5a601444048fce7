"""What one service sends: usage of every kind, some of it repeated, contradicted, late, broken or
taken back. Which ids are reused and how is chosen from the seed."""

import collections
import random
import time

from support.id_times import uuid7
from support.usage_oracle import AGE_MAX_MS, FUTURE_MAX_MS

from .catalog import EMITTED, LASTS

QUANTITIES = ["0", "1", "-1", "2", "2.0", "02", "3.5", "0.000000001", "17", "250", "-12.25",
              "99999999999.999999999", "-99999999999.999999999"]
REGIONS, MODELS = ["eu", "us", "日本"], ["large", "small", "tiny"]
BROKEN = [{"tenant": None}, {"metric": None}, {"metric": "nope"}, {"quantity": "1e3"},
          {"quantity": "1,5"}, {"quantity": "1" * 19}, {"ts": "soon"}, {"ts": "9" * 30},
          {"note": b"a\0b"}, {"note": b"\xff\xfe"}, {"tenant": "a\x01b"}, {"id": ""},
          {"id": "i" * 256}, {"op": "delete"}, {"Region": "eu"}, {"note": "n" * 257},
          {"tenant": "t" * 129}, {"metric": "large_tokens"},
          {f"more{n}": "x" for n in range(17)}, {"": "x"}]
KINDS = {"fresh": 65, "repeat": 10, "conflict": 5, "retract": 7, "by_entry": 1, "in_a_burst": 3,
         "too_early": 3, "never": 1, "broken": 5}
RECENT, OLD = 500, 4000
LATE_EACH_MS, LATE_PLACES, LATE_MS = 14 * 3_600_000, 59, 90_000


def tells_time(id):
    return id[14:15] == "7" and len(id) == 36


class Known:
    """Events that were sent, to come back to: the newest, and some of all before."""

    def __init__(self):
        self.recent = collections.deque(maxlen=RECENT)
        self.old = []
        self.seen = 0

    def add(self, choose, event):
        self.recent.append(event)
        self.seen += 1
        if len(self.old) < OLD:
            self.old.append(event)
        elif choose.random() < OLD / self.seen:
            self.old[choose.randrange(OLD)] = event

    def pick(self, choose):
        events = self.recent if choose.random() < 0.5 else self.old
        return choose.choice(events) if events else None


class Usage:
    """burst(n) gives about n entries, as lists of (name, value) in any order.

    known:    events to come back to; services that share it send each other's ids.
    by_time:  ids come back with their time only, as they must where the window of deduplication is
              shorter than the run; but those that tell when they were made.
    certain:  only what means the same whichever of two equal entries came first: for runs in which
              Redis loses entries that were counted."""

    def __init__(self, name, seed, tenants, known, by_time=False, certain=False):
        self.name = name
        self.choose = random.Random(f"{seed} {name}")
        self.tenants = tenants
        self.known = known
        self.by_time = by_time
        self.certain = certain
        self.number = 0
        self.times = set()  # of values that "last" looks at, where they must differ
        self.without_id = collections.deque(maxlen=OLD)  # (tenant, id by default, ts) that were sent

    def burst(self, n):
        entries = []
        while len(entries) < n:
            kind, = self.choose.choices(list(KINDS), KINDS.values())
            entries += [self.shuffled(fields) for fields in getattr(self, f"make_{kind}")()]
        return entries

    def note_entry(self, pairs, stream, entry_id):
        """An entry was acknowledged: one without an id can be taken back by this."""
        event = dict(pairs)
        if "id" not in event and "tenant" in event:
            ts = event.get("ts", entry_id.partition("-")[0])
            self.without_id.append((event["tenant"], f"{stream}/{entry_id}", ts))

    def shuffled(self, fields):
        pairs = list(fields.items())
        self.choose.shuffle(pairs)
        return pairs

    # Kinds of entries: each a list of dicts, to be sent one after the other.

    def make_fresh(self):
        event = self.event()
        if "id" in event and ("ts" in event or not self.by_time or tells_time(event["id"])):
            self.known.add(self.choose, event)
        return [event]

    def make_repeat(self):
        event = self.known.pick(self.choose)
        if not event:
            return []
        if (not self.by_time or tells_time(event["id"])) and not self.certain and self.choose.random() < 0.2:
            event = {**event, "ts": self.time_of_use()}
        return [event] * self.choose.choice([1, 1, 1, 2, 5])

    def make_conflict(self):
        event = self.known.pick(self.choose)
        if not event:
            return []
        change = self.choose.choice([{"quantity": "4711"}, {"note": f"{self.number}"},
                                     {"metric": self.choose.choice(EMITTED), "other": "1"}])
        return [{**event, **change}]

    def make_retract(self):
        event = self.known.pick(self.choose)
        return [self.retraction(event)] * self.choose.choice([1, 1, 2]) if event else []

    def make_by_entry(self):
        if not self.without_id:
            return []
        tenant, id, ts = self.choose.choice(self.without_id)
        return [{"tenant": tenant, "id": id, "op": "retract", "ts": ts}]

    def make_in_a_burst(self):
        event = {**self.event(), "id": self.new_id(), "ts": self.time_of_use(single=True)}
        return [event, *[self.retraction(event)] * self.choose.choice([1, 2]),
                *[event] * self.choose.choice([0, 1])]

    def make_too_early(self):
        if self.certain:
            return []
        event = {**self.event(), "id": self.new_id(), "ts": self.time_of_use()}
        after = [self.retraction(event)] * self.choose.choice([0, 1])
        return [self.retraction(event), event, *after]

    def make_never(self):
        return [{"tenant": self.choose.choice(self.tenants), "op": "retract",
                 "id": self.choose.choice([self.new_id(), "usage:events/1-1", "x"])}]

    def make_broken(self):
        event = {**self.event(), "id": self.new_id(), **self.choose.choice(BROKEN)}
        return [{name: value for name, value in event.items() if value is not None}]

    # Their parts.

    def event(self):
        choose = self.choose
        event = {"tenant": choose.choice(self.tenants), "metric": choose.choice(EMITTED)}
        if choose.random() < 0.9:
            event["quantity"] = choose.choice(QUANTITIES)
        if choose.random() < 0.9 or self.certain:
            event["id"] = self.new_id()
        if choose.random() < 0.85 or self.certain:
            event["ts"] = self.time_of_use(event["metric"] in LASTS)
        for name, values in (("region", REGIONS), ("model", MODELS), ("note", ["", "a\nb", "👍"])):
            if choose.random() < 0.6:
                event[name] = choose.choice(values)
        event["user"] = f"u{choose.randrange(30)}"
        return event

    def retraction(self, event):
        fields = {"tenant": event["tenant"], "id": event["id"], "op": "retract"}
        if "ts" in event and (self.by_time and not tells_time(event["id"]) or self.choose.random() < 0.5):
            fields["ts"] = event["ts"]
        if self.choose.random() < 0.2:
            fields.update(note="taken back", quantity="1")
        return fields

    def new_id(self):
        self.number += 1
        kind = self.choose.random()
        if kind < 0.25:
            return uuid7(int(time.time() * 1000), self.choose.getrandbits(74))
        if kind < 0.5:
            return "%08x-0000-4000-8000-%012x" % (self.choose.getrandbits(32), self.number)
        return f"{self.name}/{self.number}"

    def late(self, now):
        """Within few minutes of all days, so that they meet others there."""
        at = now // LATE_EACH_MS * LATE_EACH_MS - self.choose.randrange(LATE_PLACES) * LATE_EACH_MS
        return min(now, at + self.choose.randrange(LATE_MS)) - now

    def time_of_use(self, single=False):
        """Mostly now, often earlier, up to the limits on both sides."""
        now, choose = int(time.time() * 1000), self.choose
        while True:
            ts = now + choose.choices(
                [-choose.randrange(120_000), self.late(now),
                 choose.randrange(FUTURE_MAX_MS - 120_000),
                 -AGE_MAX_MS + choose.randrange(-500, 5000),
                 FUTURE_MAX_MS + choose.randrange(-5000, 500)],
                [60, 30, 4, 0 if self.certain else 1, 0 if self.certain else 1])[0]
            if not (single and self.certain):
                return ts
            if ts not in self.times:
                self.times.add(ts)
                return ts
