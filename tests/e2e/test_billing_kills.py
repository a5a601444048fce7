"""Whatever dies while customers and subscriptions are made, each of them exists once.

BILLING_POSTS=2000 BILLING_KILLS=60 for a long run."""

import concurrent.futures
import http.client
import os
import random
import time

import pytest

from line.line import TEST_WEBHOOK_SECRET
from support import api as support
from support import plans

POSTS = int(os.environ.get("BILLING_POSTS", "80"))
KILLS = int(os.environ.get("BILLING_KILLS", "2"))
CLIENTS = 12
CUSTOMER = "/api/billing/customer"
SUBSCRIPTION = "/api/billing/subscription"


class Killed:
    """An API at one address that is killed now and then, and started again."""

    def __init__(self, line, port):
        self.line, self.port = line, port
        self.random = random.Random()
        self.kills = 0
        self.start()

    def start(self):
        self.stage = self.line.start_api(API_LISTEN=f"127.0.0.1:{self.port}", API_STRIPE_RATE_PER_S="1000",
                                         API_RATE_PER_S="1000000").wait_ready()

    def run(self, is_over):
        while self.kills < KILLS and not is_over():
            time.sleep(self.random.uniform(0.3, 2.5))     # the moment is to be any
            self.stage.kill9()
            self.kills += 1
            self.start()


def ask(caller, path, body, key):
    """Until it has an answer that is one. A client that gives up at times asks with a new key."""
    end = time.monotonic() + 300
    answer = None
    while time.monotonic() < end:
        try:
            answer = caller.post(path, body, headers={"Idempotency-Key": key}, timeout=60)
        except (OSError, http.client.HTTPException) as e:
            answer = answer or e
            if random.random() < 0.1:
                key += "-other"
            time.sleep(0.05)
            continue
        if answer.status in (200, 201) or (answer.status == 409 and answer.code == "subscription_exists"):
            return answer
        assert answer.status in (502, 503) or answer.code in ("request_in_progress", "tenant_busy"), answer
        time.sleep(0.2)
    raise AssertionError(f"no answer to {path} of {caller.tenant} in 300 s: {answer}")


@pytest.mark.long
def test_each_customer_and_subscription_exists_once(line):
    line.start_sandbox(rate_per_s=0)
    webhookd = line.start_webhookd(WEBHOOKD_RATE_PER_S="1000", WEBHOOKD_WORKERS="4").wait_ready()
    line.sandbox.webhook(f"http://127.0.0.1:{webhookd.port('webhooks')}/webhooks/stripe", enabled_events=["*"],
                         secret=TEST_WEBHOOK_SECRET)
    plans.Plans(line.sandbox).add("free", 0)
    first = support.start(line)
    editor = first.with_key("editor", "shop")
    port = first.port
    first.stage.term()
    killed = Killed(line, port)
    for fault in ("drop_after_apply", "drop_before_apply"):
        line.sandbox.fault(fault, path="/v1/", probability_percent=4)
    line.sandbox.fault("status", method="POST", path="/v1/", status=500, applied=True, stored=True, probability_percent=2)
    tenants = [f"t{n}" for n in range(POSTS // 2)]

    def make(tenant):
        caller = editor.of(tenant)
        customer = ask(caller, CUSTOMER, {"email": f"{tenant}@x.test"}, f"c-{tenant}")
        ask(caller, SUBSCRIPTION, {"plan": "free"}, f"s-{tenant}")
        return tenant, customer.json["id"]

    # What this thread starts ends with it, so it is the one that kills.
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
        making = [clients.submit(make, tenant) for tenant in tenants]
        killed.run(lambda: all(one.done() for one in making))
        made = dict(one.result() for one in making)
    line.sandbox.clear_faults()
    check(line, made)
    print(f"{POSTS} POSTs, {killed.kills} kills")


def every(line, path, **params):
    found, after = [], {}
    while True:
        page = line.sandbox.api("GET", path, {"limit": 100, **params, **after}).json
        found += page["data"]
        if not page["has_more"]:
            return found
        after = {"starting_after": found[-1]["id"]}


def check(line, made):
    customers = {}
    for customer in every(line, "/v1/customers"):
        customers.setdefault(customer["metadata"]["tenant"], []).append(customer["id"])
    assert customers == {tenant: [id] for tenant, id in made.items()}
    subscriptions = {}
    for subscription in every(line, "/v1/subscriptions", status="all"):
        subscriptions.setdefault(subscription["customer"], []).append(subscription["id"])
    assert sorted(subscriptions) == sorted(made.values())
    assert all(len(ids) == 1 for ids in subscriptions.values())
    line.wait_for(lambda: line.value("SELECT count(*) FROM subscriptions") == len(made), 60, "webhookd has them all")
    stored = {row.tenant: row.id for row in line.sql("SELECT tenant, stripe_customer_id AS id FROM billing_customers")}
    assert stored == made
