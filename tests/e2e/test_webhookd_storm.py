"""Whatever dies meanwhile, every event that got a 200 is worked once, and every other is sent again as Stripe would.

WEBHOOK_STORM_S=120 and WEBHOOK_OUTAGE_S=30 make it last longer, as `make soak` does."""

import http.client
import random
import threading
import time

import pytest

from line.wait import NotInTime
from support.seeds import new_seed, seconds
from support.webhooks import NOW, Events, customer, post

SENDERS = 6
CUSTOMERS = 40


class Stripe:
    """Sends events to one of the stages that run, side by side, and sends one again until it got a 200."""

    def __init__(self, stages):
        self.stages = stages  # by who restarts them; read again for each delivery
        self.events, self.lock = Events(), threading.Lock()
        self.answers = []     # every status, and None where there was none
        self.taken = []       # ids of events that got a 200
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.send_many, args=(n,)) for n in range(SENDERS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def send_many(self, number):
        while not self.stopping.is_set():
            with self.lock:
                n = self.events.count
                event = self.events.make("customer.updated", customer(f"cus_{n % CUSTOMERS}", f"t{n % CUSTOMERS}",
                                                                      f"{n}@x.test"), NOW + n)
            self.deliver(event, number)

    def deliver(self, event, number):
        tries = 0
        while self.send_once(event, number + tries) != 200:
            tries += 1
            time.sleep(0.05)
        with self.lock:
            self.taken.append(event["id"])

    def send_once(self, event, number):
        try:
            status = post(self.stages[number % len(self.stages)], event)[0]
        except (OSError, http.client.HTTPException, NotInTime):
            status = None
        with self.lock:
            self.answers.append(status)
        return status


def must_be_worked_once(line, stripe):
    """All of them, also those whose sender died before it knew; and as if nothing had happened."""
    line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events WHERE state = 'received'") == 0, 120)
    assert set(stripe.answers) <= {200, 503, None}
    assert len(stripe.taken) == len(set(stripe.taken)) > 0
    worked = {row.event_id for row in line.sql("SELECT event_id FROM webhook_events WHERE state = 'processed'")}
    assert worked == set(stripe.taken)
    told = [row.event_id for row in line.sql("SELECT event_id FROM billing_history")]
    assert len(told) == len(set(told)) and set(told) == worked
    newest = {}
    for number in range(stripe.events.count):
        newest[f"t{number % CUSTOMERS}"] = f"{number}@x.test"
    assert {row.tenant: row.email for row in line.sql("SELECT tenant, email FROM billing_customers")} == newest


def start(line, **settings):
    return line.start_webhookd(STRIPE_SECRET_KEY=None, **settings)


def test_a_storm_of_kills_loses_no_event_and_works_none_twice(line):
    chance = random.Random(new_seed())
    stages = [start(line).wait_ready() for _ in range(2)]
    for stage in stages:
        stage.port("webhooks")
    until = time.monotonic() + seconds("WEBHOOK_STORM_S", 6, 120)
    kills = 0
    with Stripe(stages) as stripe:
        while time.monotonic() < until:
            time.sleep(chance.uniform(0.1, 0.8))
            place = chance.randrange(len(stages))
            stages[place].kill9()
            crash = chance.choice([None, None, "after_store", "before_commit", "after_commit"])
            stages[place] = start(line, METERLINE_TEST_CRASH=crash)
            kills += 1
        for place, stage in enumerate(stages):
            stage.kill9()
            stages[place] = start(line).wait_ready()
    must_be_worked_once(line, stripe)
    print(f"{kills} kills, {len(stripe.taken)} events, {len(stripe.answers)} deliveries")
    assert kills >= 3 and None in stripe.answers


@pytest.mark.own_servers
def test_while_postgres_is_away_nothing_gets_a_200_that_is_not_kept(line):
    stages = [start(line).wait_ready()]
    outage_s = seconds("WEBHOOK_OUTAGE_S", 3, 30)
    with Stripe(stages) as stripe:
        line.wait_for(lambda: len(stripe.taken) > 200)
        line.postgres.kill()
        gone = len(stripe.taken)
        line.wait_for(lambda: 503 in stripe.answers)
        after = len(stripe.taken)  # Answers that were on their way.
        time.sleep(outage_s)       # The outage itself.
        assert len(stripe.taken) == after <= gone + SENDERS
        line.postgres.start()
        line.wait_for(lambda: len(stripe.taken) > after + 200, 60)
    must_be_worked_once(line, stripe)
