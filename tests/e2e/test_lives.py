"""Whatever the order in which Stripe's events come, what is known in the end is what truly happened.

Each kind of life (support/lives.py) is delivered in several random orders, with repeats and gaps, in the shapes of an old
and a new API version, without a key and with one. LIVES_ORDERS=200 makes more of them, LIVES=trial,yen just those."""

import collections
import concurrent.futures
import http.client
import json
import os
import random
import time

import psycopg2.extras
import pytest

from support.life_api import LifeApi
from support.life_stripe import DAY, MARK, NEW, OLD, Stripe, utc
from support.life_truth import CURRENT, METRIC, PARTS, TENANT, Truth, differences, minute, read_all
from support.lives import LIVES, past_due_again
from support.seeds import new_seed
from support.webhooks import signature

ORDERS = int(os.environ.get("LIVES_ORDERS", "0"))
CHOSEN = [name for name in os.environ.get("LIVES", "").split(",") if name]
THREADS = 4


def object_of(event):
    return event["data"]["object"]["id"]


class Order:
    """One delivery of one life."""

    def __init__(self, number, life, order, choose):
        self.life, self.name = life, f"{LIVES[number].__name__} order {order}"
        self.mark = f"L{number}o{order}x"
        self.tenant = TENANT.replace(MARK, self.mark)
        self.gaps = order % 4 == 3
        events = list(life.events)
        if self.gaps:
            # Where an event of a second with several is missing, nobody can tell how that second ended.
            last = {object_of(event): event["id"] for event in events}
            crowded = collections.Counter((object_of(event), event["created"]) for event in events)
            events = [event for event in events
                      if event["id"] == last[object_of(event)] or crowded[object_of(event), event["created"]] > 1
                      or choose.random() < 0.6]
        self.kept = {event["id"] for event in events}
        self.steps = self.shuffled(list(enumerate(life.events)), choose, order)

    def shuffled(self, events, choose, order):
        """[(how many events have happened, event)], with repeats."""
        events = [(place, event) for place, event in events if event["id"] in self.kept]
        if order % 3 == 0:
            choose.shuffle(events)
            steps = [(len(self.life.events), event) for _, event in events]
        elif order % 3 == 1:  # Some come late, as Stripe's retries do.
            late = sorted(events, key=lambda kept: kept[0] + choose.choice([0, 0, 1, 3, 9, 40]) * choose.random())
            steps, happened = [], 0
            for place, event in late:
                happened = max(happened, place + 1)
                steps.append((happened, event))
        else:
            steps = [(len(self.life.events), event) for _, event in reversed(events)]
        for _ in range(len(steps) // 4):
            happened, event = choose.choice(steps)
            steps.insert(choose.randrange(len(steps) + 1), (len(self.life.events), event))
        return steps

    def body(self, event):
        return json.dumps(event).replace(MARK, self.mark).encode()


class Sender:
    """Keeps its connection."""

    def __init__(self, stage):
        self.connection = http.client.HTTPConnection("127.0.0.1", stage.port("webhooks"), timeout=60)

    def post(self, body):
        self.connection.request("POST", "/webhooks/stripe", body, {"Stripe-Signature": signature(body)})
        answer = self.connection.getresponse()
        assert (answer.status, answer.read()) == (200, b'{"received":true}')


def make_orders(count, choose):
    orders = []
    for number, kind in enumerate(LIVES):
        if CHOSEN and kind.__name__ not in CHOSEN:
            continue
        # One of them is still within its days of grace.
        begun = int(time.time()) - 65 * DAY if kind is past_due_again else utc(2025, 1, 15, 9, 30, 7)
        lives = {}
        for version in (OLD, NEW):
            lives[version] = Stripe(version, begun)
            kind(lives[version])
        for order in range(count):
            orders.append(Order(number, lives[NEW if (order + number) % 2 else OLD], order, choose))
            if orders[-1].gaps:
                orders.append(twin_of(orders[-1], number, order, choose))
    return orders


def twin_of(order, number, place, choose):
    """Other order, same events."""
    twin = Order(number, order.life, place, choose)
    twin.kept, twin.mark = order.kept, f"L{number}o{900_000 + place}x"
    twin.tenant = TENANT.replace(MARK, twin.mark)
    twin.steps = twin.shuffled(list(enumerate(order.life.events)), choose, place + 1)
    order.twin_tenant = twin.tenant
    return twin


def count_usage(line, orders):
    """As aggregators did while nobody had a subscription: by calendar months."""
    rows = [(order.tenant, minute(at), quantity) for order in orders for _, at, quantity in order.life.usage]
    with line.postgres.connect(line.postgres.url) as connection, connection.cursor() as cursor:
        psycopg2.extras.execute_values(cursor, f"""
            INSERT INTO usage_aggregates (tenant, metric, minute_at, events, quantity_sum, quantity_min, quantity_max,
                                          quantity_last, last_ms, last_entry)
            SELECT tenant, '{METRIC}', to_timestamp(at), count(*), sum(n), min(n), max(n), max(n), 0, ''
              FROM (VALUES %s) AS x (tenant, at, n) GROUP BY tenant, at""", rows)
        cursor.execute(f"""
            INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
            SELECT a.tenant, '{METRIC}', b.period_start, b.period_end, sum(a.quantity_sum), nextval('usage_version'), 0, ''
              FROM usage_aggregates a, billing_period(a.tenant, a.minute_at) b GROUP BY 1, 2, 3, 4""")
    connection.close()


def deliver_all(stage, orders, api, choose):
    """Many lives at once, each in its own order, by several connections."""
    def deliver(share, seed):
        sender, pick = Sender(stage), random.Random(seed)
        waiting = [(order, list(order.steps)) for order in share]
        while waiting:
            place = pick.randrange(len(waiting))
            order, steps = waiting[place]
            happened, event = steps.pop(0)
            if api:
                bodies, before = api.lives.get(order.mark, (order.life.bodies, 0))
                api.lives[order.mark] = (bodies, max(before, happened))
            sender.post(order.body(event))
            if not steps:
                waiting[place] = waiting[-1]
                waiting.pop()

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(deliver, orders[n::THREADS], choose.random()) for n in range(THREADS)]:
            done.result()


