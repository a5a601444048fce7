"""Subscription items: the same objects that subscriptions hold, and one by one the same changes."""
from . import subscriptions
from .errors import StripeError, missing_param
from .store import page

OF_ITEM = ("price", "plan", "price_data", "quantity", "metadata", "tax_rates", "discounts", "clear_usage",
           "billing_thresholds")


def parted(params):
    """(what is said of the item, what of the change)"""
    item = {name: params[name] for name in OF_ITEM if name in params}
    return item, {name: value for name, value in params.items()
                  if name not in OF_ITEM and name != "subscription"}


def create(world, call):
    if not call.params.get("price") and not call.params.get("price_data") and not call.params.get("plan"):
        raise missing_param("price")
    sub = world.of("subscription").get(call.params["subscription"], "subscription")
    known = {item["id"] for item in sub["items"]["data"]}
    item, rest = parted(call.params)
    change(world, call, sub, rest, item)
    made = [item for item in sub["items"]["data"] if item["id"] not in known]
    if not made:        # it waits until somebody pays
        raise StripeError(402, "The item is added when the invoice %s is paid." % sub["latest_invoice"],
                          type="card_error", code="card_declined", began=True)
    return made[0]


def change(world, call, sub, rest, item):
    subscriptions.check_changeable(sub, {**rest, "items": [item]})
    subscriptions.change_by(world, call, sub, rest, [item])


def retrieve(world, call, id):
    return world.of("subscription_item").get(id)


def update(world, call, id):
    found = world.of("subscription_item").get(id)
    item, rest = parted(call.params)
    change(world, call, world.of("subscription").get(found["subscription"]), rest, {**item, "id": id})
    return found


def delete(world, call, id):
    sub = world.of("subscription").get(world.of("subscription_item").get(id)["subscription"])
    if len(sub["items"]["data"]) == 1:
        raise StripeError(400, "A subscription must have at least one active plan.")
    change(world, call, sub, parted(call.params)[1], {"id": id, "deleted": True})
    return {"id": id, "object": "subscription_item", "deleted": True}


def list_all(world, call):
    if not call.params.get("subscription"):
        raise missing_param("subscription")
    sub = world.of("subscription").get(call.params["subscription"], "subscription")
    return page(sub["items"]["data"][::-1], call.params, "/v1/subscription_items", "subscription_item")
