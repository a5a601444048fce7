"""The page of a portal session: the card, the invoices, and the cancelation, as far as the configuration allows."""
import html

from .. import subscriptions
from ..billing import collect, money
from ..payments import methods
from . import pages
from .checkout import Caller

LIVES_S = 3600


def show(world, call, given, secret, action=None):
    session = world.portal_links.get(secret)
    if session is None or session["created"] + LIVES_S < world.clock.now_s():
        raise pages.NotFound
    features = world.of("billing_portal.configuration").get(session["configuration"])["features"]
    customer = world.of("customer").get(session["customer"])
    path = "/_pages/portal/" + secret
    if call.method == "POST":
        act(world, customer, features, given, action)
        return after(session, path)
    flow = (session["flow"] or {}).get("type")
    body = ""
    if features["payment_method_update"]["enabled"] and flow in (None, "payment_method_update"):
        body += card_part(world, customer, path)
    if flow in (None, "subscription_cancel", "subscription_update", "subscription_update_confirm"):
        body += subscriptions_part(world, customer, features, path)
    if features["invoice_history"]["enabled"] and flow is None:
        body += invoices_part(world, customer)
    return pages.page("Your account", body + pages.link(session["return_url"], "Back"))


def after(session, path):
    end = (session["flow"] or {}).get("after_completion") or {}
    if end.get("type") == "redirect":
        return pages.redirect(end["redirect"]["return_url"])
    return pages.redirect(path)


def card_part(world, customer, path):
    method = methods.default_of(world, customer)
    text = "<h2>Card</h2><p>%s</p>" % (html.escape("%s ending in %s" % (
        method["card"]["brand"], method["card"]["last4"])) if method else "None")
    return text + pages.button_form(path + "/card", "Save card", inputs=pages.CARD_INPUTS)


def subscriptions_part(world, customer, features, path):
    text = "<h2>Subscriptions</h2><ul>"
    for sub in world.subscriptions_by_customer[customer["id"]]:
        if sub["ended_at"]:
            continue
        names = ", ".join((world.of("product").find(i["price"]["product"]) or {"name": "?"})["name"]
                          for i in sub["items"]["data"])
        text += "<li>%s: %s" % (html.escape(names), sub["status"])
        if sub["schedule"] is None and features["subscription_cancel"]["enabled"]:
            word, action = ("Keep it", "renew") if sub["cancel_at"] else ("Cancel", "cancel")
            text += pages.button_form("%s/%s" % (path, action), word, {"subscription": sub["id"]})
        text += "</li>"
    return text + "</ul>"


def invoices_part(world, customer):
    rows = ""
    for invoice in world.invoices_by_customer.get(customer["id"], ()):
        if invoice["hosted_invoice_url"]:
            rows += "<li><a href=\"%s\">%s</a>: %s, %s</li>" % (
                html.escape(invoice["hosted_invoice_url"], quote=True), html.escape(invoice["number"]),
                money.shown(invoice["total"], invoice["currency"]), invoice["status"])
    return "<h2>Invoices</h2><ul>%s</ul>" % rows


def act(world, customer, features, given, action):
    if action == "card" and features["payment_method_update"]["enabled"]:
        set_card(world, customer, pages.read_card(world, given))
        return
    sub = world.of("subscription").get(given.get("subscription"), "subscription")
    if action not in ("cancel", "renew") or sub["customer"] != customer["id"] \
            or not features["subscription_cancel"]["enabled"]:
        raise pages.NotFound
    if action == "renew":
        subscriptions.change_by(world, Caller(None), sub, {
            "cancel_at": ""} if not sub["cancel_at_period_end"] else {"cancel_at_period_end": False}, [])
    elif features["subscription_cancel"]["mode"] == "immediately":
        subscriptions.end(world, None, sub)
    elif sub["billing_mode"]["type"] == "flexible":     # it says so by cancel_at alone
        subscriptions.change_by(world, Caller(None), sub, {"cancel_at": "min_period_end"}, [])
    else:
        subscriptions.change_by(world, Caller(None), sub, {"cancel_at_period_end": True}, [])


def set_card(world, customer, method):
    """The new card is the default, and what is open is tried with it."""
    methods.attach_to(world, None, method, customer)
    with world.events.update("customer.updated", customer, None):
        customer["invoice_settings"]["default_payment_method"] = method["id"]
    for sub in world.subscriptions_by_customer[customer["id"]]:
        if sub["default_payment_method"] and not sub["ended_at"]:
            with world.events.update("customer.subscription.updated", sub, None):
                sub["default_payment_method"] = method["id"]
    for invoice in list(world.invoices_by_customer.get(customer["id"], ())):
        if invoice["status"] == "open" and invoice["auto_advance"]:
            collect.attempt(world, None, invoice, method)
