"""What the API does at Stripe: each thing once, whatever died on the way; each failure a clear answer."""

import threading

import pytest

from line.line import TEST_KEY
from support import api as support
from support.billing_shop import (
    CUSTOMER, SUBSCRIPTION, customers, key, make_acme, make_shop, repeat
)

CRASHES = ["before_stripe", "after_stripe"]


@pytest.fixture(name="shop")
def shop_fixture(line):
    return make_shop(line)


def test_a_customer_is_made_once_and_then_found(shop):
    acme = shop.editor.of("acme")
    made = acme.post(CUSTOMER, {"email": "a@acme.test", "name": "Acme"})
    assert made.status == 201, made
    assert made.json["email"] == "a@acme.test" and made.json["pending"] is False and made.json["status"] == "active"
    found = acme.post(CUSTOMER, {})
    assert (found.status, found.json["id"]) == (200, made.json["id"])
    changed = acme.post(CUSTOMER, {"email": "b@acme.test"})
    assert changed.json["email"] == "b@acme.test" and changed.json["pending"] is False
    assert acme.must("GET", CUSTOMER) == changed.json
    assert [c["metadata"]["tenant"] for c in customers(shop)] == ["acme"]
    told = [(r.kind, r.object_id, r.actor) for r in shop.sql(
        "SELECT kind, object_id, actor FROM billing_history WHERE actor IS NOT NULL ORDER BY history_id")]
    assert told == [("customer_requested", made.json["id"], "shop")] * 3
    assert shop.editor.of("globex").get(CUSTOMER).status == 404


def test_two_posts_at_once_make_one_customer(shop):
    answers = []
    def post():
        answers.append(shop.editor.of("acme").post(CUSTOMER, {"email": "a@acme.test"}))
    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a.status for a in answers) == [200] * 5 + [201], answers
    assert len({a.json["id"] for a in answers}) == 1 and len(customers(shop)) == 1


@pytest.mark.parametrize("point", CRASHES)
@pytest.mark.parametrize("same_key", [True, False], ids=["same_key", "other_key"])
def test_a_customer_survives_a_crash(shop, point, same_key):
    crashing = support.start(shop, METERLINE_TEST_CRASH=point)
    acme = shop.editor.of("acme")
    with pytest.raises(OSError):
        support.Api(shop, crashing.stage, acme.key, "acme").post(CUSTOMER, {"email": "a@acme.test"}, **key("k1"))
    crashing.stage.process.wait()
    assert len(customers(shop)) == (point == "after_stripe")
    again = repeat(shop, acme, CUSTOMER, {"email": "a@acme.test"}, "k1" if same_key else "k2")
    assert again.status in (200, 201) and again.json["email"] == "a@acme.test", again
    assert [c["id"] for c in customers(shop)] == [again.json["id"]]
    assert shop.sql("SELECT state FROM stripe_operations WHERE operation = 'create_customer'")[0].state == "done"


def test_what_stripe_made_is_found_after_its_key_was_forgotten(shop):
    crashing = support.start(shop, METERLINE_TEST_CRASH="after_stripe")
    acme = shop.editor.of("acme")
    with pytest.raises(OSError):
        support.Api(shop, crashing.stage, acme.key, "acme").post(CUSTOMER, {}, **key("k1"))
    crashing.stage.process.wait()
    shop.wait_for(lambda: shop.value("SELECT count(*) FROM billing_customers") == 1, 10, "webhookd has it")
    shop.sql("DELETE FROM billing_customers")
    shop.sql("UPDATE stripe_operations SET begun_at = now() - interval '25 hours'")
    shop.sandbox.clock(25 * 3600 + 60)
    answer = repeat(shop, acme, CUSTOMER, {}, "k1")
    assert answer.status == 201, answer
    assert [c["id"] for c in customers(shop)] == [answer.json["id"]]


def test_a_key_that_is_used_again_after_a_day_is_another_request(shop):
    acme = make_acme(shop)
    first = acme.post(SUBSCRIPTION, {"plan": "standard"}, **key("k"))
    assert first.status == 201
    globex = shop.editor.of("globex")
    assert globex.post(CUSTOMER, {"email": "old@globex.test"}, **key("c")).status == 201
    shop.sql("UPDATE api_requests SET created_at = created_at - interval '24 hours 1 second'")
    told = acme.post(SUBSCRIPTION, {"plan": "enterprise", "seats": 3}, **key("k"))
    assert (told.status, told.code) == (409, "subscription_exists"), "not what was made yesterday"
    told = globex.post(CUSTOMER, {"email": "new@globex.test"}, **key("c"))
    assert told.status == 200 and told.json["email"] == "new@globex.test", told
    assert {c["email"] for c in customers(shop)} == {"a@acme.test", "new@globex.test"}


@pytest.mark.parametrize("fault", ["drop_after_apply", "drop_before_apply"])
def test_lost_answers_make_nothing_twice(shop, fault):
    shop.sandbox.fault(fault, method="POST", path="/v1/customers", times=2)
    answer = shop.editor.of("acme").post(CUSTOMER, {})
    assert answer.status == 201 and len(customers(shop)) == 1


def test_a_failure_that_stripe_keeps_is_got_over(shop):
    shop.sandbox.fault("status", method="POST", path="/v1/customers", status=500, applied=True, stored=True, times=1)
    acme = shop.editor.of("acme")
    lost = acme.post(CUSTOMER, {}, **key("k1"))
    assert (lost.status, lost.code) == (502, "stripe_no_answer")
    found = acme.post(CUSTOMER, {}, **key("k1"))
    assert found.status == 201 and [c["id"] for c in customers(shop)] == [found.json["id"]]
    shop.sandbox.fault("status", method="POST", path="/v1/customers", status=500, applied=False, stored=True, times=1)
    globex = shop.editor.of("globex")
    assert globex.post(CUSTOMER, {}, **key("k2")).status == 502
    assert globex.post(CUSTOMER, {}, **key("k2")).status == 201 and len(customers(shop)) == 2


def test_stripe_away_is_told_and_nothing_is_done(shop):
    shop.sandbox.stop()
    answer = shop.editor.of("acme").post(CUSTOMER, {}, timeout=60)
    assert (answer.status, answer.code) == (503, "stripe_unavailable") and int(answer.headers["Retry-After"]) > 0
    shop.sandbox = None


def test_a_key_that_stripe_refuses_is_told(shop):
    shop.sandbox.key(TEST_KEY, expired=True)
    answer = shop.editor.of("acme").post(CUSTOMER, {})
    assert (answer.status, answer.code) == (502, "stripe_key_refused"), answer
