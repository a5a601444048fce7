"""Prices: amounts never change, so a new amount is a new price that takes over the lookup key."""
from decimal import Decimal, InvalidOperation

from . import params as p
from . import products, versions
from .errors import StripeError, missing_param

FIELDS = {"currency", "unit_amount", "unit_amount_decimal", "product", "product_data", "recurring",
          "tiers", "tiers_mode", "billing_scheme", "lookup_key", "transfer_lookup_key", "nickname",
          "metadata", "active", "tax_behavior", "transform_quantity", "custom_unit_amount",
          "currency_options"}
UPDATABLE = {"active", "lookup_key", "transfer_lookup_key", "nickname", "metadata", "tax_behavior",
             "currency_options"}
INTERVALS = ("day", "week", "month", "year")


def create(world, call):
    p.check(call.params, FIELDS, required=("currency",))
    return add(world, call, call.params)


def add(world, call, params):
    recurring = read_recurring(world, call, params)
    tiered = p.one_of(params, "billing_scheme", ("per_unit", "tiered"), "per_unit") == "tiered"
    minor, exact = (None, None) if tiered else read_amount(params, "unit_amount", required=True)
    tiers = read_tiers(params) if tiered else None
    if tiered and not params.get("tiers_mode"):
        raise missing_param("tiers_mode")
    currency = p.text(params, "currency", most=3)
    price = {
        "id": world.ids.new("price", 24), "object": "price",
        "active": p.boolean(params, "active", True),
        "billing_scheme": "tiered" if tiered else "per_unit", "created": world.clock.now_s(),
        "currency": currency.lower(), "custom_unit_amount": None, "livemode": False,
        "lookup_key": None, "metadata": p.metadata(params),
        "nickname": p.text(params, "nickname"), "product": product_of(world, call, params),
        "recurring": recurring,
        "tax_behavior": p.one_of(params, "tax_behavior", ("inclusive", "exclusive", "unspecified"),
                                 "unspecified"),
        "tiers": tiers,
        "tiers_mode": p.one_of(params, "tiers_mode", ("graduated", "volume")),
        "transform_quantity": read_transform(params),
        "type": "recurring" if recurring else "one_time",
        "unit_amount": minor, "unit_amount_decimal": exact}
    take_lookup_key(world, price, params)
    world.of("price").add(price)
    world.events.record("price.created", price, call)
    return price


def product_of(world, call, params):
    data = p.group(params, "product_data")
    if data:
        return products.add(world, call, data)["id"]
    if not params.get("product"):
        raise missing_param("product")
    return world.of("product").get(params["product"], "product")["id"]


def read_recurring(world, call, params):
    given = p.group(params, "recurring")
    if not given:
        return None
    p.check(given, {"interval", "interval_count", "usage_type", "meter", "aggregate_usage",
                    "trial_period_days"})
    if not given.get("interval"):
        raise missing_param("recurring[interval]")
    recurring = {
        "interval": p.one_of(given, "interval", INTERVALS, shown="recurring[interval]"),
        "interval_count": p.integer(given, "interval_count", 1, "recurring[interval_count]"),
        "meter": given.get("meter") or None,
        "aggregate_usage": p.one_of(given, "aggregate_usage",
                                    ("last_during_period", "last_ever", "max", "sum"),
                                    shown="recurring[aggregate_usage]"),
        "trial_period_days": p.integer(given, "trial_period_days"),
        "usage_type": p.one_of(given, "usage_type", ("licensed", "metered"), "licensed",
                               "recurring[usage_type]")}
    check_metered(world, call, recurring)
    return recurring


def check_metered(world, call, recurring):
    """Metered prices have a meter, or, up to acacia, count usage records."""
    version = call.version if call else versions.CURRENT
    if recurring["aggregate_usage"] and not versions.is_legacy(version):
        raise StripeError(400, "Received unknown parameter: recurring[aggregate_usage]",
                          code="parameter_unknown", param="recurring[aggregate_usage]")
    if recurring["meter"]:
        world.of("billing.meter").get(recurring["meter"], "recurring[meter]")
        if recurring["usage_type"] != "metered":
            raise StripeError(400, "You can only set `meter` if `usage_type` is `metered`.",
                              param="recurring[meter]")
    elif recurring["usage_type"] == "metered":
        if not versions.is_legacy(version):
            raise StripeError(400, "Metered prices must be backed by a meter: pass "
                              "recurring[meter].", param="recurring[meter]")
        recurring["aggregate_usage"] = recurring["aggregate_usage"] or "sum"


