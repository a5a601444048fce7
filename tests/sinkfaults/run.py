"""One round: usage that grows, sinks that die, a Stripe that fails; then the healing, and the proof."""

import collections
import heapq
import json
import signal
import time

from line.line import TEST_WEBHOOK_SECRET
from line.wait import pause

from .catalog import LAST, catalog
from .places import Place
from .plan import MOMENTS, make_plan
from .proof import Proof
from .transports import TIMEOUT_MS
from .usage import Usage

STEP_S = 0.05
LEAVE_AT = 4            # The step before which some customers are deleted at Stripe.
PREPARE_S, DRAIN_S = 120, 180    # On a machine that does much else.
ALL_S, LEAST_TENANTS = 30, 60   # A shorter round has fewer of a transport's tenants.
# Totals that are newer than what was claimed of them. Rising values wait for a minute of their own.
UNCLAIMED = """
    SELECT count(*) FROM usage_totals t LEFT JOIN usage_claims c USING (tenant, metric, period_start)
     WHERE t.version > coalesce(c.version, -1) AND t.tenant NOT LIKE 'leaver%%' AND t.metric <> %s"""


class Round:
    """Round(line, seed, seconds, transport).run(). line: a Line with the schema in place."""

    sinks = 2
    leaving = 3     # Customers that are deleted meanwhile.

    def __init__(self, line, seed, seconds, transport):
        self.line, self.seed, self.seconds, self.transport = line, seed, seconds, transport
        tenants = max(LEAST_TENANTS, int(transport.tenants * min(1, seconds / ALL_S)))
        self.usage = Usage(seed, [f"t{n:04}" for n in range(tenants)],
                           [f"leaver-{n}" for n in range(self.leaving)], transport)
        self.step, self.emitted = 0, 0
        self.rest_s = seconds * 0.7 / transport.steps   # Between two steps, so that usage never rests long.
        self.struck, self.fired = collections.Counter(), collections.Counter()
        self.began = time.monotonic()

    def run(self):
        self.tell(f"round={self.seed} transport={self.transport.name} lanes={self.usage.lanes}"
                  f" steps={self.usage.steps}")
        self.prepare()
        self.open_places()
        self.strike()
        self.heal()
        self.drain()
        self.prove()

    def prove(self):
        Proof(self.line, self.transport, self.usage).prove(self.tell)

    # Before.

    def prepare(self):
        line, tenants = self.line, [*self.usage.tenants, *self.usage.leaving]
        path = line.folder / "catalog.json"
        path.write_text(json.dumps(catalog(self.transport.name, self.transport.metrics)), encoding="utf-8")
        line.catalog(path)
        line.start_sandbox(rate_per_s=0, seed=number_of(self.seed))
        webhookd = line.start_webhookd().wait_ready()
        line.sandbox.webhook(webhookd.webhook_url, secret=TEST_WEBHOOK_SECRET)
        now = int(line.value("SELECT extract(epoch FROM now())::bigint"))
        line.sandbox.bootstrap(tenants=tenants, backdate_start_date=now - 20 * 86400,
                               **self.transport.prices)
        line.wait_for(lambda: line.value("SELECT count(*) FROM subscriptions") == len(tenants),
                      PREPARE_S, "webhookd knows the subscriptions")
        line.start_aggregator(AGGREGATOR_FLUSH_MS=50).wait_ready()
        self.tell(f"{len(tenants)} customers are known")

    def settings(self):
        return {"SINK_INTERVAL_S": 1, "SINK_RATE_PER_S": 1000, "SINK_TIMEOUT_MS": TIMEOUT_MS,
                "STRIPE_METER_EVENTS_BASE": self.line.sandbox.url}

    def open_places(self):
        self.transport.trouble(self.line.sandbox)
        self.places = [Place(self.line, self.settings()) for _ in range(self.sinks)]
        for place in self.places:
            place.start()

    # Meanwhile.

    def strike(self):
        """Usage grows while the plan is done."""
        due = [(strike.at_s, n, strike, None)
               for n, strike in enumerate(make_plan(self.seed, self.seconds, self.sinks))]
        began, grown = time.monotonic(), False
        while due or not grown or time.monotonic() - began < self.seconds:
            if due and due[0][0] <= time.monotonic() - began:
                _, n, strike, undo = heapq.heappop(due)
                self.act(due, n, strike, undo)
            else:
                pause(STEP_S)
            for place in self.places:
                place.tend()
            grown = self.advance(time.monotonic() - began)

    def act(self, due, n, strike, undo):
        if undo:
            undo()
            return
        self.struck[f"{strike.target.split()[0]} {strike.kind}"] += 1
        self.tell(f"{strike.target}: {strike.kind} for {strike.for_s} s")
        undo = (self.do_moment(strike) if strike.target == "stripe" else
                self.places[int(strike.target.split()[1])].do(strike))
        if undo:
            heapq.heappush(due, (strike.at_s + strike.for_s, n, strike, undo))

    def do_moment(self, strike):
        if strike.kind == "stalls":
            self.stall(strike.for_s)
            return None
        moment = MOMENTS[strike.kind]
        fault = self.line.sandbox.fault(method="POST", path=self.transport.path, **moment)

        def undo():
            self.fired[name_of(moment)] += self.line.sandbox.end_fault(fault)

        return undo

    def stall(self, for_s):
        """We wait for it, since nobody can be told anything meanwhile."""
        process = self.line.sandbox.process
        process.send_signal(signal.SIGSTOP)
        try:
            pause(for_s)
        finally:
            process.send_signal(signal.SIGCONT)

    def advance(self, elapsed_s):
        """The next step, if it is its time and the one before is claimed. Returns whether all are done."""
        if self.step < self.usage.steps and elapsed_s > self.step * self.rest_s and self.is_claimed():
            self.grow()
        return self.step == self.usage.steps

    def grow(self):
        if self.step == LEAVE_AT:
            self.leave()
        self.emitted += self.line.emit(self.usage.step(self.step))
        self.step += 1
        self.tell(f"step {self.step}: {self.states()}")

    def is_claimed(self):
        seen = self.line.value("SELECT coalesce(sum(counted + duplicates), 0) FROM stream_positions")
        return seen == self.emitted and self.line.value(UNCLAIMED, LAST) == 0

    def leave(self):
        """Customers that Stripe knows no more, while usage of them waits and comes."""
        for row in self.line.sql("SELECT stripe_customer_id AS id FROM billing_customers"
                                 " WHERE tenant = ANY (%s)", self.usage.leaving):
            self.line.sandbox.api("DELETE", f"/v1/customers/{row.id}")

    # After.

    def heal(self):
        for fault in self.line.sandbox.faults():
            self.fired[name_of(fault)] += fault["fired"]
        self.line.sandbox.clear_faults()
        self.tell(f"healing; {self.states()}")

    def drain(self):
        self.line.wait_for(self.is_drained, DRAIN_S, "all that was claimed is settled")
        deaths = sum(place.deaths for place in self.places)
        self.tell(f"drained; deaths={deaths} struck={dict(self.struck)} fired={dict(self.fired)}")

    def is_drained(self):
        for place in self.places:
            place.tend()
        return self.is_claimed() and not {"pending", "sending"} & self.states().keys() \
            and self.line.value("SELECT count(*) FROM usage_unbilled WHERE reason = 'waiting'") == 0

    def states(self):
        return {row.state: row.n for row in self.line.sql(
            "SELECT state, count(*) AS n FROM usage_submissions GROUP BY state ORDER BY state")}

    def tell(self, text):
        print(f"{time.monotonic() - self.began:8.3f} {text}", flush=True)


def name_of(fault):
    return f"{fault['fault']} {fault.get('status', '')}".strip()


def number_of(seed):
    """A number for the sandbox's own draws."""
    return int.from_bytes(str(seed).encode(), "big") % 2**31
