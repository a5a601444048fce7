"""The steps of the demo, in order. Each says what it is about before it does it."""

import time

from line.line import STREAM, TEST_WEBHOOK_SECRET

from compare import compare
from state import Reader
import events

TENANTS = 200
DAY_S = 86_400
DEADLINE_S = 120


class Failed(Exception):
    """The line did not do what it promises; the text says what."""


class Story:
    def __init__(self, line, screen, run_name):
        self.line = line
        self.screen = screen
        self.tenants = [f"demo-{run_name}{number:03}" for number in range(1, TENANTS + 1)]
        self.workload = None
        self.reader = None
        self.refused = 0

    # The steps.

    def start_servers(self):
        line = self.line
        line.start_servers()
        line.start_sandbox(rate_per_s=0)
        self.screen.line(f"Redis        {at(line.redis)}")
        self.screen.line(f"PostgreSQL   {at(line.postgres)}")
        self.screen.line(f"sandbox      {line.sandbox.url}")

    def prepare_database(self):
        self.line.migrate()
        if self.line.value("SELECT count(*) FROM metrics") == 0:
            self.line.catalog()
        for row in self.line.sql("SELECT metric, unit, aggregation FROM metrics ORDER BY metric"):
            how = {"sum": "added up", "last": "the latest value counts"}.get(row.aggregation,
                                                                          row.aggregation)
            self.screen.line(f"{row.metric:<18} in units of one {row.unit}, {how}")

    def sign_up_tenants(self):
        line = self.line
        webhookd = line.start_webhookd().wait_ready()
        line.sandbox.webhook(webhookd.webhook_url, secret=TEST_WEBHOOK_SECRET)
        metrics = line.sql("SELECT stripe_event_name AS name, aggregation FROM metrics "
                           "WHERE stripe_event_name IS NOT NULL")
        meters = [{"event_name": row.name,
                   "formula": "sum" if row.aggregation in ("sum", "count") else "last"}
                  for row in metrics]
        # Some days ago, so that the first billing period has begun before the first event.
        line.sandbox.bootstrap(meters=meters, tenants=self.tenants, price_lookup_key="standard",
                               backdate_start_date=int(time.time()) - 7 * DAY_S)
        line.wait_for(self.all_subscribed, 60, f"webhookd knows all {TENANTS} subscriptions")
        self.screen.line(f"{TENANTS} customers created at the sandbox, and {TENANTS} "
                         "subscriptions learned from its webhooks")

    def all_subscribed(self):
        return self.line.value("SELECT count(DISTINCT tenant) FROM subscriptions "
                               "WHERE tenant = ANY(%s)", self.tenants) == TENANTS

    def tell_of_it(self):
        self.line.start_notifier().wait_ready()
        told = self.line.wait_for(self.find_signal, 60, "a signal tells of a subscription")
        self.screen.line(f"billing:signals  {told['kind']}  tenant={told['tenant']}  id={told['id']}")

    def find_signal(self):
        entries = self.line.client().xrange("billing:signals")
        return next((fields for _, fields in entries if fields["tenant"] in self.tenants), None)

    def start_aggregator(self):
        self.line.start_aggregator().wait_ready()
        self.screen.line("ready")

    def start_sink(self):
        self.line.start_sink(SINK_INTERVAL_S=2, SINK_RATE_PER_S=1000).wait_ready()
        self.screen.line("ready")

    def send_events(self):
        line, path = self.line, self.line.folder / "events.ndjson"
        self.workload = events.make(self.tenants)
        events.write_ndjson(self.workload.emitted, path)
        self.reader = Reader(line, self.tenants)
        began = time.monotonic()
        with open(path, "rb") as source, open(line.folder / "verdicts", "wb") as verdicts:
            emitter = line.start("emitter", popen={"stdin": source, "stdout": verdicts})
        line.emit(self.workload.direct)
        self.watch(lambda state: not emitter.running, "the emitter ends")
        took_s = max(time.monotonic() - began, 0.001)
        sent = self.reader.read().added
        self.refused = events.TOTAL - sent
        self.screen.settle()
        self.screen.line(f"The emitter read {len(self.workload.emitted):,} lines in {took_s:.1f} s "
                         f"and refused {self.refused:,}; {len(self.workload.direct):,} entries "
                         "went round it.")
        self.show_refusals(emitter)

    def show_refusals(self, emitter):
        """Two of them for example; the emitter's last line counts them all."""
        said = emitter.log_tail().splitlines()[1:]
        refusals = [text for text in said if text.startswith("stdin:")]
        for text in [*refusals[:2], "…", *said[-1:]] if self.refused else []:
            self.screen.line("  " + text[:110])

    def watch_it_arrive(self):
        state = self.watch(self.arrived, "all of it is counted and billed")
        self.screen.settle(state.short())

    def arrived(self, state):
        """Cheap checks first; the last one is exact."""
        settled = state.queue == 0 and state.waiting == 0 and state.troubled == 0
        done = state.counted + state.duplicates + state.rejected == state.added
        return settled and done and self.compare().ok

    def watch(self, until, what):
        """Shows the state until until(state) is true."""
        def look():
            state = self.reader.read()
            self.screen.live(state.rows(), state.short())
            self.check_alive()
            return state if until(state) else None
        return self.line.wait_for(look, DEADLINE_S, what)

    def check_alive(self):
        """The emitter may end, with any exit code of its own; nobody else may."""
        for stage in self.line.stages:
            if stage.returncode is not None and (stage.name != "emitter" or stage.returncode < 0):
                raise Failed(f"{stage.label} ended with exit code {stage.returncode}")

    # The proofs.

    def compare(self):
        return compare(self.line, self.tenants, self.workload.expected)

    def show_comparison(self):
        found = self.compare()
        self.screen.line(f"{'metric':<18}{'sent':>16}{'our ledger':>18}{'Stripe':>14}   tenants")
        for row in found.rows:
            self.screen.line(f"{row.metric:<18}{units(row.expected):>16}{units(row.ours):>18}"
                             f"{row.stripe:>14,}   {row.equal} of {row.pairs} equal")
        for difference in found.differences[:5]:
            self.screen.line("DIFFERS  %s %s: sent %s, ours %s, Stripe %s" % difference)
        self.screen.say(
            f"Each of the {found.pairs:,} pairs of tenant and metric was compared by itself. "
            "Stripe takes whole units only, so it holds our numbers rounded down; the fractions "
            "wait with us until the billing period ends.")
        return found.ok

    def show_rejects(self):
        rows = self.line.sql("SELECT reason, count(*) AS n, min(detail) AS detail "
                             "FROM rejected_events WHERE rejected_id > %s "
                             "GROUP BY reason ORDER BY n DESC, reason", self.reader.last_reject)
        for row in rows:
            self.screen.line(f"{row.n:>6,}  {row.reason:<18} for example: {row.detail[:56]}")
        state = self.reader.read()
        self.screen.line(f"{self.refused:>6,}  refused at once by the emitter, which told the "
                         "sender the line number")
        balanced = (state.counted == events.VALID and state.duplicates == events.REPEATED
                    and state.rejected + self.refused == events.INVALID)
        self.screen.say(f"{events.TOTAL:,} sent = {state.counted:,} counted + {state.duplicates:,} "
                        f"repeats + {state.rejected:,} rejected + {self.refused:,} refused: "
                        + ("not one is missing." if balanced else "THIS DOES NOT ADD UP."))
        return balanced

    def show_quota(self):
        """One tenant's hash in Redis, field by metric."""
        tenant = self.tenants[0]
        self.line.wait_for(lambda: self.line.client().hget(f"quota:{{{tenant}}}", "status"), 30,
                           "the quota cache holds the tenant")
        fields = self.line.client().hgetall(f"quota:{{{tenant}}}")
        self.screen.line(f"HGETALL quota:{{{tenant}}}   status {fields.get('status')}")
        for name in sorted(fields):
            if name.endswith(".used"):
                metric = name.removesuffix(".used")
                self.screen.line(f"  {metric:<18} used {fields[name]:>12}  of "
                                 f"{fields.get(metric + '.limit', '?'):>10} included"
                                 f"  (cap {fields.get(metric + '.cap', '?')})")

    def show_audit(self):
        audit = self.line.audit()
        for text in audit.text.splitlines():
            self.screen.line(text)
        return audit.ok

    def how_to_look(self):
        line = self.line
        self.screen.say(
            "Everything stays up until Ctrl-C. From another terminal you can look around, or send "
            "an event of your own and watch it here:")
        # A given address may hold a password: shown by its name only.
        redis_url = line.redis.url if line.redis.process else '"$REDIS_URL"'
        postgres_url = line.postgres.url if line.postgres.process else '"$DATABASE_URL"'
        self.screen.line(f"redis-cli -u {redis_url} XADD {STREAM} '*' tenant {self.tenants[0]} "
                         "metric api_calls quantity 5 id mine-1 ts $(date +%s%3N)")
        self.screen.line(f"psql {postgres_url}")
        for stage in line.stages:
            if stage.running:
                self.screen.line(f"curl http://127.0.0.1:{stage.ops_port}/metrics   "
                                 f"# {stage.name}")


def at(server):
    return f"127.0.0.1:{server.port}" if server.process else "as given"


def units(number):
    """With thousands separated and no trailing zeros."""
    text = f"{number:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
