"""Webhook endpoints, whose secret is told once, and the events they receive."""
from . import events, versions
from . import params as p
from .errors import StripeError, missing

FIELDS = {"url", "enabled_events", "description", "metadata", "api_version", "connect", "disabled"}


def create(world, call):
    p.check(call.params, FIELDS - {"disabled"}, required=("url", "enabled_events"))
    endpoint = add(world, call.params)
    return {**endpoint, "secret": endpoint["_secrets"][0]}


def add(world, params, secret=None):
    check_url(params["url"])
    world.webhooks.prepare()
    return world.of("webhook_endpoint").add({
        "id": world.ids.new("we", 24), "object": "webhook_endpoint",
        "api_version": p.text(params, "api_version"), "application": None,
        "created": world.clock.now_s(), "description": p.text(params, "description"),
        "enabled_events": p.listed(params, "enabled_events"), "livemode": False,
        "metadata": p.metadata(params), "status": "enabled", "url": params["url"],
        "_secrets": [secret or world.ids.new("whsec", 32)]})


def check_url(url):
    if not url.startswith(("http://", "https://")):
        raise StripeError(400, "Invalid URL: An explicit scheme (such as https) must be provided.",
                          code="url_invalid", param="url")


def roll_secret(world, id):
    """A new secret in front; the old one still signs, as it does for a day after a roll."""
    endpoint = world.of("webhook_endpoint").get(id)
    endpoint["_secrets"] = [world.ids.new("whsec", 32), endpoint["_secrets"][0]]
    return endpoint["_secrets"][0]


def retrieve(world, call, id):
    return world.of("webhook_endpoint").get(id)


def update(world, call, id):
    endpoint = world.of("webhook_endpoint").get(id)
    p.check(call.params, FIELDS - {"api_version", "connect"})
    if call.params.get("url"):
        check_url(call.params["url"])
        endpoint["url"] = call.params["url"]
    if "enabled_events" in call.params:
        endpoint["enabled_events"] = p.listed(call.params, "enabled_events")
    endpoint["metadata"] = p.metadata(call.params, endpoint["metadata"])
    p.copy_texts(endpoint, call.params, ("description",))
    if "disabled" in call.params:
        endpoint["status"] = "disabled" if p.boolean(call.params, "disabled") else "enabled"
    return endpoint


def delete(world, call, id):
    world.of("webhook_endpoint").get(id)["_deleted"] = True
    world.of("webhook_endpoint").remove(id)
    return {"id": id, "object": "webhook_endpoint", "deleted": True}


def list_all(world, call):
    return world.of("webhook_endpoint").page(call.params, "/v1/webhook_endpoints")


KEPT_S = 30 * 86400         # api/events/list: "going back up to 30 days"


def is_kept(world, event):
    return event["created"] > world.clock.now_s() - KEPT_S


def list_events(world, call):
    params = call.params
    p.check(params, {"created", "delivery_success", "ending_before", "limit", "starting_after", "type", "types"})
    if "type" in params and "types" in params:
        raise StripeError(400, "You may pass either type or types, but not both.", param="types")
    types = p.listed(params, "types") or ([params["type"]] if params.get("type") else [])
    success = params.get("delivery_success")

    def keep(event):
        return is_kept(world, event) and (not types or any(matches(event["type"], wanted) for wanted in types)) \
            and (success is None or (event["pending_webhooks"] == 0) == p.boolean(params, "delivery_success"))
    found = world.events.snapshots.page(params, "/v1/events", keep)
    found["data"] = [events.shape(event, versions.CURRENT) for event in found["data"]]
    return versions.Shown(found)


def matches(type, wanted):
    """customer.subscription.* stands for all types below it."""
    return type == wanted or (wanted.endswith("*") and type.startswith(wanted[:-1]))


def retrieve_event(world, call, id):
    event = world.events.snapshots.get(id)
    if not is_kept(world, event):
        raise missing("event", id)
    return versions.Shown(events.shape(event, versions.CURRENT))


def retrieve_thin_event(world, call, id):
    return versions.Shown(events.thin_shape(world.events.thin.get(id), with_data=True))
