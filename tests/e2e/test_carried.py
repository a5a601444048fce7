"""Metrics that carry their last value over (seats, storage): a value goes on through every period that has no usage of
its own, whatever comes late, is taken back, or moves."""

import json
import random

import pytest

from line import Line
from line.paths import CATALOG
from line.wait import NotInTime
from support.carried_days import Days
from support.moved_clock import MovedPostgres, move_clock
from support.seeds import new_seed
from support.sink_shop import add_tenants, once, open_shop
from support.usage_oracle import DAY_MS, MINUTE_MS

HOUR_MS = 60 * MINUTE_MS


@pytest.fixture
def days(line):
    """acme is billed by the day; its periods of four days ago until today are open."""
    found = Days(line)
    found.subscribe("acme", found.midnight(20))
    return found


def seats(days, days_ago, quantity, hours=1, **more):
    """That many seats from then on: the entry's outcome."""
    return days.add(tenant="acme", metric="user_seats", quantity=quantity,
                    ts=days.midnight(days_ago) + hours * HOUR_MS, **more)


# Each period until now is open, and follows.

def test_a_value_opens_every_period_until_now(days):
    """As after a pause of several periods: the first usage that comes is old."""
    seats(days, 4, 5)
    days.count()
    assert days.totals() == [5, 5, 5, 5, 5]


def test_a_late_value_flows_on_through_a_chain_of_periods(days):
    seats(days, 4, 5)
    days.count()
    seats(days, 4, 9, hours=2)  # Four periods back.
    days.count()
    assert days.totals() == [9, 9, 9, 9, 9]
    seats(days, 4, 1, hours=1)  # Before the one that is last.
    seats(days, 2, 7)
    days.count()
    assert days.totals() == [9, 9, 7, 7, 7]
    seats(days, 4, 8, hours=23)
    days.count()
    assert days.totals() == [8, 8, 7, 7, 7]
    seats(days, 6, 3)           # Before all that was known.
    days.count()
    assert days.totals() == [3, 3, 8, 8, 7, 7, 7]


@pytest.mark.parametrize("used, left", [({0: 7}, [5, 5, 5, 5, 7]), ({1: 6}, [5, 5, 5, 6, 6]), ({1: 6, 0: 7}, [5, 5, 5, 6, 7]),
                                        ({2: 0, 0: 7}, [5, 5, 7])])
def test_usage_that_comes_before_periods_since_were_opened_opens_them(days, used, left):
    """As after a pause of whole periods, when what waits in the stream is counted first."""
    seats(days, 4, 5)
    days.count()
    days.line.sql("DELETE FROM usage_totals WHERE period_start > to_timestamp(%s / 1000.0)", days.midnight(4))
    for days_ago, quantity in used.items():
        seats(days, days_ago, quantity, hours=0)
    days.count()
    # A period that was opened before the zero was counted keeps its total, of 0.
    assert [quantity for quantity in days.totals() if quantity] == left


def test_a_late_value_before_a_gap_opens_what_lies_between(days):
    seats(days, 1, 2)
    days.count()
    seats(days, 4, 5)
    days.count()
    assert days.totals() == [5, 5, 5, 2, 2]


def test_zero_ends_a_chain_and_a_late_value_begins_it_again(days):
    seats(days, 4, 5)
    seats(days, 3, 0)
    days.count()
    assert days.totals() == [5, 0]
    seats(days, 3, 6, hours=2)
    days.count()
    assert days.totals() == [5, 6, 6, 6, 6]
    seats(days, 3, 0, hours=3)
    days.count()
    assert days.totals() == [5, 0, 0, 0, 0]


def test_what_follows_is_set_by_batches_of_one_event_too(days):
    for days_ago, quantity, hours in ((4, 5, 1), (2, 7, 1), (4, 9, 2), (3, 1, 1), (2, 0, 3), (4, 2, 4)):
        seats(days, days_ago, quantity, hours)
    days.line.must("aggregator", "--once", AGGREGATOR_BATCH_MAX=1)
    days.prove()
    assert days.totals() == [2, 1, 0, 0, 0]


# What is taken back.

