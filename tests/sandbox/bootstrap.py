"""Meters, prices, customers and subscriptions in bulk, through the code that the API runs; what is there
already is kept, so that it may be repeated. Of a tenant two events are told: that it is there, and what it has."""
from . import customers, meters, prices, products, subscriptions

PRODUCT = "prod_sandbox"
TOLD = ("customer.created", "customer.subscription.created")    # of a tenant; not its card, nor the invoice of 0
PAYS = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}


class LegacyCall:
    """What asks for prices that count usage records: newer versions do not have them."""
    version, request_id, idempotency_key = "2024-06-20", None, None


def run(world, given):
    by_name = {}
    for spec in given.get("meters", ()):
        by_name[spec["event_name"]] = meter_of(world, spec)
    for number in range(int(given.get("other_products", 0))):
        other_product(world, number)
    items = [{"price": flat_price(world, given.get("price_lookup_key") or "sandbox_base")["id"]}]
    items += [{"price": metered_price(world, meter)["id"]} for meter in by_name.values()]
    items += [{"price": legacy_price(world, metric)["id"]} for metric in given.get("legacy", ())]
    known = {c["metadata"].get("tenant"): c for c in world.of("customer")}
    found = {}
    for tenant in given.get("tenants", ()):
        with world.events.only(TOLD):
            found[tenant] = tenant_of(world, tenant, known.get(tenant), items, given)
    return {"meters": {name: meter["id"] for name, meter in by_name.items()},
            "prices": [item["price"] for item in items], "tenants": found}


def meter_of(world, spec):
    meter = world.meters_by_event_name.get(spec["event_name"])
    if meter:
        return meter
    params = {"display_name": spec.get("display_name", spec["event_name"]),
              "event_name": spec["event_name"],
              "default_aggregation": {"formula": spec.get("formula", "sum")}}
    if spec.get("event_time_window"):
        params["event_time_window"] = spec["event_time_window"]
    return meters.add(world, None, params)


def product_of(world):
    if not world.of("product").find(PRODUCT):
        products.add(world, None, {"id": PRODUCT, "name": "Sandbox"})
    return PRODUCT


def other_product(world, number):
    """One of an account that sells other things as well, with prices of its own."""
    id = "prod_other_%d" % number
    if not world.of("product").find(id):
        products.add(world, None, {"id": id, "name": "Other %d" % number})
        for interval in ("month", "year"):
            prices.add(world, None, {"currency": "usd", "unit_amount": 100 + number, "product": id,
                                     "lookup_key": "other_%d_%s" % (number, interval),
                                     "recurring": {"interval": interval}})


def flat_price(world, lookup_key):
    return world.lookup_keys.get(lookup_key) or prices.add(world, None, {
        "currency": "usd", "unit_amount": 0, "product": product_of(world),
        "lookup_key": lookup_key, "recurring": {"interval": "month"}})


def metered_price(world, meter):
    for price in world.of("price"):
        if price["active"] and (price["recurring"] or {}).get("meter") == meter["id"]:
            return price
    return prices.add(world, None, {
        "currency": "usd", "unit_amount": 1, "product": product_of(world),
        "recurring": {"interval": "month", "usage_type": "metered", "meter": meter["id"]}})


def legacy_price(world, metric):
    """A sum of usage records; its metadata name the metric."""
    for price in world.of("price"):
        if price["active"] and price["metadata"].get("metric") == metric:
            return price
    return prices.add(world, LegacyCall, {
        "currency": "usd", "unit_amount": 1, "product": product_of(world),
        "metadata": {"metric": metric}, "recurring": {"interval": "month", "usage_type": "metered"}})


def tenant_of(world, tenant, customer, items, given):
    if customer is None:
        customer = customers.add(world, None, {"name": tenant, "metadata": {"tenant": tenant}, **PAYS})
    subs = [s for s in world.subscriptions_by_customer[customer["id"]] if s["status"] != "canceled"]
    if not subs:
        params = {"customer": customer["id"], "items": items, "metadata": {"tenant": tenant}}
        if given.get("backdate_start_date"):
            params["backdate_start_date"] = int(given["backdate_start_date"])
        subs = [subscriptions.add(world, LegacyCall if given.get("legacy") else None, params)]
    return {"customer": customer["id"], "subscription": subs[0]["id"]}
