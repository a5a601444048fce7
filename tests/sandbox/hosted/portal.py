"""The customer portal: its configurations, and sessions whose page changes the card, shows invoices and cancels."""
from .. import params as p
from ..errors import StripeError, missing_param

FEATURES = ("customer_update", "invoice_history", "payment_method_update", "subscription_cancel",
            "subscription_update")
FLOWS = {"payment_method_update": "payment_method_update", "subscription_cancel": "subscription_cancel",
         "subscription_update": "subscription_update", "subscription_update_confirm": "subscription_update"}
NO_DEFAULT = ("No configuration provided and your test mode default configuration has not been created. Provide a "
              "configuration or create your default by saving your customer portal settings in test mode at "
              "https://dashboard.stripe.com/test/settings/billing/portal.")


def merge(shown, given):
    """Take over what is given, all the way down; the rest stays."""
    for name, value in truth(given).items():
        if isinstance(value, dict):
            shown[name] = dict(shown.get(name) or {})
            merge(shown[name], value)
        else:
            shown[name] = [] if value is None and isinstance(shown.get(name), list) else value


def truth(value):
    """Words of a form as JSON has them, all the way down."""
    if isinstance(value, dict):
        return {key: truth(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [truth(inner) for inner in value]
    return {"true": True, "True": True, "false": False, "False": False, "": None}.get(value, value)


def blank_features():
    return {
        "customer_update": {"allowed_updates": [], "enabled": False}, "invoice_history": {"enabled": False},
        "payment_method_update": {"enabled": False, "payment_method_configuration": None},
        "subscription_cancel": {"cancellation_reason": {"enabled": False, "feedback_options": [], "options": []},
                                "enabled": False, "mode": "at_period_end", "proration_behavior": "none"},
        "subscription_pause": {"duration": {"interval_options": [], "type": "indefinite"}, "enabled": False},
        "subscription_update": {"billing_cycle_anchor": None, "default_allowed_updates": [], "enabled": False,
                                "products": None, "proration_behavior": "none",
                                "schedule_at_period_end": {"conditions": []},
                                "trial_update_behavior": "end_trial"}}


def create_configuration(world, call):
    params, now = call.params, world.clock.now_s()
    if not params.get("features"):
        raise missing_param("features")
    profile = p.group(params, "business_profile")
    configuration = {
        "id": world.ids.new("bpc", 24), "object": "billing_portal.configuration", "active": True,
        "application": None, "business_profile": {
            name: profile.get(name) or None for name in ("headline", "privacy_policy_url", "terms_of_service_url")},
        "created": now, "default_return_url": params.get("default_return_url") or None,
        "features": blank_features(), "is_default": len(world.of("billing_portal.configuration")) == 0,
        "livemode": False, "login_page": {"enabled": False, "url": None}, "metadata": p.metadata(params),
        "name": p.text(params, "name"), "updated": now}
    set_features(configuration, params)
    world.of("billing_portal.configuration").add(configuration)
    world.events.record("billing_portal.configuration.created", configuration, call)
    return configuration


def set_features(configuration, params):
    merge(configuration["features"], p.group(params, "features"))
    products = configuration["features"]["subscription_update"].get("products")
    if products and len(products) > 10:
        raise StripeError(400, "You may only specify up to 10 products.",
                          param="features[subscription_update][products]")


def update_configuration(world, call, id):
    configuration = world.of("billing_portal.configuration").get(id)
    with world.events.update("billing_portal.configuration.updated", configuration, call):
        set_features(configuration, call.params)
        configuration["active"] = p.boolean(call.params, "active", configuration["active"])
        configuration["metadata"] = p.metadata(call.params, configuration["metadata"])
        p.copy_texts(configuration, call.params, ("default_return_url", "name"))
        merge(configuration["business_profile"], p.group(call.params, "business_profile"))
        configuration["updated"] = world.clock.now_s()
    return configuration


def retrieve_configuration(world, call, id):
    return world.of("billing_portal.configuration").get(id)


def list_configurations(world, call):
    flags = p.flags(call.params, ("active", "is_default"))
    return world.of("billing_portal.configuration").page(
        call.params, "/v1/billing_portal/configurations", lambda configuration: all(
            configuration[name] == value for name, value in flags.items()))


def create_session(world, call):
    params = call.params
    if not params.get("customer"):
        raise missing_param("customer")
    customer = world.of("customer").get(params["customer"], "customer")
    configuration = configuration_of(world, params)
    back = params.get("return_url") or configuration["default_return_url"]
    if back is None:
        raise StripeError(400, "You must provide a `return_url`, or set `default_return_url` on the portal "
                          "configuration.", param="return_url", code="parameter_missing")
    flow = read_flow(world, params, configuration, customer)
    secret = world.ids.new("test", 40)[5:]
    session = world.of("billing_portal.session").add({
        "id": world.ids.new("bps", 24), "object": "billing_portal.session",
        "configuration": configuration["id"], "created": world.clock.now_s(), "customer": customer["id"],
        "customer_account": None, "flow": flow, "livemode": False, "locale": params.get("locale") or None,
        "on_behalf_of": None, "return_url": back,
        "url": "%s/_pages/portal/%s" % (world.url_of(call), secret)})
    world.portal_links[secret] = session
    world.events.record("billing_portal.session.created", session, call)
    return session


def configuration_of(world, params):
    if params.get("configuration"):
        return world.of("billing_portal.configuration").get(params["configuration"], "configuration")
    for configuration in world.of("billing_portal.configuration"):
        if configuration["is_default"]:
            return configuration
    raise StripeError(400, NO_DEFAULT)


def read_flow(world, params, configuration, customer):
    given = truth(p.group(params, "flow_data"))
    if not given:
        return None
    kind = given.get("type")
    feature = FLOWS.get(kind)
    if feature and not configuration["features"][feature]["enabled"]:
        raise StripeError(400, "This flow is not enabled in the portal configuration: `%s`." % feature,
                          param="flow_data[type]")
    details = given.get(kind) or {}
    if kind != "payment_method_update" and feature:
        sub = world.of("subscription").get(details.get("subscription"), "flow_data[%s][subscription]" % kind)
        if sub["customer"] != customer["id"] or sub["ended_at"]:
            raise StripeError(400, "The subscription of the flow is not one of the customer that can be changed.",
                              param="flow_data[%s][subscription]" % kind)
    return {"after_completion": given.get("after_completion") or {
        "hosted_confirmation": None, "redirect": None, "type": "portal_homepage"}, "subscription_cancel": None,
        "subscription_update": None, "subscription_update_confirm": None, "type": kind,
        **({kind: details} if feature and details else {})}