def test_a_retraction_of_the_value_that_was_carried_takes_it_back_from_all_that_follow(days):
    seats(days, 5, 4)
    seats(days, 4, 5, id="more")
    seats(days, 2, 7, id="most")
    days.count()
    assert days.totals() == [4, 5, 5, 7, 7, 7]
    for gone, left in (("more", [4, 4, 4, 7, 7, 7]), ("most", [4, 4, 4, 4, 4, 4])):
        days.add(tenant="acme", op="retract", id=gone)
        days.count()
        assert days.totals() == left


def test_a_retraction_of_the_only_value_leaves_nothing(days):
    seats(days, 4, 5, id="only")
    days.count()
    days.add(tenant="acme", op="retract", id="only")
    days.count()
    assert days.totals() == [0, 0, 0, 0, 0]
    seats(days, 3, 3)
    days.count()
    assert days.totals() == [0, 3, 3, 3, 3]


def test_a_late_value_reaches_a_period_whose_own_usage_was_taken_back(days):
    """That is not the current one: seen in a round of chaos, where it had 0 for good."""
    seats(days, 2, 7, id="own")
    seats(days, 1, 8)
    days.count()
    days.add(tenant="acme", op="retract", id="own")
    days.count()
    assert days.totals() == [0, 8, 8]
    seats(days, 4, 5)
    days.count()
    assert days.totals() == [5, 5, 5, 8, 8]


# Periods that move.

def test_periods_that_move_keep_what_was_carried(days):
    seats(days, 4, 5)
    seats(days, 2, 7, hours=12)
    days.count()
    for hours in (6, 18, 3, 0):
        days.subscribe("acme", days.midnight(20) + hours * HOUR_MS)
        days.prove()
        days.prove_by_tools()
    assert sum(days.totals()) > 5 and days.totals()[-1] == 7


def test_a_subscription_that_ends_in_a_carried_period_keeps_its_total(days):
    seats(days, 4, 5)
    days.count()
    days.cancel("acme", days.midnight(1) + 3 * HOUR_MS)
    days.prove()
    days.prove_by_tools()
    assert days.totals()[:4] == [5, 5, 5, 5] and set(days.totals()) == {5}
    days.subscribe("acme", days.midnight(20) + 5 * HOUR_MS)
    days.prove()
    days.prove_by_tools()


# What the sink had sent.

@pytest.fixture
def sold(line):
    found = Days(open_shop(line))
    line.sandbox.bootstrap(meters=[{"event_name": "user_seats", "formula": "last"}], tenants=[])
    catalog = json.loads(CATALOG.read_text(encoding="utf-8"))
    for metric in catalog["metrics"]:
        if metric["metric"] == "user_seats":
            metric["stripe_event_name"] = "user_seats"
            metric["transport"] = "meter_events"
    path = line.folder / "catalog.json"
    path.write_text(json.dumps(catalog), encoding="utf-8")
    line.catalog(path)
    add_tenants(line, "acme")
    found.subscribe("acme", found.midnight(20))
    return found


def sent(line):
    """The newest value that was submitted for each period, in their order."""
    return [int(row.quantity) for row in line.sql("""
        SELECT DISTINCT ON (period_start) period_start, quantity FROM usage_submissions
         WHERE state = 'sent' ORDER BY period_start, claim DESC""")]


def test_a_carried_value_that_was_sent_is_corrected_by_the_next_claim(sold):
    seats(sold, 3, 5, id="first")
    sold.count()
    once(sold.line)
    assert sent(sold.line) == [5, 5, 5, 5]
    seats(sold, 3, 9, hours=2, id="late")
    sold.count()
    once(sold.line)
    assert sent(sold.line) == [9, 9, 9, 9] == sold.totals()
    for id in ("late", "first"):
        sold.add(tenant="acme", op="retract", id=id)
        sold.count()
        once(sold.line)
        assert sent(sold.line) == sold.totals() == [5 if id == "late" else 0] * 4
    assert sold.line.audit().ok, sold.line.audit().text


