"""Subscription items: the same objects that subscriptions hold."""
from . import params as p
from . import subscriptions
from .errors import StripeError
from .store import page

FIELDS = {"price", "quantity", "metadata", "proration_behavior", "payment_behavior", "tax_rates",
          "discounts", "proration_date", "off_session", "billing_thresholds"}


def create(world, call):
    params = call.params
    p.check(params, FIELDS | {"subscription"}, required=("subscription", "price"))
    sub = world.of("subscription").get(params["subscription"], "subscription")
    with world.events.update("customer.subscription.updated", sub, call):
        return subscriptions.add_item(world, call, sub, {
            name: params[name] for name in ("price", "quantity", "metadata") if name in params})


def find(world, id):
    item = world.of("subscription_item").get(id)
    subscriptions.roll(world, world.of("subscription").get(item["subscription"]))
    return item


def retrieve(world, call, id):
    return find(world, id)


def update(world, call, id):
    item = find(world, id)
    p.check(call.params, FIELDS)
    sub = world.of("subscription").get(item["subscription"])
    with world.events.update("customer.subscription.updated", sub, call):
        subscriptions.change_item(world, call, sub, {**call.params, "id": id})
    return item


def delete(world, call, id):
    item = world.of("subscription_item").get(id)
    sub = world.of("subscription").get(item["subscription"])
    if len(sub["items"]["data"]) == 1:
        raise StripeError(400, "A subscription must have at least one active plan.")
    with world.events.update("customer.subscription.updated", sub, call):
        subscriptions.change_item(world, call, sub, {"id": id, "deleted": "true"})
    return {"id": id, "object": "subscription_item", "deleted": True}


def list_all(world, call):
    p.check(call.params, {"subscription", "limit", "starting_after", "ending_before"},
            required=("subscription",))
    sub = world.of("subscription").get(call.params["subscription"], "subscription")
    subscriptions.roll(world, sub)
    return page(sub["items"]["data"][::-1], call.params, "/v1/subscription_items",
                "subscription_item")
