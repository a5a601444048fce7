"""What the ledger must hold after a round, worked out from what was sent by the rules alone.

Where Redis kept everything, the journal tells the streams' true contents: each entry has one
certain fate. Where Redis lost entries that may have been counted, each event that was sent must have
counted once, whichever of its entries did."""

import ast
import collections
import decimal
import marshal

from support.ledger_proof import (POSITION, as_json, assert_balanced, assert_same, stored_minutes,
                          stored_totals)
from line.wait import wait_until
from support.usage_oracle import MINUTE_MS, Oracle, rejected

from .catalog import METRICS, stream_of, streams
from .journal import read_journal

CACHE_S = 75        # What the aggregator owns in the cache it writes anew every minute.
JUST_NOW_MS = 2 * MINUTE_MS
CARRY = [each["metric"] for each in METRICS if each.get("carry")]
LOSSES = ("lost", "sink_hold")   # That is what was asked for.
NEVER = ["balance_broken", "batch_refused", "ledger_behind_stream", "stream_joined_late"]
NEVER_UNLESS_LOST = ["epoch_opened"]
EVENTS = """
    SELECT stream, stream_id, tenant, metric, event_id, id_given, quantity, dimensions,
           (extract(epoch FROM occurred_at) * 1000)::bigint AS ts, retraction
      FROM usage_events"""


class StreamOracle(Oracle):
    """The oracle of one stream: other tenants' events do not belong there."""

    def __init__(self, catalog, stream, shards, period_of):
        super().__init__(catalog, stream, period_of)
        self.shards = shards

    def judge(self, entry_id, pairs):
        outcome = super().judge(entry_id, pairs)
        tenant = next((value for name, value in pairs if name == b"tenant"), None)
        if outcome.kind == "rejected" and self.is_strange(tenant):
            return rejected({*outcome.reasons, "wrong_shard"})
        return outcome

    def retract(self, entry_id, given):
        strange = self.is_strange(given["tenant"])
        return rejected({"wrong_shard"}) if strange else super().retract(entry_id, given)

    def count(self, entry_id, given):
        strange = self.is_strange(given["tenant"])
        return rejected({"wrong_shard"}) if strange else super().count(entry_id, given)

    def is_strange(self, tenant):
        return bool(tenant) and stream_of(tenant, self.shards) != self.stream