def test_what_was_sent_of_a_carried_period_stays_when_its_subscription_ends(sold):
    seats(sold, 2, 5)
    sold.count()
    once(sold.line)
    assert sent(sold.line) == [5, 5, 5]
    sold.cancel("acme", sold.now_ms() - MINUTE_MS)
    once(sold.line)
    sold.prove()
    sold.prove_by_tools()
    assert set(sent(sold.line)) == {5} and sold.totals()[:3] == [5, 5, 5]


def test_what_was_repaired_is_claimed(sold):
    seats(sold, 2, 5)
    sold.count()
    once(sold.line)
    sold.line.sql("UPDATE usage_totals SET quantity = 3, version = nextval('usage_version') WHERE period_end > now()")
    once(sold.line)
    assert sent(sold.line) == [5, 5, 3]
    sold.line.must("meterctl", "rebuild", "--repair", "--yes")
    once(sold.line)
    assert sent(sold.line) == [5, 5, 5]
    sold.prove_by_tools()


# What tells of a fault, and sets it right.

FAULTS = {
    "a wrong one": "UPDATE usage_totals SET quantity = 3, version = version + 1 WHERE tenant = 'acme' AND period_start = %s",
    "none": "DELETE FROM usage_totals WHERE tenant = 'acme' AND period_start = %s",
    "none from then on": "DELETE FROM usage_totals WHERE tenant = 'acme' AND period_start >= %s",
}


@pytest.mark.parametrize("days_ago", [0, 1, 3])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_carried_total_that_is_wrong_or_missing_is_told_and_repaired(days, fault, days_ago):
    seats(days, 4, 5)
    seats(days, 2, 7)
    days.add(tenant="other", metric="user_seats", quantity=1)
    days.count()
    before = days.totals()
    start = days.line.value("SELECT to_timestamp(%s / 1000.0)", days.midnight(days_ago))
    days.line.sql(FAULTS[fault], start)
    if fault != "a wrong one" and days.now_ms() - days.midnight(days_ago) < 11 * MINUTE_MS:
        pytest.skip("a period that has just begun is about to be opened")
    audit = days.line.audit()
    assert audit.exit_code == 1 and "audit total tenant=acme metric=user_seats" in audit.text, audit.text
    check = days.line.meterctl("rebuild", "--check", "--json")
    assert check.returncode == 1
    found = json.loads(check.stdout)["differences"]
    assert {(row["kind"], row["tenant"]) for row in found} == {("total", "acme")}
    wanted = 5 if days_ago == 3 else 7
    assert found[0]["recomputed"].split()[0] == str(wanted)
    rehearsed = days.line.meterctl("rebuild", "--repair", "--tenant", "acme", "--metric", "user_seats")
    assert rehearsed.returncode == 1 and f"repaired={wanted}" in rehearsed.stdout and "--yes" in rehearsed.stderr
    assert days.line.meterctl("rebuild", "--check").returncode == 1
    days.line.sql("INSERT INTO billing_customers (tenant, stripe_customer_id) VALUES ('other', 'cus_other')")
    for other in (("--tenant", "other"), ("--metric", "storage_gb")):
        assert days.line.must("meterctl", "rebuild", "--repair", "--yes", *other).stdout.startswith("repaired 0 ")
    days.line.must("meterctl", "rebuild", "--repair", "--yes", "--tenant", "acme")
    assert days.totals() == before
    days.prove_by_tools()


@pytest.mark.parametrize("args", [[], ["--check", "--repair"], ["--check", "--yes"], ["--check", "--metric", "x"],
                                  ["--repair", "--from", "1d"], ["--repair", "extra"]])
def test_wrong_usage(line, args):
    assert line.meterctl("rebuild", *args).returncode == 2


def test_a_metric_with_usage_keeps_whether_it_carries(days):
    catalog = json.loads(CATALOG.read_text(encoding="utf-8"))
    seats_there, = [metric for metric in catalog["metrics"] if metric["metric"] == "user_seats"]
    path = days.line.folder / "catalog.json"
    seats(days, 1, 5)
    days.count()
    del seats_there["carry"]
    path.write_text(json.dumps(catalog), encoding="utf-8")
    done = days.line.meterctl("catalog", "apply", path)
    assert done.returncode == 1 and "carries its last value over" in done.stderr


# All of it at random, while days pass.