# What was told of a customer's revenue adds up to what it is, which is the sum over its subscriptions.
TOLD_WRONG = """
SELECT k.tenant, k.stripe_customer_id, fraction_round(k.mrr) AS stored, fraction_round(c.mrr) AS wanted, m.told
  FROM customer_mrr k
  JOIN customers_mrr('infinity') c USING (stripe_customer_id, currency)
 CROSS JOIN LATERAL (SELECT coalesce(sum((m.data ->> 'change_minor')::numeric), 0) AS told FROM outgoing_messages m
                      WHERE m.kind = 'mrr_update' AND m.channel = 'signal'
                        AND m.data ->> 'customer' = k.stripe_customer_id AND m.data ->> 'currency' = k.currency) m
 WHERE fraction_round(c.mrr) IS DISTINCT FROM m.told OR fraction_round(k.mrr) IS DISTINCT FROM m.told"""


def prove(line, orders):
    found, wrong = read_all(line), []
    assert line.sql(TOLD_WRONG) == []
    assert line.value("SELECT count(*) FROM outgoing_messages WHERE kind = 'mrr_update'") > len(orders) // 2
    now = time.time()
    for order in orders:
        has = found.get(order.tenant, {})
        if order.gaps:
            # What is missing cannot be known; but the order makes no difference, and the present is told.
            other = found.get(getattr(order, "twin_tenant", order.tenant), {})
            lines = differences(has, other) if has and other else ["nothing is known"]
            lines += differences(has, Truth(order.life, now).whole(), CURRENT_WITH_GAPS)
        else:
            lines = differences(has, Truth(order.life, now).whole())
        if lines:
            wrong.append(f"{order.name} ({order.mark}, {order.life.version}, gaps {order.gaps}):\n  " + "\n  ".join(lines))
    assert not wrong, f"{len(wrong)} of {len(orders)} orders end otherwise:\n" + "\n".join(wrong[:6])


CURRENT_WITH_GAPS = tuple(part for part in CURRENT if part in PARTS and part != "limits")


@pytest.mark.long
@pytest.mark.parametrize("key", [False, True], ids=["without a key", "with a key"])
def test_lives_end_as_they_were_in_any_order(line, key):
    choose = random.Random(new_seed())
    orders = make_orders(ORDERS or (3 if key else 4), choose)
    api = LifeApi() if key else None
    count_usage(line, orders)
    settings = {"STRIPE_API_BASE": api.url, "WEBHOOKD_RATE_PER_S": 1000} if key else {"STRIPE_SECRET_KEY": None}
    try:
        stage = line.start_webhookd(**settings).wait_ready()
        begun = time.monotonic()
        deliver_all(stage, orders, api, choose)
        line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events WHERE state = 'received'") == 0,
                      60 + len(orders), "all are worked")
        events = line.value("SELECT count(*) FROM webhook_events")
        print(f"{len(orders)} orders, {events} events, {events / (time.monotonic() - begun):.0f} a second")
    finally:
        if api:
            api.close()
    assert line.sql("SELECT event_id, type, state, error FROM webhook_events WHERE state IN ('failed', 'ignored') LIMIT 5") == []
    prove(line, orders)


def test_what_is_long_ago_stays_though_its_observations_are_forgotten(line):
    """Of each object the newest observation is kept; what followed from the others stays, and goes on."""
    life = Stripe(NEW, utc(2025, 1, 15, 9, 30, 7))
    customer = life.customer("acme")
    sub = life.subscribe(customer, [life.price("standard"), life.price("llm_tokens", metered=True)])
    for _ in range(3):
        life.renew(sub)
        life.bill(sub)
    old = len(life.events)
    life.swap(sub, life.price("enterprise"))
    life.renew(sub)
    order = Order(0, life, 2, random.Random(1))
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None, WEBHOOKD_HEAL_S=1).wait_ready()
    sender = Sender(stage)

    def tell(events):
        for event in events:
            sender.post(order.body(event))
        line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events WHERE state = 'received'") == 0)

    tell(life.events[:old])
    line.sql("UPDATE stripe_observations SET noted_at = now() - interval '61 days'")
    kept = line.value("SELECT count(DISTINCT object_id) FROM stripe_observations")
    line.wait_for(lambda: line.value("SELECT count(*) FROM stripe_observations") <= kept + 3, 30, "the others are forgotten")
    tell(life.events[old:])
    assert differences(read_all(line)[order.tenant], Truth(life, time.time()).whole()) == []
    assert line.value("SELECT count(*) FROM (SELECT shape = lag(shape) OVER (ORDER BY valid_from) AS same"
                      " FROM subscription_states) s WHERE same") == 0
