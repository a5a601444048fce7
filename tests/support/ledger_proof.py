"""Emitting events while an oracle keeps count, and the proof that the ledger agrees with the oracle."""

import base64
import collections
import contextlib
import itertools
import json
import random
import threading
import time

from redis import RedisError

from line import wait_until
from line.line import STREAM
from support.usage_oracle import Oracle

POSITION = """
    SELECT coalesce(sum(counted), 0) AS counted, coalesce(sum(duplicates), 0) AS duplicates,
           coalesce(sum(rejected), 0) AS rejected, coalesce(sum(conflicts), 0) AS conflicts
      FROM (SELECT counted, duplicates, rejected, conflicts FROM stream_positions
            UNION ALL
            SELECT counted, duplicates, rejected, conflicts FROM stream_epochs) all_epochs"""


class Emitter:
    """Adds entries to the stream as any service would, and tells the oracle of each."""

    def __init__(self, line, oracle=None):
        self.line = line
        self.oracle = oracle or Oracle()

    def add(self, fields=None, entry_id="*", **more):
        """One entry: its outcome. fields: a dict, or a list of pairs where names repeat."""
        return self.add_all([{**fields, **more} if isinstance(fields, dict) else fields or more],
                            entry_id)[0]

    def add_all(self, entries, entry_id="*"):
        pipe = self.line.client().pipeline(transaction=False)
        pairs = [list(e.items()) if isinstance(e, dict) else e for e in entries]
        for fields in pairs:
            pipe.execute_command("XADD", STREAM, entry_id, *itertools.chain(*fields))
        return [self.oracle.take(id, fields) for id, fields in zip(pipe.execute(), pairs)]

    def usage(self, count, tenants=3, metric="api_calls", repeats=0.0, seed=1):
        """Many plain events with ids and times of their own, some of them repeated at once."""
        choose = random.Random(seed)
        now_ms = int(time.time() * 1000)
        for n in range(count):
            event = {"tenant": f"t{n % tenants}", "metric": metric, "quantity": n % 7 + 1,
                     "id": f"{seed}-{n}", "ts": now_ms - choose.randrange(120_000)}
            yield event
            if choose.random() < repeats:
                yield event


class Flow(threading.Thread):
    """A service that never stops adding, 5 % of it twice, and tries again when Redis is away: an
    entry may then come twice. Use with `with`; afterwards the oracle knows every event once."""

    def __init__(self, line, seed=7, repeats=0.05, rest_s=0.002):
        super().__init__(daemon=True)
        self.client = line.redis.client(socket_timeout=2)
        self.oracle = Oracle()
        self.seed, self.repeats, self.rest_s = seed, repeats, rest_s
        self.added = 0
        self._ending = threading.Event()

    def run(self):
        choose = random.Random(self.seed)
        while not self._ending.is_set():
            event = {"tenant": f"t{choose.randrange(5)}", "metric": "api_calls",
                     "quantity": choose.randrange(1, 9), "id": f"f{self.seed}-{self.added}",
                     "ts": int(time.time() * 1000)}
            for _ in range(2 if choose.random() < self.repeats else 1):
                self._add(event)
            self.oracle.take(f"{event['ts']}-{self.added}", event)  # In the order of adding.
            self.added += 1
            self._ending.wait(self.rest_s)

    def _add(self, event):
        while True:
            with contextlib.suppress(RedisError, ConnectionError):
                return self.client.xadd(STREAM, event)
            self._ending.wait(0.02)

    def wait_added(self, more):
        target = self.added + more
        wait_until(lambda: self.added >= target, 90, f"{target} events are added")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *failure):
        self._ending.set()
        self.join(30)


def position(line):
    rows = line.sql("SELECT * FROM stream_positions WHERE stream = %s", STREAM)
    return rows[0] if rows else None


def settle(line, timeout=40):
    """Wait until everything in the stream is counted and trimmed."""
    def is_settled():
        # Entries may hold any bytes.
        with line.redis.client(encoding_errors="replace") as client:
            info = client.exists(STREAM) and client.xinfo_stream(STREAM)
        at = info and info["length"] == 0 and position(line)
        return at and at.last_id == info["last-generated-id"]
    line.wait_for(is_settled, timeout, "everything in the stream is in the ledger")