class Story:
    """Some days of a few tenants: usage that is late, repeated, zero or taken back, edges that move, subscriptions
    that end and begin, and aggregators that are away for days."""

    TENANTS = ["ann", "bob", "cy"]

    def __init__(self, days, seed):
        self.days, self.choose = days, random.Random(seed)
        self.line, self.offset_s, self.counter, self.ids = days.line, 0, 0, []
        self.aggregator = None

    def entry(self, fields):
        """At the database's time: Redis' own clock is not moved."""
        self.counter += 1
        return self.days.add(fields, entry_id=f"{self.days.now_ms()}-{self.counter}")

    def use(self):
        tenant = self.choose.choice(self.TENANTS)
        metric = self.choose.choice(["user_seats", "storage_gb"])
        if self.ids and self.choose.random() < 0.25:
            tenant, id, ts = self.ids.pop(self.choose.randrange(len(self.ids)))
            self.entry({"tenant": tenant, "op": "retract", "id": id, "ts": ts})
            return
        back_ms = self.choose.choice([0, 0, HOUR_MS, DAY_MS, 2 * DAY_MS, 3 * DAY_MS, 9 * DAY_MS])
        ts = self.days.now_ms() - int(back_ms * self.choose.random()) + self.choose.choice([0, 0, 4 * MINUTE_MS])
        id = f"id-{self.counter}"
        self.ids.append((tenant, id, ts))
        self.entry({"tenant": tenant, "metric": metric, "id": id, "ts": ts,
                    "quantity": self.choose.choice(["0", "0", "1", "5", "2.5", "-3", "99999999999.999999999"])})

    def move(self):
        tenant = self.choose.choice(self.TENANTS)
        what = self.choose.random()
        now = self.days.now_ms()
        if what < 0.25 and self.line.value("SELECT count(*) FROM subscriptions WHERE tenant = %s", tenant):
            self.days.cancel(tenant, now - self.choose.randrange(36) * HOUR_MS)
        elif what < 0.85:
            self.days.subscribe(tenant, now - 30 * DAY_MS - self.choose.randrange(24) * HOUR_MS)

    def pass_days(self):
        """Now and then nobody counts meanwhile, and what came in waits."""
        self.offset_s += self.choose.choice([6, 20, 24, 24, 50, 80]) * 3600
        self.aggregator.term()
        move_clock(self.line, self.offset_s)
        self.line.sql("SELECT ensure_usage_partitions(7)")

    def tell(self):
        return getattr(self.days, "wrong", "")

    def run(self, steps):
        """Begins at a time of the day of the seed's, since edges are judged by it."""
        self.offset_s = (self.choose.randrange(1440) * 60 - self.days.now_ms() // 1000) % 86_400
        move_clock(self.line, self.offset_s)
        for tenant in self.TENANTS[:2]:
            self.days.subscribe(tenant, self.days.midnight(30))
        for step in range(steps):
            for _ in range(self.choose.randrange(6)):
                self.use()
            self.aggregator = self.line.start_aggregator(AGGREGATOR_FLUSH_MS=10)
            for _ in range(self.choose.randrange(6)):
                self.use()
                if self.choose.random() < 0.3:
                    self.move()
            self.line.wait_for(self.is_counted, 60, "all is counted")
            try:
                self.line.wait_for(self.days.is_proved, 30, "periods are opened")
            except NotInTime:
                raise AssertionError(f"in step {step}: {self.tell()}") from None
            self.move()
            self.days.is_proved()
            assert self.days.is_proved(), f"after a move, in step {step}: " + self.tell()
            self.days.prove_by_tools()
            self.pass_days()

    def is_counted(self):
        return not self.line.client().xlen("usage:events") and not self.line.value("SELECT count(*) FROM usage_pending")


@pytest.fixture
def passing(folder, request):
    line = Line(folder, postgres=MovedPostgres(folder))
    request.node.meterline = line
    line.start_servers()
    line.migrate()
    line.catalog()
    line.start_sandbox()
    yield Days(line)
    line.close()


@pytest.mark.parametrize("number", range(2))
def test_chains_are_right_whatever_comes_late_moves_ends_or_pauses(passing, number):
    Story(passing, f"{new_seed()}.{number}").run(9)