class Proof:
    def __init__(self, line, services, shards, periods, lossy):
        self.line, self.services, self.shards = line, services, shards
        self.periods, self.lossy = periods, lossy
        self.catalog = line.folder / "catalog.json"

    def prove(self, tell):
        tell(f"aggregators told: {self.told()}")
        self.oracles = list(self.services_told() if self.lossy else self.streams_told())
        kinds = collections.Counter()
        for oracle in self.oracles:
            kinds.update(oracle.outcomes())
        tell(f"by the oracle: {dict(kinds)}")
        if not self.lossy:
            seen = {kind: int(n) for kind, n in self.line.sql(POSITION)[0]._asdict().items()}
            assert seen == dict(kinds), f"counted {seen}, expected {dict(kinds)}"
        assert_same(self.events_stored(), self.events_expected())
        tell("raw events are as expected")
        self.assert_rejects()
        tell("rejects are as expected")
        assert_same(stored_minutes(self.line), self.merged("minutes"))
        tell("minutes are as expected")
        assert self.totals_agree(), self.totals_differ()
        tell("totals are as expected")
        for stream in assert_balanced(self.line, LOSSES if self.lossy else ()).streams:
            tell(f"audit {stream}")
        self.assert_rebuilt(tell)
        wait_until(lambda: not self.cache_differs(), CACHE_S, "the quota cache tells the totals",
                   explain=lambda: str(self.cache_differs()))
        tell("the quota cache is as expected")

    def told(self):
        """How often they logged what; some of it never may be, whatever fails."""
        told = collections.Counter(record["event"] for stage in self.line.stages
                                   for record in stage.logs())
        never = NEVER if self.lossy else [*NEVER, *NEVER_UNLESS_LOST]
        assert not [event for event in never if told[event]], told
        return dict(told.most_common())

    # What was sent, told to oracles.

    def streams_told(self):
        for stream in streams(self.shards):
            oracle = StreamOracle(self.catalog, stream, self.shards, self.periods)
            for note, entry_id in read_journal(self.line.client(), stream):
                service, n = map(int, note.split(":"))
                oracle.take(entry_id, marshal.loads(self.services[service].sent[n]))
            yield oracle

    def services_told(self):
        """Each has its own tenants, and sends in one order, also what was lost."""
        for service in self.services:
            oracle = Oracle(self.catalog, "", self.periods)
            for n, (made_ms, packed) in enumerate(zip(service.made_ms, service.sent)):
                oracle.take(f"{made_ms}-{n}", marshal.loads(packed))
            yield oracle

    def merged(self, name):
        """Streams, and services of a lossy round, have tenants of their own."""
        return {key: value for oracle in self.oracles for key, value in getattr(oracle, name)().items()}

    # Raw events and rejects.

    def events_stored(self):
        rows = self.line.sql(EVENTS)
        stored = {self.event_key(r.stream, r.stream_id, r.tenant, r.event_id, r.retraction):
                  (r.tenant, r.metric, r.event_id, r.id_given, r.quantity, r.dimensions, r.ts,
                   r.retraction) for r in rows}
        assert len(stored) == len(rows), "an event was counted twice"
        return stored

    def events_expected(self):
        expected = {}
        for oracle in self.oracles:
            for entry_id, e in oracle.raw.items():
                given = e.get("given", e["id"] is not None)
                id, gone = e["id"] or f"{oracle.stream}/{entry_id}", e.get("retraction", False)
                key = self.event_key(oracle.stream, entry_id, e["tenant"], id, gone)
                expected[key] = (e["tenant"], e["metric"], id, given, e["quantity"], e["dims"],
                                 e["ts"], gone)
        return expected

    def event_key(self, stream, entry_id, tenant, id, retraction):
        return (tenant, id, retraction) if self.lossy else (stream, entry_id)

    def assert_rejects(self):
        stored, expected = {}, {}
        for row in self.line.sql("SELECT stream, stream_id, reason, fields FROM rejected_events"):
            fields = frozenset((repr(name), repr(value)) for name, value in
                               (pair for pair in row.fields if isinstance(pair, list)))
            stored[fields if self.lossy else (row.stream, row.stream_id)] = (row.reason, fields)
        for oracle in self.oracles:
            for entry_id, pairs, outcome in oracle.entries:
                if outcome.reasons:
                    fields = frozenset((repr(as_json(name)), repr(as_json(value)))
                                       for name, value in pairs)
                    key = fields if self.lossy else (oracle.stream, entry_id)
                    expected[key] = (outcome.reasons, fields)
        wrong = [key for key in {**stored, **expected} if not is_fitting(stored.get(key),
                                                                         expected.get(key))]
        assert not wrong, "\n".join(f"{key}: stored {stored.get(key)}, expected {expected.get(key)}\n"
                                    f"    {self.traces_of(key)}" for key in wrong[:10])

    def traces_of(self, key):
        """Of a reject of a lossy round: what the ledger has of its tenant and id, in the order that it came."""
        if not self.lossy:
            return ""
        tenant, id = (next((ast.literal_eval(value)[:128] for n, value in key if n == repr(name)), None)
                      for name in ("tenant", "id"))
        return self.line.sql("""
            SELECT b.committed_at AS at, stream_id, 'counted' AS what, retraction::text AS more
              FROM usage_events e
              JOIN usage_batches b ON b.stream = e.stream AND b.slice = tenant_slice(e.tenant)
               AND split_part(e.stream_id, '-', 1)::bigint = ANY (b.entry_ms) AND e.tenant = ANY (b.tenants)
             WHERE e.tenant = %s AND e.event_id = %s
             UNION ALL
            SELECT rejected_at, stream_id, reason, detail FROM rejected_events WHERE fields @> to_jsonb(ARRAY[ARRAY['id', %s]])
             ORDER BY 1""", tenant, id, id)

    # Totals, with what was carried.

    def totals_agree(self):
        """A period that carries 0 may have a total, or none; one that began a moment ago may be
        about to be opened."""
        now = int(self.line.value("SELECT extract(epoch FROM now()) * 1000"))
        carried, before = ({key: value for oracle in self.oracles
                            for key, value in oracle.carried(at).items()}
                           for at in (now, now - JUST_NOW_MS))
        self.stored, own = stored_totals(self.line), self.merged("totals")
        opening = {key for key in carried.keys() - before.keys() if key not in self.stored}
        self.wanted = {key: value for key, value in {**carried, **own}.items() if key not in opening}
        for key, quantity in list(self.stored.items()):
            if key not in self.wanted and key[1] in CARRY and not quantity:
                del self.stored[key]
        return self.stored == self.wanted

    def totals_differ(self):
        return "\n".join(f"{key}: stored {self.stored.get(key)}, expected {self.wanted.get(key)}"
                         for key in {**self.stored, **self.wanted}
                         if self.stored.get(key) != self.wanted.get(key))[:3000]

    # What tells of the ledger.

    def assert_rebuilt(self, tell):
        done = self.line.meterctl("rebuild", "--check", timeout=120)
        assert done.returncode == 0, f"rebuild --check: {done.returncode}\n{done.stdout}{done.stderr}"
        tell(done.stdout.strip().replace("\n", "; "))

    def cache_differs(self):
        """Current totals that the quota cache tells otherwise."""
        rows = self.line.sql("""SELECT tenant, metric, quantity FROM usage_totals
                                 WHERE period_start <= now() AND now() < period_end""")
        pipe = self.line.client().pipeline(transaction=False)
        for row in rows:
            pipe.hget(f"quota:{{{row.tenant}}}", f"{row.metric}.used")
        return [(row, used) for row, used in zip(rows, pipe.execute())
                if decimal.Decimal(used or 0) != row.quantity][:5]


def is_fitting(stored, expected):
    return bool(stored and expected) and stored[0] in expected[0] and stored[1] == expected[1]