def prove(line, oracle, entries=True, audit=True, attention=()):
    """All that the ledger holds is what the oracle says, and the audit balances. entries=False:
    which entry an event came with is not known, nor how often."""
    expected = oracle.outcomes()
    seen = {kind: int(n) for kind, n in line.sql(POSITION)[0]._asdict().items()}
    assert (seen == expected) if entries else (seen["counted"] == expected["counted"])
    assert_same(stored_minutes(line), oracle.minutes())
    assert_totals(line, oracle)
    if entries:
        assert_same(stored_events(line), expected_events(oracle))
        assert_rejects(line, oracle)
    if audit:
        assert_balanced(line, attention)


def assert_same(stored, expected):
    different = [key for key in {**stored, **expected} if stored.get(key) != expected.get(key)]
    assert not different, "\n".join(f"{key}: stored {stored.get(key)}, expected {expected.get(key)}"
                                    for key in different[:10])


def assert_balanced(line, attention=()):
    """attention: what may wait for a person, such as lost."""
    audit = line.audit()
    assert audit.balanced, audit.text
    # Where nobody is mapped to a customer at Stripe, that is not what is proven.
    mapped = line.value("SELECT EXISTS (SELECT FROM billing_customers)")
    assert audit.attention.keys() <= {*attention, *(() if mapped else ("unmapped",))}, audit.text
    assert all(stream["difference"] == 0 for stream in audit.streams), audit.text
    assert audit.total("waiting") == 0, audit.text
    return audit


def stored_minutes(line):
    rows = line.sql("""SELECT tenant, metric, dimensions,
                              (extract(epoch FROM minute_at) * 1000)::bigint AS minute_ms,
                              events, quantity_sum, quantity_min, quantity_max, quantity_last
                         FROM usage_aggregates""")
    return {(r.tenant, r.metric, json.dumps(r.dimensions, sort_keys=True), r.minute_ms):
            (r.events, r.quantity_sum, r.quantity_min, r.quantity_max, r.quantity_last)
            for r in rows}


def stored_totals(line):
    """Leave out minutes of which everything was retracted: they are 0."""
    assert not line.sql("SELECT * FROM usage_totals WHERE last_entry = '' AND quantity <> 0")
    rows = line.sql("""SELECT tenant, metric, quantity,
                              (extract(epoch FROM period_start) * 1000)::bigint AS start_ms
                         FROM usage_totals WHERE last_entry <> ''""")
    return {(r.tenant, r.metric, r.start_ms): r.quantity for r in rows}


def assert_totals(line, oracle, now_ms=None):
    """Also of what was carried over; a period that carries 0 may have a total, or none."""
    now_ms = now_ms or int(line.value("SELECT extract(epoch FROM now()) * 1000"))
    expected = {**oracle.totals(), **oracle.carried(now_ms)}
    stored = {key: quantity for key, quantity in stored_totals(line).items()
              if key in expected or quantity or not oracle.metrics[key[1]].get("carry")}
    assert_same(stored, expected)


def stored_events(line):
    rows = line.sql("""SELECT stream_id, tenant, metric, event_id, id_given, quantity, dimensions,
                              (extract(epoch FROM occurred_at) * 1000)::bigint AS ts, retraction
                         FROM usage_events""")
    return {r.stream_id: (r.tenant, r.metric, r.event_id, r.id_given, r.quantity, r.dimensions,
                          r.ts, r.retraction) for r in rows}


def expected_events(oracle):
    return {id: (e["tenant"], e["metric"],
                 e["id"] if e["id"] is not None else f"{oracle.stream}/{id}",
                 e.get("given", e["id"] is not None), e["quantity"], e["dims"], e["ts"],
                 e.get("retraction", False))
            for id, e in oracle.raw.items()}


def assert_rejects(line, oracle):
    """Each entry that is not counted is kept with a reason that fits, and its fields exactly."""
    stored = {row.stream_id: row for row in line.sql("SELECT * FROM rejected_events")}
    expected = {id: (fields, outcome) for id, fields, outcome in oracle.entries if outcome.reasons}
    assert stored.keys() == expected.keys()
    for id, (fields, outcome) in expected.items():
        assert stored[id].reason in outcome.reasons, (stored[id], fields)
        kept = stored[id].fields
        assert kept[-1:] and isinstance(kept[-1], dict) or kept == [
            [as_json(name), as_json(value)] for name, value in fields]
        assert stored[id].detail and stored[id].detail.isascii()


def as_json(data):
    """A string as it is kept: text where it is UTF-8 without NUL, else base64."""
    try:
        if b"\0" not in data:
            return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    return {"base64": base64.b64encode(data).decode()}


def reasons(line):
    return collections.Counter(row.reason for row in line.sql("SELECT reason FROM rejected_events"))