def read_amount(params, name, shown=None, required=False):
    """(whole minor units or null, exact text) from NAME or NAME_decimal."""
    exact = params.get(name + "_decimal")
    if exact in (None, ""):
        minor = p.integer(params, name, shown=shown)
        if minor is None and required:
            raise missing_param(name)
        return minor, None if minor is None else str(minor)
    try:
        value = Decimal(exact)
        if not value.is_finite() or -value.as_tuple().exponent > 12:
            raise InvalidOperation
    except InvalidOperation:
        raise StripeError(400, "Invalid decimal: %s" % exact, param=(shown or name) + "_decimal")
    whole = value == value.to_integral_value()
    return int(value) if whole else None, format(value.normalize(), "f")


def read_tiers(params):
    tiers = []
    for i, given in enumerate(p.listed(params, "tiers")):
        p.check(given, {"up_to", "unit_amount", "unit_amount_decimal", "flat_amount",
                        "flat_amount_decimal"})
        name = "tiers[%d]" % i
        up_to = given.get("up_to")
        unit, flat = (read_amount(given, x, "%s[%s]" % (name, x)) for x in
                      ("unit_amount", "flat_amount"))
        if unit[1] is None and flat[1] is None:
            raise missing_param(name + "[unit_amount]")
        tiers.append({"flat_amount": flat[0], "flat_amount_decimal": flat[1],
                      "unit_amount": unit[0], "unit_amount_decimal": unit[1],
                      "up_to": None if up_to == "inf" else p.integer(given, "up_to", shown=name)})
    bounds = [tier["up_to"] for tier in tiers]
    if not tiers:
        raise missing_param("tiers")
    if bounds[-1] is not None or None in bounds[:-1] or bounds[:-1] != sorted(set(bounds[:-1])):
        raise StripeError(400, "Tiers must have ascending `up_to`, and the last must be `inf`.",
                          param="tiers")
    return tiers


def read_transform(params):
    given = p.group(params, "transform_quantity")
    if not given:
        return None
    return {"divide_by": p.integer(given, "divide_by"),
            "round": p.one_of(given, "round", ("up", "down"))}


def take_lookup_key(world, price, params):
    if "lookup_key" not in params:
        return
    key = p.text(params, "lookup_key", most=200)
    holder = world.lookup_keys.get(key)
    if key and holder and holder is not price:
        if not p.boolean(params, "transfer_lookup_key"):
            raise StripeError(400, "A price (`%s`) already uses that lookup key." % holder["id"],
                              param="lookup_key")
        holder["lookup_key"] = None
    world.lookup_keys.pop(price["lookup_key"], None)
    price["lookup_key"] = key or None
    if key:
        world.lookup_keys[key] = price


def retrieve(world, call, id):
    return world.of("price").get(id)


def update(world, call, id):
    price = world.of("price").get(id)
    p.check(call.params, UPDATABLE)
    with world.events.update("price.updated", price, call):
        price["metadata"] = p.metadata(call.params, price["metadata"])
        price["active"] = p.boolean(call.params, "active", price["active"])
        p.copy_texts(price, call.params, ("nickname", "tax_behavior"))
        take_lookup_key(world, price, call.params)
    return price


def list_all(world, call):
    params = call.params
    keys, recurring = p.listed(params, "lookup_keys"), p.group(params, "recurring")
    if len(keys) > 10:
        raise StripeError(400, "You may only provide up to 10 lookup_keys.", param="lookup_keys")
    wanted = {name: params[name] for name in ("product", "currency", "type") if name in params}
    active = params.get("active")

    def keep(price):
        return (all(price[name] == value for name, value in wanted.items())
                and (active is None or price["active"] == p.boolean(params, "active"))
                and (not keys or price["lookup_key"] in keys)
                and all((price["recurring"] or {}).get(k) == v for k, v in recurring.items()))
    return world.of("price").page(params, "/v1/prices", keep)
