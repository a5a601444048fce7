"""The items of a subscription: what may be on it, and how a request changes them."""
from .. import params as p
from .. import prices, versions
from ..billing import discounts, taxes
from ..billing.lines import is_metered
from ..errors import StripeError, missing_param

MOST, MOST_FLEXIBLE = 20, 100
MORE_SINCE = "2026-08"      # the release that lifted the limit of flexible subscriptions
NO_QUANTITY = "You cannot set the quantity for metered plans."


def read_price(world, call, sub, given, name):
    if given.get("price_data"):
        data = p.group(given, "price_data")
        price = prices.add(world, call, {**data, "lookup_key": ""})
    else:
        id = given.get("price") or given.get("plan")
        if not id:
            raise missing_param(name + "[price]")
        price = world.of("price").get(id, name + "[price]")
    check_price(call, price, sub, name)
    return price


def check_price(call, price, sub, name):
    param = name + "[price]"
    if price["recurring"] is None:
        raise StripeError(400, "The price specified is set to `type=one_time` but this field only "
                          "accepts prices with `type=recurring`.", param=param)
    if not price["active"]:
        raise StripeError(400, "The price specified is inactive. This field only accepts active "
                          "prices.", param=param)
    recurring = price["recurring"]
    by_records = recurring["usage_type"] == "metered" and not recurring["meter"]
    if by_records and not versions.is_legacy(call.version if call else None):
        raise StripeError(400, "Legacy metered prices cannot be added to subscriptions in this API "
                          "version: use a price that is backed by a meter.", param=param)
    if sub["currency"] not in (None, price["currency"]):
        raise StripeError(400, "The price specified supports currencies of `%s`, but `%s` is expected."
                          % (price["currency"], sub["currency"]), param=param)


def blank(world, sub, price, metadata=(), rates=()):
    return {"id": world.ids.new("si"), "object": "subscription_item", "billed_until": None,
            "billing_thresholds": None, "created": world.clock.now_s(), "current_period_start": None,
            "current_period_end": None, "current_trial": None, "discounts": [], "metadata": dict(metadata),
            "price": price, "subscription": sub["id"], "tax_rates": list(rates),
            "_usage_from": world.clock.now_s()}


def add(world, call, sub, given, name):
    price = read_price(world, call, sub, given, name)
    item = blank(world, sub, price, p.metadata(given), taxes.read_rates(world, given, "tax_rates", name))
    set_quantity(item, given, name)
    sub["items"]["data"].append(item)
    sub["currency"] = price["currency"]
    return item


def set_quantity(item, given, name):
    """A metered item has none; a new price begins with one."""
    if is_metered(item):
        if given.get("quantity") not in (None, ""):
            raise StripeError(400, NO_QUANTITY, param=name + "[quantity]")
        item.pop("quantity", None)
        return
    default = 1 if given.get("price") or given.get("price_data") else item.get("quantity", 1)
    quantity = p.integer(given, "quantity", default, name + "[quantity]")
    if not 0 <= quantity < 1_000_000_000:
        raise StripeError(400, "This value must be greater than or equal to 0." if quantity < 0 else
                          "Quantity is too large.", param=name + "[quantity]",
                          code="parameter_invalid_integer")
    item["quantity"] = quantity


def change(world, call, sub, given, name):
    """{id, price} replaces, {id, deleted} removes, {price} alone adds."""
    if not given.get("id"):
        add(world, call, sub, given, name)
        return
    item = next((i for i in sub["items"]["data"] if i["id"] == given["id"]), None)
    if item is None:
        raise StripeError(400, "No such subscription item: '%s'" % given["id"], code="resource_missing",
                          param=name + "[id]")
    if p.boolean(given, "deleted"):
        sub["items"]["data"].remove(item)
        return
    if given.get("price") or given.get("price_data") or given.get("plan"):
        price = read_price(world, call, sub, given, name)
        if price is not item["price"]:
            item["_usage_from"] = world.clock.now_s()
        item["price"] = price
    set_quantity(item, given, name)
    item["metadata"] = p.metadata(given, item["metadata"])
    if "tax_rates" in given:
        item["tax_rates"] = taxes.read_rates(world, given, "tax_rates", name)


def apply(world, call, sub, given_items):
    for i, given in enumerate(given_items):
        if not isinstance(given, dict):
            raise StripeError(400, "Invalid object", param="items[%d]" % i)
        change(world, call, sub, given, "items[%d]" % i)
    check_all(call, sub)


def check_all(call, sub):
    """What holds of all items together."""
    found, flexible = sub["items"]["data"], sub["billing_mode"]["type"] == "flexible"
    if not found:
        raise StripeError(400, "A subscription must have at least one active plan.", param="items")
    version = (call.version if call else None) or versions.CURRENT
    most = MOST_FLEXIBLE if flexible and version >= MORE_SINCE else MOST
    if len(found) > most:
        raise StripeError(400, "A subscription can have at most %d items." % most, param="items")
    prices_of = [item["price"]["id"] for item in found]
    for i, id in enumerate(prices_of):
        if id in prices_of[:i]:
            raise StripeError(400, "Cannot add multiple subscription items with the same plan: %s" % id,
                              param="items[%d][price]" % i)
    if not flexible and len({interval_of(item) for item in found}) > 1:
        raise StripeError(400, "Currently, all subscription items must have the same billing interval. If "
                          "you have multiple billing intervals for a customer, use several subscriptions.",
                          param="items")


def interval_of(item):
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def discounts_of(world, sub, at):
    return discounts.having(world, sub, at)
