"""Checkout sessions: the hosted page of a subscription, a payment or a card that is saved. Nothing is made
before the page is completed."""
from .. import params as p
from ..billing import amounts, bills, discounts, lines, money, taxes
from ..errors import StripeError, missing_param
from ..payments import intents, methods, setup_intents
from ..subscriptions import items as rules
from ..subscriptions import times

HOUR_S, DAY_S = 3600, 86400
MODES = ("payment", "setup", "subscription")
METERED_QUANTITY = ("Quantity should not be specified where usage_type is `metered`. Remove quantity from "
                    "`line_items[%d]`")
MOST = 20
NEW_WORDS = {"hosted": "hosted_page", "embedded": "embedded_page", "custom": "elements"}    # of ui_mode


def create(world, call):
    params, now = call.params, world.clock.now_s()
    mode = p.one_of(params, "mode", MODES)
    if mode is None:
        raise missing_param("mode")
    embedded = params.get("ui_mode") not in (None, "hosted", "hosted_page")
    if not params.get("success_url") and not embedded:
        raise missing_param("success_url")
    customer = params.get("customer") and world.of("customer").get(params["customer"], "customer")
    found = read_lines(world, params, mode)
    check_subscription(call, params, mode, found, now)
    id = "cs_test_" + world.ids.new("a1", 56)[3:]
    session = world.of("checkout.session").add(blank(world, call, id, mode, customer, params, now))
    session.update(_lines=found, _params=dict(params))
    price(world, session)
    world.agenda.add(session["expires_at"], "session", id)
    return session


def read_lines(world, params, mode):
    """[(price, quantity or None)]"""
    found = []
    for i, given in enumerate(p.listed(params, "line_items")):
        name = "line_items[%d]" % i
        if given.get("price_data"):
            from .. import prices
            price_of = prices.add(world, None, {**p.group(given, "price_data"), "lookup_key": ""})
        else:
            price_of = world.of("price").get(given.get("price"), name + "[price]")
        if not price_of["active"]:
            raise StripeError(400, "The price specified is inactive. This field only accepts active prices.",
                              param=name + "[price]")
        recurring = price_of["recurring"]
        if recurring and mode != "subscription":
            raise StripeError(400, "You specified `%s` mode but passed a recurring price. Either switch to "
                              "`subscription` mode or use only one-time prices." % mode, param="mode")
        metered = bool(recurring) and recurring["usage_type"] == "metered"
        if metered and given.get("quantity"):
            raise StripeError(400, METERED_QUANTITY % i, param=name + "[quantity]")
        quantity = p.integer(given, "quantity", None, name + "[quantity]")
        if not metered and quantity is None:
            raise StripeError(400, "Quantity is required. Add `quantity` to `%s`" % name, param=name)
        found.append((price_of, None if metered else quantity, taxes.read_rates(world, given, "tax_rates", name)))
    if not found and mode != "setup":
        raise missing_param("line_items")
    return found


def check_subscription(call, params, mode, found, now):
    if len({price_of["currency"] for price_of, _, _ in found}) > 1:
        raise StripeError(400, "All prices of a Checkout Session must have the same currency.", param="line_items")
    if mode != "subscription":
        if params.get("subscription_data"):
            raise StripeError(400, "You can not pass `subscription_data` in `%s` mode." % mode,
                              param="subscription_data")
        return
    recurring = [price_of for price_of, _, _ in found if price_of["recurring"]]
    if not recurring:
        raise StripeError(400, "You must provide at least one recurring price in `subscription` mode when using "
                          "prices.", param="line_items")
    if len(recurring) > MOST or len(found) - len(recurring) > MOST:
        raise StripeError(400, "A Checkout Session takes at most 20 recurring and 20 one-time prices.",
                          param="line_items")
    data = p.group(params, "subscription_data")
    times.read_trial_end({k: v for k, v in data.items() if k == "trial_period_days"}, now)
    end = p.integer(data, "trial_end")
    if end is not None and end < now + 2 * DAY_S:
        raise StripeError(400, "The `trial_end` date has to be at least 2 days in the future.",
                          param="subscription_data[trial_end]")
    from ..subscriptions import fields
    if fields.read_mode(call, data)["type"] == "classic" and len(
            {rules.interval_of({"price": price_of}) for price_of in recurring}) > 1:
        raise StripeError(400, "Checkout Sessions do not support multiple prices with different billing intervals.",
                          param="line_items")


