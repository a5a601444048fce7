"""The sandbox's cards: payment methods by their test names, intents, refunds, search, and what a request may carry."""
import pytest

from sandbox import parameters, routes
from sandbox.client import Sandbox

LEGACY = "2024-06-20"


@pytest.fixture(scope="module")
def started():
    with Sandbox.start(rate_per_s=0) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(started):
    started.reset()
    return started


def post(sandbox, path, **params):
    return sandbox.api("POST", "/v1/" + path, params)


def get(sandbox, path, **params):
    return sandbox.api("GET", "/v1/" + path, params)


def types(sandbox):
    return [event["type"] for event in get(sandbox, "events", limit=100).json["data"]][::-1]


def customer(sandbox, card="pm_card_visa", **fields):
    return post(sandbox, "customers", payment_method=card, invoice_settings={"default_payment_method": card}, **fields).json


def test_a_card_is_attached_made_the_default_and_detached(sandbox):
    made = post(sandbox, "customers", email="a@b.c").json
    first = post(sandbox, "payment_methods/pm_card_visa/attach", customer=made["id"]).json
    second = post(sandbox, "payment_methods/pm_card_mastercard/attach", customer=made["id"]).json
    assert first["customer"] == made["id"] and first["card"]["last4"] == "4242" and second["card"]["brand"] == "mastercard"
    listed = get(sandbox, f"customers/{made['id']}/payment_methods").json["data"]
    assert [m["id"] for m in listed] == [second["id"], first["id"]]
    assert get(sandbox, "payment_methods", customer=made["id"], type="card").json["data"] == listed
    assert get(sandbox, f"customers/{made['id']}").json["invoice_settings"]["default_payment_method"] is None
    settings = {"default_payment_method": first["id"]}
    assert post(sandbox, f"customers/{made['id']}", invoice_settings=settings).json["invoice_settings"][
        "default_payment_method"] == first["id"]
    shown = get(sandbox, f"customers/{made['id']}", expand=["invoice_settings.default_payment_method"]).json
    assert shown["invoice_settings"]["default_payment_method"]["card"]["last4"] == "4242"
    assert post(sandbox, f"payment_methods/{first['id']}/detach").json["customer"] is None
    assert get(sandbox, f"customers/{made['id']}").json["invoice_settings"]["default_payment_method"] is None
    again = post(sandbox, f"payment_methods/{first['id']}/attach", customer=made["id"])
    assert again.status == 400 and "may not be used again" in again.error["message"]
    assert types(sandbox) == ["customer.created", "payment_method.attached", "payment_method.attached", "customer.updated",
                              "customer.updated", "payment_method.detached"]


