"""The page of a Checkout session: what it costs, a card, and the button."""
import html

from ..billing import money
from . import checkout, pages


def show(world, call, given, id, step=None):
    session = world.of("checkout.session").find(id)
    if session is None:
        raise pages.NotFound
    if session["status"] == "complete":
        return pages.page("Paid", "<p>This checkout is complete.</p>")
    if session["status"] != "open":
        return pages.page("Expired", "<p>This checkout has expired.</p>", 410)
    if call.method == "POST" and step in (None, "authenticate"):
        return submit(world, session, given, authenticated=step == "authenticate")
    return form_of(world, session)


def form_of(world, session, said="", status=200):
    body = pages.problem(said) if said else ""
    if session["_lines"]:
        body += "<ul>%s</ul><p>Total: <strong>%s</strong></p>" % ("".join(
            "<li>%s: %s</li>" % (html.escape(line["description"]), money.shown(line["amount"], line["currency"]))
            for line in session["_bill"]["lines"]["data"]), money.shown(session["amount_total"], session["currency"]))
    inputs = ""
    if not session["customer"]:
        inputs += "<label>Email <input name=\"email\" type=\"email\" value=\"%s\"></label> " % html.escape(
            session["customer_email"] or "", quote=True)
    if checkout.needs_card(session):
        inputs += pages.CARD_INPUTS
    word = {"subscription": "Subscribe", "payment": "Pay", "setup": "Save card"}[session["mode"]]
    body += pages.button_form(path_of(session), word, inputs=inputs)
    if session["cancel_url"]:
        body += pages.link(session["cancel_url"], "Back")
    return pages.page(word, body, status)


def path_of(session):
    return "/_pages/checkout/" + session["id"]


def submit(world, session, given, authenticated):
    method = None
    if authenticated:
        method = world.of("payment_method").get(given.get("payment_method"), "payment_method")
    elif checkout.needs_card(session):
        method = pages.read_card(world, given)
    outcome = checkout.complete(world, session, method, given.get("email") or None, authenticated)
    if outcome == "authenticate" and not authenticated:
        return pages.page("Authenticate", "<p>The bank of this card wants to know that it is you.</p>"
                          + pages.button_form(path_of(session) + "/authenticate", "Complete authentication", {
                              "payment_method": method["id"], "email": given.get("email") or ""})
                          + pages.link(path_of(session), "Fail authentication"))
    if outcome != "ok":
        return form_of(world, session, pages.refusal(outcome), 402)
    url = session["success_url"]
    if url is None:
        return pages.page("Paid", "<p>This checkout is complete.</p>")
    return pages.redirect(url.replace("{CHECKOUT_SESSION_ID}", session["id"]))
