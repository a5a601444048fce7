"""Where a browser goes: /_pages/…, without a key, for whoever has the link. Every page is a form or says why not."""
import html

from .. import form
from ..call import Answer
from ..errors import StripeError
from ..payments import cards, methods

TITLE = "Stripe sandbox"


class NotFound(Exception):
    pass


def answer(world, call):
    from . import checkout_page, invoice_page, portal_page
    pages = {"checkout": checkout_page.show, "portal": portal_page.show, "invoices": invoice_page.show}
    world.agenda.run()
    parts = call.path[len("/_pages/"):].split("/")
    given = form.parse(call.body.decode("utf-8", "replace")) if call.method == "POST" else form.parse(call.query)
    try:
        if parts[0] not in pages or len(parts) not in (2, 3):
            raise NotFound
        return pages[parts[0]](world, call, given, *parts[1:])
    except NotFound:
        return page("Not found", "<p>This link is not, or no longer, valid.</p>", 404)
    except StripeError as e:
        return page("It did not work", problem(e.message), e.status)


def page(title, body, status=200):
    text = ("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>%s – %s</title></head><body>"
            "<h1>%s</h1>%s</body></html>\n" % (html.escape(title), TITLE, html.escape(title), body))
    return Answer(status, text.encode(), {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"})


def redirect(url):
    return Answer(303, b"", {"Location": url, "Content-Type": "text/plain"})


def problem(text):
    return "<p role=\"alert\">%s</p>" % html.escape(text)


def link(url, text):
    return "<p><a href=\"%s\">%s</a></p>" % (html.escape(url, quote=True), html.escape(text))


def button_form(action, text, fields=(), inputs=""):
    """A form that posts; fields: hidden ones; inputs: HTML of those to fill in."""
    hidden = "".join("<input type=\"hidden\" name=\"%s\" value=\"%s\">" % (
        html.escape(name, quote=True), html.escape(str(value), quote=True)) for name, value in dict(fields).items())
    return "<form method=\"post\" action=\"%s\">%s%s<button type=\"submit\">%s</button></form>" % (
        html.escape(action, quote=True), hidden, inputs, html.escape(text))


CARD_INPUTS = ("<label>Card <input name=\"card\" value=\"pm_card_visa\" autocomplete=\"off\"></label> "
               "<small>a test number, such as 4242 4242 4242 4242, or a name, such as pm_card_visa</small>")


def read_card(world, given):
    """The method of the card that was typed: a test number, or a test card's name."""
    typed = (given.get("card") or "").strip()
    card = cards.named(typed) or cards.numbered(typed)
    return methods.add(world, card)


def refusal(outcome):
    return cards.refusal(outcome)[2]

