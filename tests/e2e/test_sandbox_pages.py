"""The sandbox's pages: Checkout, the portal and invoices, clicked through by plain HTTP as a person would."""
import re
import urllib.parse

import pytest

from sandbox.client import Sandbox
from support.sandbox_shop import CARD, DAY_S, FEATURES, HOUR_S, Shop


@pytest.fixture(scope="module")
def started():
    with Sandbox.start(rate_per_s=0) as sandbox:
        yield sandbox


@pytest.fixture
def shop(started):
    started.reset()
    return Shop(started)


class Browser:
    """Opens a link, fills in the form with that button, and follows no redirect."""

    def __init__(self, shop):
        self.sandbox, self.status, self.text, self.location = shop.sandbox, None, "", None

    def visit(self, url, body=None):
        answer = self.sandbox.browse(url, body)
        self.status, self.text = answer.status, answer.body.decode()
        self.location = answer.headers.get("Location")
        return self

    def submit(self, button, **typed):
        form = next(f for f in re.findall(r"<form.*?</form>", self.text) if f">{button}" in f)
        action = re.search(r'action="([^"]*)"', form)[1]
        fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form))
        return self.visit(self.sandbox.url + action, urllib.parse.urlencode({**fields, **typed}).encode())


@pytest.fixture
def browser(shop):
    return Browser(shop)


def checkout(shop, *prices, **fields):
    given = {"mode": "subscription", "success_url": "https://shop.test/done?session={CHECKOUT_SESSION_ID}",
             "cancel_url": "https://shop.test/", **fields}
    return shop.post("checkout/sessions", line_items=[p if isinstance(p, dict) else {"price": p, "quantity": 1} for p in prices],
                     **given)


# Checkout

def test_a_subscription_is_made_after_payment(shop, browser):
    customer = shop.post("customers", email="a@b.c")["id"]
    session = checkout(shop, {"price": shop.fee, "quantity": 2}, {"price": shop.metered}, customer=customer,
                       client_reference_id="acme", metadata={"a": "session"},
                       subscription_data={"metadata": {"tenant": "acme"}})
    assert (session["status"], session["payment_status"], session["amount_total"]) == ("open", "unpaid", 19800)
    assert session["subscription"] is None and shop.get("subscriptions", status="all")["data"] == []
    browser.visit(session["url"])
    assert browser.status == 200 and "198.00 USD" in browser.text
    browser.submit("Subscribe", card="4242 4242 4242 4242")
    assert (browser.status, browser.location) == (303, f"https://shop.test/done?session={session['id']}")
    done = shop.get("checkout/sessions/" + session["id"])
    assert (done["status"], done["payment_status"], done["url"]) == ("complete", "paid", None)
    sub = shop.get("subscriptions/" + done["subscription"])
    assert sub["status"] == "active" and sub["metadata"] == {"tenant": "acme"} and sub["default_payment_method"]
    assert [i.get("quantity") for i in sub["items"]["data"]] == [2, None]
    invoice = shop.get("invoices/" + done["invoice"])
    assert (invoice["status"], invoice["total"]) == ("paid", 19800)
    event = shop.get("events", type="checkout.session.completed")["data"][0]["data"]["object"]
    assert (event["subscription"], event["customer"], event["client_reference_id"]) == (sub["id"], customer, "acme")
    assert browser.visit(session["url"] or shop.sandbox.url + "/_pages/checkout/" + session["id"]).text.count("complete")


@pytest.mark.parametrize("card, said", [("pm_card_chargeDeclined", "declined"), ("4000000000009995", "insufficient funds"),
                                        ("pm_card_chargeCustomerFail", "declined"), ("1234", "number is incorrect")])
def test_a_declined_card_may_be_followed_by_another(shop, browser, card, said):
    session = checkout(shop, shop.fee)
    browser.visit(session["url"]).submit("Subscribe", card=card, email="a@b.c")
    assert browser.status == 402 and said in browser.text
    assert shop.get("checkout/sessions/" + session["id"])["status"] == "open"
    assert shop.get("subscriptions", status="all")["data"] == []
    browser.visit(session["url"]).submit("Subscribe", card="pm_card_visa", email="a@b.c")
    done = shop.get("checkout/sessions/" + session["id"])
    assert done["status"] == "complete" and shop.get("customers/" + done["customer"])["email"] == "a@b.c"


def test_the_holder_authenticates(shop, browser):
    session = checkout(shop, shop.fee)
    browser.visit(session["url"]).submit("Subscribe", card="pm_card_threeDSecure2Required", email="a@b.c")
    assert "Authenticate" in browser.text and shop.get("checkout/sessions/" + session["id"])["status"] == "open"
    browser.submit("Complete authentication")
    assert browser.status == 303
    sub = shop.get("subscriptions/" + shop.get("checkout/sessions/" + session["id"])["subscription"])
    assert sub["status"] == "active" and shop.invoices()[-1]["status"] == "paid"
    shop.until(sub["items"]["data"][0]["current_period_end"] + HOUR_S + 1)
    assert shop.get("subscriptions/" + sub["id"])["status"] == "past_due", "without its holder this card does not pay"