def blank(world, call, id, mode, customer, params, now):
    expires = p.integer(params, "expires_at", now + DAY_S)
    if not now + HOUR_S // 2 <= expires <= now + DAY_S + 60:
        raise StripeError(400, "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from "
                          "Checkout Session creation.", param="expires_at")
    page = params.get("ui_mode") in (None, "hosted", "hosted_page")
    return {
        "id": id, "object": "checkout.session", "adaptive_pricing": {"enabled": False},
        "after_expiration": None, "allowed_payment_method_types": None,
        "allow_promotion_codes": p.boolean(params, "allow_promotion_codes", None),
        "amount_subtotal": None, "amount_total": None,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"), "client_reference_id": params.get("client_reference_id"),
        "client_secret": None, "collected_information": None, "consent": None, "consent_collection": None,
        "created": now, "currency": None, "currency_conversion": None, "custom_fields": [],
        "custom_text": {"after_submit": None, "shipping_address": None, "submit": None,
                        "terms_of_service_acceptance": None},
        "customer": customer["id"] if customer else None, "customer_account": None,
        "customer_creation": None if mode != "payment" else params.get("customer_creation") or "if_required",
        "customer_details": None,
        "customer_email": params.get("customer_email"), "discounts": [], "expires_at": expires,
        "integration_identifier": None, "invoice": None, "invoice_creation": None, "livemode": False,
        "locale": params.get("locale"),
        "managed_payments": None,
        "metadata": p.metadata(params), "mode": mode, "origin_context": None,
        "payment_intent": None, "payment_link": None,
        "payment_method_collection": params.get("payment_method_collection") or "always",
        "payment_method_configuration_details": None, "payment_method_options": {},
        "payment_method_types": ["card"], "payment_status": "unpaid", "permissions": None,
        "phone_number_collection": {"enabled": False}, "recovered_from": None,
        "saved_payment_method_options": None, "setup_intent": None, "shipping_address_collection": None,
        "shipping_cost": None, "shipping_options": [], "status": "open", "submit_type": None,
        "subscription": None, "success_url": params.get("success_url"),
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": NEW_WORDS.get(params.get("ui_mode"), params.get("ui_mode") or "hosted_page"),
        "url": world.url_of(call) + "/_pages/checkout/" + id if page else None,
        "wallet_options": None, "_version": call.version}


def price(world, session):
    """What the page asks for, by the same computation as the invoice."""
    found, params = session["_lines"], session["_params"]
    if not found:
        session["payment_status"] = "no_payment_required"
        return
    currency, now = found[0][0]["currency"], world.clock.now_s()
    customer = {"id": None, "address": None, "email": None, "name": None, "phone": None, "shipping": None,
                "tax_exempt": "none", "balance": 0}
    having = discounts.read(world, params, currency, None, None) or []
    data = p.group(params, "subscription_data")
    rates = taxes.read_rates(world, data, "default_tax_rates", "subscription_data[default_tax_rates]")
    trial = session["mode"] == "subscription" and (data.get("trial_period_days") or data.get("trial_end"))
    made = [lines.line(
        world, 0 if trial and price_of["recurring"] else money.rounded(
            amounts.total(price_of, quantity) if quantity is not None else 0, currency),
        currency, lines.title_of(world, price_of), (now, now), quantity, price_of,
        price_of["unit_amount_decimal"], rates=own) for price_of, quantity, own in found]
    bill = bills.fill(world, bills.blank(world, customer, currency, "manual", (now, now), rates=rates,
                                         discounts=having), made, customer)
    session.update(
        currency=currency, amount_subtotal=bill["subtotal"], amount_total=bill["total"],
        discounts=[{"coupon": d["_coupon"]["id"], "promotion_code": None} for d in having], _bill=bill)
    session["total_details"] = {
        "amount_discount": sum(d["amount"] for d in bill["total_discount_amounts"]), "amount_shipping": 0,
        "amount_tax": sum(tax["amount"] for tax in bill["total_taxes"])}


def needs_card(session):
    if session["mode"] == "setup" or session["amount_total"]:
        return True
    return session["mode"] == "subscription" and session["payment_method_collection"] == "always"


def retrieve(world, call, id):
    return world.of("checkout.session").get(id)


def update(world, call, id):
    session = world.of("checkout.session").get(id)
    session["metadata"] = p.metadata(call.params, session["metadata"])
    return session


def list_all(world, call):
    wanted = {name: call.params[name] for name in ("customer", "subscription", "status", "payment_intent")
              if call.params.get(name)}
    return world.of("checkout.session").page(call.params, "/v1/checkout/sessions", lambda session: all(
        session[name] == value for name, value in wanted.items()))


