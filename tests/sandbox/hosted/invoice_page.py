"""The page of an invoice, where it can be paid, and its PDF, to which the link leads by a redirect."""
import html

from ..billing import collect, money
from ..call import Answer
from ..payments import methods
from . import pages, pdf

VALID_S = 30 * 86400        # after the due date, or after it was finalized


def show(world, call, given, secret, step=None):
    invoice = world.invoice_links.get(secret)
    if invoice is None or expired(world, invoice):
        raise pages.NotFound
    path = "/_pages/invoices/" + secret
    if step == "pdf":
        return pages.redirect("%s/_pages/invoices/%s/file" % (world.url_of(call), secret))
    if step == "file":
        content = pdf.of_invoice(invoice, collect.customer_of(world, invoice))
        return Answer(200, content, {
            "Content-Type": "application/pdf",
            "Content-Disposition": "attachment; filename=\"Invoice-%s.pdf\"" % invoice["number"]})
    if call.method == "POST" and step in ("pay", "authenticate"):
        return pay(world, invoice, given, path, step == "authenticate")
    return form_of(invoice, path)


def expired(world, invoice):
    since = invoice["due_date"] or invoice["status_transitions"]["finalized_at"]
    return world.clock.now_s() > since + VALID_S


def form_of(invoice, path, said="", status=200):
    body = pages.problem(said) if said else ""
    body += "<ul>%s</ul><p>Total: <strong>%s</strong>, %s</p>" % ("".join(
        "<li>%s: %s</li>" % (html.escape(line["description"] or ""), money.shown(line["amount"], line["currency"]))
        for line in invoice["lines"]["data"]), money.shown(invoice["total"], invoice["currency"]), invoice["status"])
    if invoice["status"] in ("open", "uncollectible"):
        body += pages.button_form(path + "/pay", "Pay " + money.shown(
            invoice["amount_remaining"], invoice["currency"]), inputs=pages.CARD_INPUTS)
    body += pages.link(path + "/pdf", "PDF")
    return pages.page("Invoice " + invoice["number"], body, status)


def pay(world, invoice, given, path, authenticated):
    if invoice["status"] not in ("open", "uncollectible"):
        return form_of(invoice, path)
    if authenticated:
        method = world.of("payment_method").get(given.get("payment_method"), "payment_method")
    else:
        method = pages.read_card(world, given)
        methods.attach_to(world, None, method, collect.customer_of(world, invoice))
    outcome = collect.attempt(world, None, invoice, method, authenticated=authenticated)
    if outcome == "authenticate" and not authenticated:
        return pages.page("Authenticate", pages.button_form(
            path + "/authenticate", "Complete authentication", {"payment_method": method["id"]}))
    if outcome != "ok":
        return form_of(invoice, path, pages.refusal(outcome), 402)
    return pages.redirect(path)
