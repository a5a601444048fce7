"""A round across the end of a month, with changes of plans in the middle of periods, and usage that comes
late for its period."""

import collections
import decimal
import json
import random
import time

from support.ledger_proof import assert_balanced, assert_same
from line.line import TEST_WEBHOOK_SECRET
from support.moved_clock import move_clock

from .catalog import SUMS, catalog
from .run import PREPARE_S, Round

METRICS = SUMS[:2]
TENANTS = 12            # Of each group.
LEAD_S = 14             # From the beginning to the month's end.
SECONDS = 8             # Subscriptions that renew at the month's end do it so many seconds later.
MINUTE = 60
PLANS = [{"plan": plan, "name": plan, "currency": "usd", "base_amount_minor": 0, "limits": {},
          "stripe_lookup_key": plan} for plan in ("standard", "enterprise")]
# What happens when, in seconds since the beginning.
SCRIPT = [(0, "use"), (3, "use"), (6, "change_plans"), (7, "use"), (11, "use"),
          (LEAD_S + SECONDS + 1, "renew"), (LEAD_S + SECONDS + 1.5, "use"),
          (LEAD_S + 12, "use_late"), (LEAD_S + 16, "use"), (LEAD_S + 20, "use_late")]


class EdgeRound(Round):
    """Groups of tenants: month (no subscription, the calendar's months), renewing (a subscription renews at
    the month's end, final: and its invoice is closed soon after), changing (another plan, the same
    periods), anew (another plan, and periods that begin anew with it)."""

    def __init__(self, line, seed, transport):
        super().__init__(line, seed, SCRIPT[-1][0] + 3, transport)
        groups = ["renewing", "final", "changing", "anew"]
        if not transport.ends_with_period:
            groups.append("month")      # Usage records need a subscription.
        self.groups = {group: [f"{group}-{n}" for n in range(TENANTS)] for group in groups}
        self.choose = random.Random(f"{seed} usage")
        self.used = collections.defaultdict(list)   # (tenant, metric) -> [(Unix s, quantity)]
        self.edges = {}                             # tenant -> when a period ended, Unix s
        self.subscriptions = {}                     # tenant -> the sandbox's subscription
        self.script = list(SCRIPT)

    @property
    def tenants(self):
        return [tenant for group in self.groups.values() for tenant in group]

    def run(self):
        self.tell(f"round={self.seed} transport={self.transport.name} edge tenants={len(self.tenants)}")
        self.prepare()
        self.open_places()
        self.strike()
        self.heal()
        self.drain()
        assert self.late_tenants() == set() or self.transport.ends_with_period
        self.close_invoices()
        self.use_late()
        self.drain()
        self.prove()

    # Before.

    def prepare(self):
        line = self.line
        self.month_end = int(line.value("SELECT extract(epoch FROM date_trunc('month', now()))::bigint"))
        path = line.folder / "catalog.json"
        path.write_text(json.dumps({**catalog(self.transport.name, METRICS), "plans": PLANS}),
                        encoding="utf-8")
        line.catalog(path)
        line.start_sandbox(rate_per_s=0, seed=1)
        webhookd = line.start_webhookd().wait_ready()
        line.start_aggregator(AGGREGATOR_FLUSH_MS=50).wait_ready()
        line.sandbox.webhook(webhookd.webhook_url, secret=TEST_WEBHOOK_SECRET)
        self.move_to(self.month_end - 600)
        self.subscribe()
        line.wait_for(lambda: line.value("SELECT count(*) FROM billing_customers") == len(self.tenants)
                      and line.value("SELECT count(*) FROM subscriptions") == len(self.subscriptions),
                      PREPARE_S, "webhookd knows the subscriptions")
        self.move_to(self.month_end - LEAD_S)
        self.tell(f"{len(self.tenants)} customers are known")

    def move_to(self, at_s):
        self.offset_s = at_s - int(time.time())
        move_clock(self.line, self.offset_s)

    def now_s(self):
        return time.time() + self.offset_s

    def subscribe(self):
        month = int(self.line.value("SELECT extract(epoch FROM date_trunc('month', to_timestamp(%s)"
                                    " - interval '1 day'))::bigint", self.month_end))
        for group, tenants in self.groups.items():
            if group == "month":
                for tenant in tenants:
                    self.line.sandbox.api("POST", "/v1/customers", {"metadata": {"tenant": tenant}})
                self.edges.update(dict.fromkeys(tenants, self.month_end))
                continue
            renews = group in ("renewing", "final")
            made = self.line.sandbox.bootstrap(
                tenants=tenants, price_lookup_key="standard", **self.transport.prices,
                backdate_start_date=month + SECONDS if renews else self.month_end - 12 * 86400)
            self.subscriptions.update({t: made["tenants"][t]["subscription"] for t in tenants})
            self.edges.update(dict.fromkeys(tenants, self.month_end + SECONDS if renews else None))

    # Meanwhile.

    def advance(self, elapsed_s):
        while self.script and self.script[0][0] <= elapsed_s:
            at_s, action = self.script.pop(0)
            self.tell(f"{action}: {self.states()}")
            getattr(self, action)()
        return not self.script

    def use(self):
        """Of the last minutes."""
        self.emit(lambda tenant: self.now_s() - self.choose.randrange(0, 90))

    def use_late(self):
        """Usage of the period that ended."""
        self.emit(lambda tenant: self.edges[tenant] and self.edges[tenant] - SECONDS
                  - self.choose.randrange(1, 3600))

    def emit(self, when):
        events = []
        for tenant in self.tenants:
            for metric in METRICS:
                at_s = when(tenant)
                if at_s is None:
                    continue
                quantity = decimal.Decimal(self.choose.randrange(100, 10**7)).scaleb(-2)
                self.used[tenant, metric].append((int(at_s), quantity))
                events.append({"tenant": tenant, "metric": metric, "quantity": f"{quantity:f}",
                               "ts": int(at_s) * 1000})
        self.emitted += self.line.emit(events)

    def change_plans(self):
        """Of the changing and of those that begin anew; the metered prices stay."""
        sandbox = self.line.sandbox
        price = sandbox.api("POST", "/v1/prices", {
            "currency": "usd", "unit_amount": 0, "product": "prod_sandbox",
            "lookup_key": "enterprise", "recurring": {"interval": "month"}}).json["id"]
        for tenant in self.groups["changing"] + self.groups["anew"]:
            path = f"/v1/subscriptions/{self.subscriptions[tenant]}"
            flat = sandbox.api("GET", path).json["items"]["data"][0]["id"]
            more = {"billing_cycle_anchor": {"type": "now"}} if tenant in self.groups["anew"] else {}
            sub = sandbox.api("POST", path, {"items": [{"id": flat, "price": price}], **more}).json
            if more:
                self.edges[tenant] = sub["items"]["data"][0]["current_period_start"]

    def renew(self):
        """At Stripe a period that ends leaves an invoice behind; here that comes when the clock is looked at."""
        self.line.sandbox.clock(self.offset_s)

    def close_invoices(self):
        """Those of the final ones; the others stay drafts."""
        closed = []
        for tenant in self.groups["final"]:
            invoice, = (i for i in self.line.sandbox.api("GET", "/v1/invoices", {
                "subscription": self.subscriptions[tenant]}).json["data"] if i["status"] == "draft")
            assert self.line.sandbox.api("POST", f"/v1/invoices/{invoice['id']}/finalize").status == 200
            closed.append(invoice["id"])
        self.line.wait_for(lambda: self.line.value(
            "SELECT count(*) FROM invoices WHERE finalized_at IS NOT NULL AND stripe_invoice_id = ANY(%s)", closed)
            == TENANTS, 20, "webhookd knows that the invoices are closed")

    # After.

    def prove(self):
        line = self.line
        assert line.sandbox.all_identifiers()["differing"] == {} and line.sandbox.violations() == 0
        plans = dict(line.sql("SELECT tenant, plan FROM subscriptions"))
        changed = self.groups["changing"] + self.groups["anew"]
        assert {t for t, plan in plans.items() if plan == "enterprise"} == set(changed)
        line.wait_for(lambda: self.states().get("failed", 0) == len(
            self.transport.rejected(line.sandbox)), 20, "what Stripe refused later is failed")
        self.tell(f"submissions: {self.states()}")
        for ended in (True, False):
            theirs, waiting = self.held(ended), self.waiting(ended)
            whole = {key: sum(q for at, q in used if self.is_of(key[0], at, ended)) // 1
                     for key, used in self.used.items()}
            assert_same({key: theirs[key] for key in whole},
                        {key: whole[key] - waiting[key] for key in whole})
            self.tell(f"ended={ended}: {sum(theirs.values())} units at Stripe, {sum(waiting.values())}"
                      " wait for a person")
        self.assert_late()
        assert "in_doubt" not in self.states() or self.transport.ends_with_period
        assert_balanced(line, ("failed", "late", "in_doubt", "drift"))

    def is_of(self, tenant, at_s, ended):
        """Is usage of that second of the period that ended? To us its edge is a whole minute."""
        edge = self.edges[tenant]
        return bool(edge and at_s < edge - edge % MINUTE) == ended

    def held(self, ended):
        """What Stripe bills of the periods that ended, or of those that go on, by its own edges."""
        tenants = dict(self.line.sql("SELECT stripe_customer_id, tenant FROM billing_customers"))
        held = collections.Counter()
        for edge in set(self.edges.values()):
            if edge is None and ended:
                continue
            span = {"end": edge} if ended else {"start": edge}
            found = self.transport.held(self.line.sandbox, tenants, **span)
            held.update({key: units for key, units in found.items() if self.edges[key[0]] == edge})
        return held

    def waiting(self, ended):
        """What was claimed and is not at Stripe, each visible to a person."""
        waiting = collections.Counter()
        for row in self.line.sql(
                "SELECT tenant, metric, quantity::bigint AS quantity,"
                "       extract(epoch FROM usage_at)::bigint AS at_s"
                "  FROM usage_submissions WHERE state IN ('failed', 'late', 'held', 'in_doubt')"):
            edge = self.edges[row.tenant]
            if bool(edge and row.at_s < edge) == ended:
                waiting[row.tenant, row.metric] += row.quantity
        return waiting

    def late_tenants(self):
        """Without those of which an ended period took back what Stripe had refused: units that failed are
        at no meter, so that there is nothing to subtract from."""
        return {row.tenant for row in self.line.sql(
            "SELECT DISTINCT tenant FROM usage_submissions l WHERE state = 'late' AND NOT (quantity < 0 AND EXISTS ("
            " SELECT FROM usage_submissions f WHERE (f.tenant, f.metric) = (l.tenant, l.metric)"
            "    AND f.state = 'failed' AND f.quantity >= -l.quantity))")}

    def assert_late(self):
        """Late is what came after its invoice was closed, and nothing else; but what takes nothing for a period
        that is over finds more of it late."""
        late = self.late_tenants()
        if self.transport.ends_with_period:
            assert late >= set(self.groups["final"])
        else:
            assert late == set(self.groups["final"])
