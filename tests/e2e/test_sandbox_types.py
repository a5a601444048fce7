"""The sandbox against the types of npm's stripe: every object has the fields that both pinned clients declare, no others,
of their types; and the tables of parameters are those of the clients."""
import pytest

from line import npm
from sandbox import parameters
from sandbox.client import Sandbox
from support.sandbox_shop import FEATURES, LEGACY, Shop, coupon, rate
from support.stripe_types import Types, of_object
from support.stripe_types import parameters as typed_parameters


@pytest.fixture(scope="module")
def clients():
    """{version: its types}"""
    try:
        folder = npm.folder() / "node_modules"
    except npm.Missing as why:
        pytest.skip(str(why))
    return {None: Types(folder / "stripe" / "esm"), LEGACY: Types(folder / "stripe16" / "types")}


@pytest.fixture(scope="module")
def shop():
    with Sandbox.start(rate_per_s=0) as sandbox:
        yield Shop(sandbox)


def made(shop):
    """One of each, with all that hangs on it -> paths to read them again."""
    tax, off = rate(shop, "8"), coupon(shop, percent_off="10", duration="forever")
    sub = shop.subscribe(shop.fee, shop.metered, default_tax_rates=[tax], discounts=[{"coupon": off}])
    shop.post("subscriptions/" + sub["id"], items=[{"id": sub["items"]["data"][0]["id"], "price": shop.pro}],
              proration_behavior="always_invoice")
    sent = shop.subscribe(shop.fee, collection_method="send_invoice", days_until_due=3, trial_period_days=1)
    shop.post("subscriptions/" + sent["id"], cancel_at_period_end=True, pause_collection={"behavior": "void"})
    item = shop.post("invoiceitems", customer=shop.customer, amount=100, currency="usd")
    schedule = shop.post("subscription_schedules", from_subscription=sub["id"])
    configuration = shop.post("billing_portal/configurations", features=FEATURES)
    session = shop.post("checkout/sessions", mode="subscription", success_url="https://x.test/",
                        line_items=[{"price": shop.fee, "quantity": 1}])
    intent = shop.post("payment_intents", amount=100, currency="usd", payment_method="pm_card_visa", confirm=True)
    failed = shop.ask("POST", "payment_intents", amount=100, currency="usd", payment_method="pm_card_chargeDeclined",
                      confirm=True).error["payment_intent"]["id"]
    refund = shop.post("refunds", payment_intent=intent["id"])
    setup = shop.post("setup_intents", customer=shop.customer, payment_method="pm_card_visa", confirm=True)
    endpoint = shop.post("webhook_endpoints", url="http://127.0.0.1:9/", enabled_events=["plan.deleted"])
    invoices = shop.invoices()
    return {
        "Subscriptions.d.ts Subscription": ["subscriptions/" + s["id"] for s in (sub, sent)],
        "SubscriptionItems.d.ts SubscriptionItem": ["subscription_items/" + i["id"] for i in sub["items"]["data"]],
        "Invoices.d.ts Invoice": ["invoices/" + invoice["id"] for invoice in invoices],
        "InvoiceItems.d.ts InvoiceItem": ["invoiceitems/" + item["id"]],
        "Customers.d.ts Customer": ["customers/" + shop.customer], "Products.d.ts Product": ["products/prod"],
        "Prices.d.ts Price": ["prices/" + id for id in (shop.fee, shop.metered)],
        "PaymentMethods.d.ts PaymentMethod": ["payment_methods/" + setup["payment_method"]],
        "PaymentIntents.d.ts PaymentIntent": ["payment_intents/" + id for id in (intent["id"], failed)],
        "Charges.d.ts Charge": ["charges/" + intent["latest_charge"]], "Refunds.d.ts Refund": ["refunds/" + refund["id"]],
        "SetupIntents.d.ts SetupIntent": ["setup_intents/" + setup["id"]], "TaxRates.d.ts TaxRate": ["tax_rates/" + tax],
        "Coupons.d.ts Coupon": ["coupons/" + off], "Billing/Meters.d.ts Meter": ["billing/meters/" + shop.meter],
        "SubscriptionSchedules.d.ts SubscriptionSchedule": ["subscription_schedules/" + schedule["id"]],
        "Checkout/Sessions.d.ts Session": ["checkout/sessions/" + session["id"]],
        "BillingPortal/Configurations.d.ts Configuration": ["billing_portal/configurations/" + configuration["id"]],
        "WebhookEndpoints.d.ts WebhookEndpoint": ["webhook_endpoints/" + endpoint["id"]]}


EXPANDED = {"Subscription": ["discounts", "latest_invoice", "default_payment_method"], "Price": ["tiers"], "Invoice": ["discounts"]}


