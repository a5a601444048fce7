"""Configurations of the customer portal. The first one is the default."""
from . import params as p
from .errors import StripeError

FIELDS = {"features", "business_profile", "default_return_url", "login_page", "metadata", "name"}
FEATURES = {
    "customer_update": {"enabled": False, "allowed_updates": []},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False},
    "subscription_cancel": {"enabled": False, "mode": "at_period_end", "proration_behavior": "none",
                            "cancellation_reason": {"enabled": False, "options": []}},
    "subscription_update": {"enabled": False, "default_allowed_updates": [], "products": [],
                            "proration_behavior": "none"},
}
PROFILE = ("headline", "privacy_policy_url", "terms_of_service_url")


def create(world, call):
    p.check(call.params, FIELDS, required=("features",))
    now = world.clock.now_s()
    known = world.of("billing_portal.configuration")
    configuration = {
        "id": world.ids.new("bpc", 24), "object": "billing_portal.configuration", "active": True,
        "application": None, "business_profile": dict.fromkeys(PROFILE), "created": now,
        "default_return_url": None,
        "features": {name: {**feature} for name, feature in FEATURES.items()},
        "is_default": not len(known), "livemode": False, "login_page": {"enabled": False, "url": None},
        "metadata": p.metadata(call.params), "updated": now}
    apply(configuration, call.params)
    known.add(configuration)
    world.events.record("billing_portal.configuration.created", configuration, call)
    return configuration


def apply(configuration, params):
    for name, given in p.group(params, "features").items():
        if name not in FEATURES:
            raise StripeError(400, "Received unknown parameter: features[%s]" % name,
                              code="parameter_unknown", param="features[%s]" % name)
        merge(configuration["features"][name], given)
    merge(configuration["business_profile"], p.group(params, "business_profile"))
    p.copy_texts(configuration, params, ("default_return_url",))


def merge(shown, given):
    for name, value in given.items():
        if isinstance(value, dict):
            shown[name] = dict(shown.get(name) or {})
            merge(shown[name], value)
        elif value in ("true", "false"):
            shown[name] = value == "true"
        elif value == "":
            shown[name] = [] if isinstance(shown.get(name), list) else None
        else:
            shown[name] = value


def retrieve(world, call, id):
    return world.of("billing_portal.configuration").get(id)


def update(world, call, id):
    configuration = world.of("billing_portal.configuration").get(id)
    p.check(call.params, FIELDS | {"active"})
    with world.events.update("billing_portal.configuration.updated", configuration, call):
        configuration["metadata"] = p.metadata(call.params, configuration["metadata"])
        configuration["active"] = p.boolean(call.params, "active", configuration["active"])
        apply(configuration, call.params)
        configuration["updated"] = world.clock.now_s()
    return configuration


def list_all(world, call):
    wanted = {name: call.params[name] == "true" for name in ("active", "is_default")
              if name in call.params}

    def keep(configuration):
        return all(configuration[name] == value for name, value in wanted.items())
    return world.of("billing_portal.configuration").page(
        call.params, "/v1/billing_portal/configurations", keep)