def list_line_items(world, call, id):
    from ..store import page
    session = world.of("checkout.session").get(id)
    found = [{"id": line["id"].replace("il_", "li_"), "object": "item", "amount_discount": sum(
        d["amount"] for d in line["discount_amounts"]), "amount_subtotal": line["amount"],
        "amount_tax": sum(tax["amount"] for tax in line["taxes"]), "amount_total": line["amount"],
        "currency": line["currency"], "description": line["description"], "price": line["_price"],
        "quantity": line["quantity"]} for line in session["_bill"]["lines"]["data"]] if session["_lines"] else []
    return page(found[::-1], call.params, "/v1/checkout/sessions/%s/line_items" % id, "item")


def expire(world, call, id):
    session = world.of("checkout.session").get(id)
    if session["status"] != "open":
        raise StripeError(400, "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout "
                          "Session has a status of %s." % session["status"])
    close(world, call, session, "expired")
    return session


def close(world, call, session, status):
    session["status"], session["url"] = status, None
    world.events.record("checkout.session." + ("expired" if status == "expired" else "completed"), session, call)


def expire_due(world, session):
    if session["status"] == "open" and session["expires_at"] <= world.clock.now_s():
        close(world, None, session, "expired")


def complete(world, session, method, email=None, authenticated=False):
    """What the page's button does -> "ok", or why not: "authenticate" or a decline code."""
    due = session["amount_total"] or 0
    if method is not None:
        outcome = outcome_of(method, due, authenticated)
        if outcome != "ok":
            return outcome
        method["_set_up"] = method["_set_up"] or authenticated
        method["_holder_is_here"] = authenticated
    customer = customer_of(world, session, email)
    {"subscription": make_subscription, "payment": make_payment, "setup": make_setup}[session["mode"]](
        world, session, customer, method)
    if method is not None:
        method["_holder_is_here"] = False
    session["customer_details"] = {
        "address": None, "business_name": None, "email": email or session["customer_email"] or (
            customer["email"] if customer else None), "individual_name": None, "name": None, "phone": None,
        "tax_exempt": "none", "tax_ids": []}
    session["payment_status"] = "paid" if due else "no_payment_required"
    close(world, None, session, "complete")
    return "ok"


def outcome_of(method, due, authenticated):
    """A card that is only saved may fail later, but not be refused now, nor go without its holder."""
    refused = methods.card_of(method).attach
    outcome = refused if refused != "ok" else intents.outcome_of(method, authenticated)
    return outcome if due or outcome in ("authenticate", refused) else "ok"


def customer_of(world, session, email):
    from .. import customers
    if session["customer"]:
        return world.of("customer").get(session["customer"])
    if session["mode"] == "payment" and session["customer_creation"] != "always":
        return None
    customer = customers.add(world, None, {"email": email or session["customer_email"] or "buyer@example.com"})
    session["customer"] = customer["id"]
    return customer


def make_subscription(world, session, customer, method):
    from .. import subscriptions
    params = session["_params"]
    data = dict(p.group(params, "subscription_data"))
    once = [(price_of, quantity) for price_of, quantity, _ in session["_lines"] if not price_of["recurring"]]
    given = {**data, "customer": customer["id"], "items": [
        {"price": price_of["id"], **({} if quantity is None else {"quantity": quantity}),
         **({"tax_rates": [rate["id"] for rate in own]} if own else {})}
        for price_of, quantity, own in session["_lines"] if price_of["recurring"]]}
    if once:
        given["add_invoice_items"] = [{"price": price_of["id"], "quantity": quantity} for price_of, quantity in once]
    if params.get("discounts"):
        given["discounts"] = params["discounts"]
    if method is not None:
        methods.attach_to(world, None, method, customer)
        given["default_payment_method"] = method["id"]
    sub = subscriptions.add(world, Caller(session["_version"]), given)
    session["subscription"], session["invoice"] = sub["id"], sub["latest_invoice"]


class Caller:
    """Who makes what a page makes: nobody, but in the version of the session."""
    request_id = idempotency_key = None

    def __init__(self, version):
        self.version, self.headers = version, {}


def make_payment(world, session, customer, method):
    intent = intents.add(world, None, session["amount_total"], session["currency"],
                         customer["id"] if customer else None,
                         p.group(session["_params"], "payment_intent_data"))
    session["payment_intent"] = intent["id"]
    if customer and method["customer"] is None:
        methods.attach_to(world, None, method, customer)
    intents.try_to_pay(world, None, intent, method)


def make_setup(world, session, customer, method):
    intent = setup_intents.add(world, None, {"customer": customer["id"]})
    intent["payment_method"] = method["id"]
    session["setup_intent"] = intent["id"]
    setup_intents.succeed(world, None, intent, method)
