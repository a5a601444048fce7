"""One round: usage without pause and faults at random; then the healing, and the proof."""

import contextlib
import heapq
import json
import random
import time

from line.line import OUTAGES
from line.process import send
from line.wait import pause, wait_until

from .catalog import CATALOG, TENANTS, streams
from .faults import Faults
from .field import Field
from .periods import Periods
from .plan import make_plan
from .proof import Proof
from .service import Service
from .usage import Known, Usage

STEP_S = 0.05
DRAIN_S = 60            # On a machine that does much else.
PER_S = 1200            # Entries, of all services.
ENTRIES_MAX = 400_000   # A longer round is slower: the oracle keeps them all.


class Round:
    """Round(line, seed, seconds).run(). line: a Line whose servers run, with the schema in place.
    The seed also chooses shards and memory, where they are not given."""

    def __init__(self, line, seed, seconds, lossy=False, shards=None):
        choose = random.Random(f"{seed} round")
        self.line, self.seed, self.seconds, self.lossy = line, seed, seconds, lossy
        self.shards = shards or choose.choice([1, 4])
        self.small_memory = not lossy and choose.random() < 0.5
        self.per_s = min(PER_S, ENTRIES_MAX / seconds)
        self.places, self.clients = choose.choice([2, 3]), 3
        self.told = open(line.folder / "faults.log", "w", encoding="utf-8")

    def run(self):
        self.tell(f"round={self.seed} seconds={self.seconds} shards={self.shards}"
                  f" places={self.places} small_memory={self.small_memory} lossy={self.lossy}")
        self.prepare()
        with contextlib.ExitStack() as stack:
            stack.callback(self.thaw)
            periods = stack.enter_context(Periods(self.line.postgres, TENANTS[:20]))
            self.field = Field(self.line, self.seed, self.places, self.clients, self.small_memory)
            stack.enter_context(self.field)
            self.field.services += [stack.enter_context(self.service(n))
                                    for n in range(self.clients)]
            self.strike(Faults(self.field, periods, self.lossy))
            self.heal()
            periods.end()
        self.drain()
        self.tell(f"drained; sent={sum(len(s.sent) for s in self.field.services)}"
                  f" tries_lost={sum(s.retries for s in self.field.services)}"
                  f" sent_again={sum(s.sent_again for s in self.field.services)}")
        Proof(self.line, self.field.services, self.shards, periods, self.lossy).prove(self.tell)
        self.tell("proved")

    def prepare(self):
        path = self.line.folder / "catalog.json"
        path.write_text(json.dumps(CATALOG), encoding="utf-8")
        self.line.catalog(path)
        self.line.settings["METERLINE_STREAM_SHARDS"] = self.shards
        self.line.sql("UPDATE ledger_state SET value = %s WHERE name = 'stream_shards'",
                      self.shards)

    def service(self, n):
        tenants = TENANTS[n::self.clients] if self.lossy else TENANTS
        if n == 0 or self.lossy:
            self.known = Known()
        usage = Usage(f"s{n}", self.seed, tenants, self.known, by_time=self.small_memory,
                      certain=self.lossy)
        return Service(n, usage, self.field.service_wires[n].port, self.shards,
                       self.per_s / self.clients)

    def strike(self, faults):
        """Does the plan. What is late, since the machine is slow, is done at once, in order."""
        counts = {"aggregator": self.places, "ledger wire": self.places,
                  "stream wire": self.places, "service wire": self.clients}
        due = [(fault.at_s, n, fault, None) for n, fault in enumerate(
            make_plan(self.seed, self.seconds, counts, self.lossy))]
        began = time.monotonic()
        while due or time.monotonic() - began < self.seconds:
            now_s = time.monotonic() - began
            if due and due[0][0] <= now_s:
                _, n, fault, undo = heapq.heappop(due)
                self.act(faults, due, n, fault, undo)
            else:
                pause(STEP_S)
            if self.lossy and self.line.redis.running:
                faults.note_size()
            self.field.tend()

    def act(self, faults, due, n, fault, undo):
        if undo:
            self.tell(f"end {fault.target}: {fault.kind}")
            undo()
            return
        self.tell(f"{fault.target}: {fault.kind} for {fault.for_s} s")
        undo = faults.do(fault)
        if undo:
            heapq.heappush(due, (fault.at_s + fault.for_s, n, fault, undo))

    def heal(self):
        """Every fault was undone. Services deliver what they have; two new aggregators go on."""
        self.tell("healing")
        for service in self.field.services:
            service.end()
        for place in self.field.places:
            place.kill()
        for _ in range(2):
            self.line.start_aggregator(AGGREGATOR_FLUSH_MS=50, DEDUPE_MEMORY_MB=64)

    def drain(self):
        wait_until(lambda: not self.waiting(), DRAIN_S, "everything in the streams is in the ledger",
                   ignore=OUTAGES, explain=lambda: str(self.waiting()))

    def waiting(self):
        """What is not in the ledger yet, or not out of the streams."""
        at = dict(self.line.sql("SELECT stream, last_id FROM stream_positions"))
        rows = self.line.value("SELECT count(*) FROM usage_pending")
        waiting = [f"usage_pending has {rows} rows"] if rows else []
        for stream in filter(self.line.client().exists, streams(self.shards)):
            info = self.line.client().xinfo_stream(stream)
            if info["length"] or at.get(stream) != info["last-generated-id"]:
                waiting.append(f"{stream}: position {at.get(stream)}, in Redis {info}")
        return waiting

    def thaw(self):
        """Whatever happened, nothing stays frozen: it could not be ended."""
        for server in (self.line.redis, self.line.postgres):
            server.resume()
        for stage in self.line.stages:
            if stage.running:
                send(stage.pid, 18)

    def tell(self, text):
        if not hasattr(self, "began"):
            self.began = time.monotonic()
        line = f"{time.monotonic() - self.began:8.3f} {text}"
        print(line, flush=True)
        self.told.write(line + "\n")
        self.told.flush()
