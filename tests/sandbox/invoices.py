"""Invoices, only as far as a period that closes leaves one behind: dates and links, no amounts."""
from . import versions


def add(world, sub, start, end):
    now = world.clock.now_s()
    invoice = {
        "id": world.ids.new("in", 24), "object": "invoice", "amount_due": 0, "amount_paid": 0,
        "amount_remaining": 0, "attempt_count": 0, "attempted": False, "auto_advance": True,
        "automatically_finalizes_at": now + 3600, "billing_reason": "subscription_cycle",
        "collection_method": sub["collection_method"], "created": now, "currency": sub["currency"],
        "customer": sub["customer"], "livemode": False, "metadata": {}, "number": None,
        "lines": {"object": "list", "data": [], "has_more": False, "url": "/v1/invoices/lines"},
        "parent": {"type": "subscription_details", "quote_details": None, "subscription_details": {
            "subscription": sub["id"], "metadata": dict(sub["metadata"])}},
        "period_start": start, "period_end": end, "status": "draft",
        "status_transitions": {"finalized_at": None, "marked_uncollectible_at": None,
                               "paid_at": None, "voided_at": None},
        "subtotal": 0, "total": 0}
    world.of("invoice").add(invoice)
    world.events.record("invoice.created", invoice, None)
    return invoice


def put(world, invoice):
    """Keep an invoice that a test made up, so that it can be fetched again."""
    if world.of("invoice").find(invoice.get("id")):
        world.of("invoice").find(invoice["id"]).update(invoice)
    elif invoice.get("id"):
        world.of("invoice").add(dict(invoice))


def shape(invoice, version):
    if not versions.is_legacy(version):
        return invoice
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    return {**invoice, "subscription": details.get("subscription")}


def retrieve(world, call, id):
    return shape(world.of("invoice").get(id), call.version)


def list_all(world, call):
    params = call.params

    def keep(invoice):
        shown = shape(invoice, "2024-06-20")
        return all(shown.get(name) == params[name]
                   for name in ("customer", "subscription", "status") if name in params)
    found = world.of("invoice").page(params, "/v1/invoices", keep)
    found["data"] = [shape(invoice, call.version) for invoice in found["data"]]
    return found