def test_a_trial_without_a_card(shop, browser):
    session = checkout(shop, shop.fee, customer=shop.customer, payment_method_collection="if_required",
                       subscription_data={"trial_period_days": 14})
    assert session["amount_total"] == 0
    browser.visit(session["url"])
    assert 'name="card"' not in browser.text
    browser.submit("Subscribe")
    done = shop.get("checkout/sessions/" + session["id"])
    assert done["payment_status"] == "no_payment_required"
    assert shop.get("subscriptions/" + done["subscription"])["status"] == "trialing"


def test_discount_and_tax_on_the_page_are_those_of_the_invoice(shop, browser):
    coupon = shop.post("coupons", percent_off="12.5", duration="forever")["id"]
    rate = shop.post("tax_rates", display_name="VAT", percentage="8.875", inclusive=False)["id"]
    session = checkout(shop, shop.fee, customer=shop.customer, discounts=[{"coupon": coupon}],
                       subscription_data={"default_tax_rates": [rate]})
    browser.visit(session["url"]).submit("Subscribe", card="pm_card_visa")
    invoice = shop.invoices()[-1]
    assert invoice["total"] == session["amount_total"] == 9900 - 1238 + 769
    assert session["total_details"]["amount_tax"] == 769


def test_two_sessions_make_two_subscriptions(shop, browser):
    sessions = [checkout(shop, shop.fee, customer=shop.customer) for _ in range(2)]
    for session in sessions:
        browser.visit(session["url"]).submit("Subscribe", card="pm_card_visa")
    assert len(shop.get("subscriptions", customer=shop.customer)["data"]) == 2


def test_sessions_expire(shop, browser):
    asked, waits = checkout(shop, shop.fee), checkout(shop, shop.fee)
    assert shop.post(f"checkout/sessions/{asked['id']}/expire")["status"] == "expired"
    assert "can be expired" in shop.refused(f"checkout/sessions/{asked['id']}/expire")[0]
    assert browser.visit(shop.sandbox.url + "/_pages/checkout/" + asked["id"]).status == 410
    shop.pass_s(DAY_S)
    assert shop.get("checkout/sessions/" + waits["id"])["status"] == "expired"
    assert shop.types("checkout.session") == ["checkout.session.expired"] * 2


@pytest.mark.parametrize("change, said, param", [
    ({"line_items": [{"price": "METERED", "quantity": 1}]}, "Remove quantity from `line_items[0]`", "line_items[0][quantity]"),
    ({"line_items": [{"price": "FEE"}]}, "Quantity is required", "line_items[0]"),
    ({"line_items": None}, "", "line_items"),
    ({"success_url": None}, "", "success_url"),
    ({"mode": "payment"}, "recurring price", "mode"),
    ({"subscription_data": {"trial_period_days": 0}}, "minimum number of trial period days", "trial_period_days"),
    ({"expires_at": 60}, "30 minutes", "expires_at"),
    ({"ui_mode": "hosted"}, "", "ui_mode")])
def test_sessions_that_are_refused(shop, change, said, param):
    named = {"METERED": shop.metered, "FEE": shop.fee}
    given = {"mode": "subscription", "success_url": "https://x.test/", "line_items": [{"price": "FEE", "quantity": 1}], **change}
    for item in given["line_items"] or ():
        item["price"] = named.get(item["price"], item["price"])
    message, at = shop.refused("checkout/sessions", **{k: v for k, v in given.items() if v is not None})
    assert said in message and at == param


def test_old_versions_have_the_old_words(shop):
    given = {"mode": "subscription", "success_url": "https://x.test/", "ui_mode": "hosted",
             "line_items": [{"price": shop.fee, "quantity": 1}]}
    assert shop.ask("POST", "checkout/sessions", "2024-06-20", **given).status == 200


def test_a_card_is_saved_and_a_payment_made(shop, browser):
    saved = shop.post("checkout/sessions", mode="setup", currency="usd", customer=shop.customer, success_url="https://x.test/")
    browser.visit(saved["url"]).submit("Save card", card="pm_card_mastercard")
    assert shop.get("checkout/sessions/" + saved["id"])["setup_intent"]
    brands = [m["card"]["brand"] for m in shop.get(f"customers/{shop.customer}/payment_methods")["data"]]
    assert brands == ["mastercard", "visa"]
    once = shop.post("prices", currency="usd", product="prod", unit_amount=1500)["id"]
    paid = shop.post("checkout/sessions", mode="payment", success_url="https://x.test/",
                     line_items=[{"price": once, "quantity": 2}])
    browser.visit(paid["url"]).submit("Pay", card="pm_card_visa")
    done = shop.get("checkout/sessions/" + paid["id"], expand=["payment_intent"])
    assert done["payment_intent"]["status"] == "succeeded" and done["payment_intent"]["amount"] == 3000