@pytest.mark.parametrize("card, code, decline_code", [
    ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", None)])
def test_a_declined_card_is_not_attached(sandbox, card, code, decline_code):
    made = post(sandbox, "customers").json
    refused = post(sandbox, f"payment_methods/{card}/attach", customer=made["id"])
    assert (refused.status, refused.error["type"], refused.error["code"]) == (402, "card_error", code)
    assert refused.error.get("decline_code") == decline_code
    assert post(sandbox, "customers", payment_method=card).status == 402
    assert get(sandbox, f"customers/{made['id']}/payment_methods").json["data"] == []
    assert len(get(sandbox, "customers").json["data"]) == 1


def test_the_default_is_the_customers_own(sandbox):
    other = customer(sandbox)["invoice_settings"]["default_payment_method"]
    mine = post(sandbox, "customers", name="mine").json
    refused = post(sandbox, f"customers/{mine['id']}", name="new", invoice_settings={"default_payment_method": other})
    assert (refused.status, refused.error["code"]) == (400, "resource_missing")
    assert refused.error["param"] == "invoice_settings[default_payment_method]"
    assert get(sandbox, f"customers/{mine['id']}").json["name"] == "mine", "nothing is half done"
    assert post(sandbox, f"payment_methods/{other}/attach", customer=mine["id"]).status == 400


def test_intents_by_card(sandbox):
    """Paid, declined, and in need of the holder: as Stripe's own triggers make them."""
    paid = post(sandbox, "payment_intents", amount=2000, currency="usd", confirm=True, payment_method="pm_card_visa").json
    assert paid["status"] == "succeeded" and paid["amount_received"] == 2000
    refused = post(sandbox, "payment_intents", amount=2000, currency="usd", confirm=True, payment_method="pm_card_chargeDeclined")
    assert refused.status == 402 and refused.error["payment_intent"]["status"] == "requires_payment_method"
    assert get(sandbox, f"charges/{refused.error['charge']}").json["failure_code"] == "card_declined"
    asks = post(sandbox, "payment_intents", amount=2000, currency="usd", confirm=True,
                payment_method="pm_card_authenticationRequired").json
    assert asks["status"] == "requires_action"
    assert post(sandbox, f"payment_intents/{asks['id']}/cancel").json["status"] == "canceled"
    assert types(sandbox) == [
        "payment_intent.created", "charge.succeeded", "payment_intent.succeeded",
        "payment_intent.created", "charge.failed", "payment_intent.payment_failed",
        "payment_intent.created", "payment_intent.requires_action", "payment_intent.canceled"]


def test_refunds(sandbox):
    paid = post(sandbox, "payment_intents", amount=2000, currency="usd", confirm=True, payment_method="pm_card_visa").json
    assert post(sandbox, "refunds", payment_intent=paid["id"], amount=500).json["status"] == "succeeded"
    assert post(sandbox, "refunds", charge=paid["latest_charge"], amount=1501).status == 400
    assert post(sandbox, "refunds", charge=paid["latest_charge"]).json["amount"] == 1500
    charge = get(sandbox, f"charges/{paid['latest_charge']}").json
    assert charge["refunded"] and charge["amount_refunded"] == 2000
    assert types(sandbox)[-2:] == ["refund.created", "charge.refunded"]


def test_setup_intents(sandbox):
    made = post(sandbox, "customers").json
    done = post(sandbox, "setup_intents", customer=made["id"], payment_method="pm_card_visa", confirm=True).json
    assert done["status"] == "succeeded"
    assert get(sandbox, f"customers/{made['id']}/payment_methods").json["data"][0]["id"] == done["payment_method"]
    asks = post(sandbox, "setup_intents", customer=made["id"], payment_method="pm_card_threeDSecure2Required").json
    assert post(sandbox, f"setup_intents/{asks['id']}/confirm").json["status"] == "requires_action"


def test_search_by_metadata_is_behind(sandbox):
    """It finds what was so a while ago, which is why nobody may create by it without a key."""
    first = customer(sandbox, metadata={"tenant": "acme"}, email="a@acme.test")
    for i in range(12):
        post(sandbox, "customers", metadata={"tenant": f"other-{i}"})
    found = get(sandbox, "customers/search", query="metadata['tenant']:'acme'").json
    assert found["object"] == "search_result" and [c["id"] for c in found["data"]] == [first["id"]]
    page = get(sandbox, "customers/search", query="created>0", limit=10).json
    assert len(page["data"]) == 10 and page["has_more"]
    rest = get(sandbox, "customers/search", query="created>0", limit=10, page=page["next_page"]).json
    assert len(rest["data"]) == 3 and rest["next_page"] is None
    assert get(sandbox, "customers/search", query="email~'ACME' AND -metadata['tenant']:'x'").json["data"][0]["id"] == first["id"]
    sandbox.set(search_lag_ms=60_000)
    post(sandbox, f"customers/{first['id']}", metadata={"tenant": "moved"})
    post(sandbox, "customers", metadata={"tenant": "late"})
    for tenant in ("moved", "late", "acme"):
        assert get(sandbox, "customers/search", query=f"metadata['tenant']:'{tenant}'").json["data"] == []
    sandbox.clock(61)
    for tenant in ("moved", "late"):
        assert len(get(sandbox, "customers/search", query=f"metadata['tenant']:'{tenant}'").json["data"]) == 1
    sandbox.set(search_lag_ms=0)


@pytest.mark.parametrize("query", ["tenant", "metadata['a'] 'b'", "nickname:'x'", "email:'a' AND", "name:'a' OR name:'b' AND name:'c'",
                                   "created:'x'"])
def test_queries_that_are_refused(sandbox, query):
    refused = get(sandbox, "customers/search", query=query)
    assert (refused.status, refused.error["param"]) == (400, "query")


# What a request may carry

def test_every_operation_has_its_parameters():
    for method, path, _ in routes.TABLE:
        if not path.startswith("/v2/"):
            for version in (parameters.OLD, parameters.NEW):
                gone = ("usage_record", "GET /v1/invoices/upcoming", "/pause")
                assert parameters.TABLES.tree(version, f"{method} {path}") or any(g in f"{method} {path}" for g in gone), path


@pytest.mark.parametrize("path, params, version, code, param", [
    ("customers", {"coupon": "x"}, None, "parameter_unknown", "coupon"),
    ("customers", {"tenant": "x"}, LEGACY, "parameter_unknown", "tenant"),
    ("customers", {"address": {"town": "x"}}, None, "parameter_unknown", "address[town]"),
    ("subscriptions", {"customer": "c", "items": [{"price": "p"}, {"prise": "p"}]}, None, "parameter_unknown", "items[1][prise]"),
    ("subscriptions", {"customer": "c", "items": [{"price": "p"}], "billing_mode": {"type": "flexible"}}, LEGACY,
     "parameter_unknown", "billing_mode"),
    ("subscriptions", {"customer": "c", "items": [{"price": "p"}], "payment_behavior": "try"}, None, None, "payment_behavior"),
    ("prices", {"currency": "usd", "recurring": {"interval": "month", "interval_count": "two"}}, None,
     "parameter_invalid_integer", "recurring[interval_count]"),
    ("prices", {"currency": "usd", "active": "perhaps"}, None, None, "active"),
    ("prices", {"recurring": {"interval": "month"}}, None, "parameter_missing", "currency"),
    ("prices", {"currency": "usd", "recurring": {"interval_count": 1}}, None, "parameter_missing", "recurring[interval]"),
    ("prices", {"currency": "usd", "recurring": "month"}, None, None, "recurring"),
    ("products", {"name": "x", "tax_code": None}, None, "parameter_invalid_empty", "tax_code")])
def test_what_a_request_may_not_carry(sandbox, path, params, version, code, param):
    refused = sandbox.api("POST", "/v1/" + path, params, version=version)
    assert (refused.status, refused.error.get("code"), refused.error["param"]) == (400, code, param)


def test_versions_take_different_words(sandbox):
    """Kinds of payment methods are named in old versions; those between the tables take what either does."""
    assert sandbox.api("POST", "/v1/setup_intents", {"payment_method_types": ["card"]}, version=LEGACY).status == 200
    refused = sandbox.api("POST", "/v1/setup_intents", {"payment_method_types": ["card"]})
    assert (refused.error["code"], refused.error["param"]) == ("parameter_unknown", "payment_method_types")
    assert sandbox.api("POST", "/v1/setup_intents", {"payment_method_types": ["card"]}, version="2025-09-30.clover").status == 200