@pytest.mark.parametrize("version", [None, LEGACY])
def test_objects_are_as_the_clients_declare_them(shop, clients, version):
    types, found = clients[version], []
    for where, paths in made(shop).items():
        part, name = where.split()
        for path in paths:
            obj = shop.ask("GET", path, version, expand=EXPANDED.get(name, [])).json
            found += of_object(types, types.file_of(name, part), name, obj, path.partition("/")[0])
    portal = shop.ask("POST", "billing_portal/sessions", version, customer=shop.customer, return_url="https://x.test/").json
    found += of_object(types, types.file_of("Session", "BillingPortal/Sessions.d.ts"), "Session", portal, "portal session")
    if version is None:
        payment = shop.get("invoice_payments")["data"][0]
        found += of_object(types, types.file_of("InvoicePayment", "InvoicePayments.d.ts"), "InvoicePayment", payment, "payment")
    assert found == []


OPERATIONS = {
    "POST /v1/customers": "Customers Customer Create", "POST /v1/customers/{}": "Customers Customer Update",
    "POST /v1/products": "Products Product Create", "POST /v1/prices": "Prices Price Create",
    "POST /v1/prices/{}": "Prices Price Update", "POST /v1/subscriptions": "Subscriptions Subscription Create",
    "POST /v1/subscriptions/{}": "Subscriptions Subscription Update",
    "DELETE /v1/subscriptions/{}": "Subscriptions Subscription Cancel",
    "GET /v1/subscriptions": "Subscriptions Subscription List", "GET /v1/invoices": "Invoices Invoice List",
    "POST /v1/subscription_schedules": "SubscriptionSchedules SubscriptionSchedule Create",
    "POST /v1/subscription_schedules/{}": "SubscriptionSchedules SubscriptionSchedule Update",
    "POST /v1/checkout/sessions": "Checkout/Sessions Session Create",
    "POST /v1/billing_portal/sessions": "BillingPortal/Sessions Session Create",
    "POST /v1/billing_portal/configurations": "BillingPortal/Configurations Configuration Create",
    "POST /v1/invoices/create_preview": "Invoices Invoice CreatePreview", "POST /v1/invoices/{}/pay": "Invoices Invoice Pay",
    "POST /v1/coupons": "Coupons Coupon Create", "POST /v1/tax_rates": "TaxRates TaxRate Create",
    "POST /v1/payment_methods/{}/attach": "PaymentMethods PaymentMethod Attach",
    "POST /v1/setup_intents": "SetupIntents SetupIntent Create", "POST /v1/billing/meters": "Billing/Meters Meter Create"}
BY_HAND = {
    "POST /v1/invoices": "Invoices Invoice Create", "POST /v1/invoices/{}": "Invoices Invoice Update",
    "POST /v1/invoiceitems": "InvoiceItems InvoiceItem Create", "POST /v1/tax_rates/{}": "TaxRates TaxRate Update",
    "POST /v1/payment_methods": "PaymentMethods PaymentMethod Create", "POST /v1/refunds": "Refunds Refund Create",
    "POST /v1/payment_methods/{}": "PaymentMethods PaymentMethod Update",
    "POST /v1/payment_intents": "PaymentIntents PaymentIntent Create",
    "POST /v1/subscription_items": "SubscriptionItems SubscriptionItem Create",
    "POST /v1/subscription_items/{}": "SubscriptionItems SubscriptionItem Update",
    "DELETE /v1/subscription_items/{}": "SubscriptionItems SubscriptionItem Delete"}
PAGING = {"expand", "limit", "starting_after", "ending_before"}
SHARED = ".payment_intent_data.shipping.address"    # one name for two types


def typed(types, words):
    part, name, action = words.split()
    for end in (".d.ts", "Resource.d.ts"):
        try:
            return typed_parameters(types, types.file_of(name + action + "Params", part + end), name + action + "Params")
        except KeyError:
            continue
    raise KeyError(words)


def differences(tree, known, place):
    """(in the table alone, in the types alone)"""
    table, types = [], []
    while "[]" in tree.children:
        tree = tree.children["[]"]
    if {"*", "**"} & set(tree.children) or not tree.children or place == SHARED:
        return table, types
    names = set(tree.children) - PAGING
    for name in names & set(known):
        if tree.children[name].types != ["any"] and known[name]:
            more = differences(tree.children[name], known[name], place + "." + name)
            table, types = table + more[0], types + more[1]
    return (table + [place + "." + name for name in names - set(known)],
            types + [place + "." + name for name in set(known) - names - PAGING])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_parameters_are_those_of_the_clients(clients, operation):
    for version, name in ((None, parameters.NEW), (LEGACY, parameters.OLD)):
        tree = parameters.TABLES.tree(name, operation)
        assert differences(tree, typed(clients[version], OPERATIONS[operation]), "") == ([], []), version


@pytest.mark.parametrize("operation", BY_HAND)
def test_what_was_written_by_hand_is_known_to_a_client(clients, operation):
    tree = parameters.TABLES.tree(parameters.NEW, operation)
    alone = [set(differences(tree, typed(types, BY_HAND[operation]), "")[0]) for types in clients.values()]
    assert alone[0] & alone[1] == set()