# The portal


def portal(shop, **fields):
    return shop.post("billing_portal/sessions", **{"customer": shop.customer, "return_url": "https://shop.test/account", **fields})


def test_the_portal_needs_a_configuration(shop):
    assert "default configuration has not been created" in shop.refused("billing_portal/sessions", customer=shop.customer)[0]
    made = shop.post("billing_portal/configurations", features=FEATURES, metadata={"deployment": "x"})
    assert made["is_default"] and made["features"]["subscription_cancel"]["mode"] == "at_period_end"
    assert shop.get("billing_portal/configurations")["data"] == [made]
    assert shop.refused("billing_portal/sessions", customer=shop.customer)[1] == "return_url"
    session = portal(shop)
    assert session["configuration"] == made["id"] and session["url"].startswith(shop.sandbox.url)


def test_the_portal_cancels_and_keeps(shop, browser):
    """Flexible subscriptions show it by cancel_at alone."""
    shop.post("billing_portal/configurations", features=FEATURES)
    flexible, classic = shop.subscribe(shop.fee), shop.subscribe(shop.pro, billing_mode={"type": "classic"})
    browser.visit(portal(shop)["url"])
    assert "visa ending in 4242" in browser.text
    link = portal(shop)["url"]
    for _ in range(2):
        browser.visit(link).submit("Cancel")
        assert browser.status == 303
    one, two = shop.sub(flexible), shop.sub(classic)
    assert (one["cancel_at_period_end"], one["cancel_at"]) == (False, one["items"]["data"][0]["current_period_end"])
    assert (two["cancel_at_period_end"], two["cancel_at"]) == (True, two["items"]["data"][0]["current_period_end"])
    browser.visit(link).submit("Keep it")
    browser.visit(link).submit("Keep it")
    assert shop.sub(flexible)["cancel_at"] is None and shop.sub(classic)["cancel_at"] is None


def test_a_new_card_pays_what_is_open(shop, browser):
    shop.post("billing_portal/configurations", features=FEATURES)
    sub = shop.subscribe(shop.fee)
    shop.set_card("pm_card_chargeCustomerFail")
    shop.until(sub["items"]["data"][0]["current_period_end"] + HOUR_S + 1)
    assert shop.sub(sub)["status"] == "past_due"
    link = portal(shop, flow_data={"type": "payment_method_update"})["url"]
    browser.visit(link).submit("Save card", card="pm_card_mastercard")
    assert shop.sub(sub)["status"] == "active" and shop.invoices()[-1]["status"] == "paid"
    shop.pass_s(HOUR_S + 1)
    assert browser.visit(link).status == 404, "the link is short-lived"


# Invoices

def test_the_invoices_page_and_its_pdf(shop, browser):
    shop.customer = shop.post("customers", name="Acme (Ltd)", email="a@b.c", **CARD)["id"]
    shop.subscribe(shop.fee, shop.metered)
    invoice, = shop.invoices()
    browser.visit(invoice["hosted_invoice_url"])
    assert browser.status == 200 and invoice["number"] in browser.text and "99.00 USD" in browser.text
    answer = shop.sandbox.browse(invoice["invoice_pdf"])
    assert answer.status == 303
    file = shop.sandbox.browse(answer.headers["Location"])
    assert file.headers["Content-Type"] == "application/pdf"
    assert file.body.startswith(b"%PDF-1.4\n") and file.body.endswith(b"%%EOF\n")
    assert b"Total   99.00 USD" in file.body and b"Acme \\(Ltd\\)" in file.body
    start = int(re.search(rb"startxref\n(\d+)\n", file.body)[1])
    assert file.body[start:start + 4] == b"xref"
    for number, place in enumerate(re.findall(rb"(\d{10}) 00000 n", file.body), 1):
        assert file.body[int(place):].startswith(b"%d 0 obj" % number)
    assert browser.visit(invoice["hosted_invoice_url"] + "x").status == 404
    shop.pass_s(31 * DAY_S)
    assert browser.visit(invoice["hosted_invoice_url"]).status == 404


def test_an_open_invoice_is_paid_on_its_page(shop, browser):
    shop.set_card("pm_card_chargeCustomerFail")
    sub = shop.subscribe(shop.fee)
    invoice, = shop.invoices()
    browser.visit(invoice["hosted_invoice_url"]).submit("Pay", card="pm_card_threeDSecure2Required")
    browser.submit("Complete authentication")
    assert shop.sub(sub)["status"] == "active" and shop.invoices()[0]["status"] == "paid"
