"""An invoice from its lines: subtotal, discounts, taxes, total, and what the customer's balance pays."""
from . import discounts as d
from . import taxes


def blank(world, customer, currency, reason, period, sub=None, **fields):
    """A draft without lines. fields: collection_method, auto_advance, days_until_due, metadata, description,
    default_payment_method, rates, discounts."""
    now, id = world.clock.now_s(), world.ids.new("in", 24)
    method = fields.get("collection_method") or (sub or {}).get("collection_method") or "charge_automatically"
    return {
        "id": id, "object": "invoice", "account_country": "US", "account_name": "Sandbox",
        "account_tax_ids": None, "amount_due": 0, "amount_overpaid": 0, "amount_paid": 0,
        "amount_remaining": 0, "amount_shipping": 0, "application": None, "attempt_count": 0,
        "attempted": False, "auto_advance": fields.get("auto_advance", True),
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None, "provider": None,
                          "status": None},
        "automatically_finalizes_at": None, "billing_reason": reason, "collection_method": method,
        "created": now, "currency": currency, "custom_fields": None, "customer": customer["id"],
        "customer_account": None, "customer_address": customer["address"],
        "customer_email": customer["email"], "customer_name": customer["name"],
        "customer_phone": customer["phone"], "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"], "customer_tax_ids": [],
        "default_payment_method": fields.get("default_payment_method"), "default_source": None,
        "default_tax_rates": list(fields.get("rates") or ()), "description": fields.get("description"),
        "discounts": [], "due_date": None, "effective_at": None, "ending_balance": None, "footer": None,
        "from_invoice": None, "hosted_invoice_url": None, "invoice_pdf": None,
        "issuer": {"type": "self"}, "last_finalization_error": None, "latest_revision": None,
        "lines": {"object": "list", "data": [], "has_more": False, "url": "/v1/invoices/%s/lines" % id},
        "livemode": False, "metadata": dict(fields.get("metadata") or {}), "next_payment_attempt": None,
        "number": None, "on_behalf_of": None, "parent": sub and {
            "type": "subscription_details", "quote_details": None, "subscription_details": {
                "subscription": sub["id"], "metadata": dict(sub["metadata"])}},
        "payment_settings": {"default_mandate": None, "payment_method_options": None,
                             "payment_method_types": None},
        "period_end": period[1], "period_start": period[0], "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0, "receipt_number": None,
        "rendering": None, "shipping_cost": None, "shipping_details": None,
        "starting_balance": customer["balance"], "statement_descriptor": None, "status": "draft",
        "status_transitions": {"finalized_at": None, "marked_uncollectible_at": None, "paid_at": None,
                               "voided_at": None},
        "subtotal": 0, "subtotal_excluding_tax": 0, "test_clock": None, "total": 0,
        "total_discount_amounts": [], "total_excluding_tax": 0, "total_pretax_credit_amounts": [],
        "total_taxes": [], "webhooks_delivered_at": None,
        "_days_until_due": fields.get("days_until_due"), "_discounts": list(fields.get("discounts") or ()),
        "_payment_intent": None, "_payments": [], "_paid_out_of_band": False, "_behind": []}


def fill(world, invoice, lines, customer):
    """Put the lines in and compute the rest anew."""
    for line in lines:
        line["invoice"] = invoice["id"]
    invoice["lines"]["data"] = lines
    invoice["discounts"] = [discount["id"] for discount in invoice["_discounts"]]
    subtotal = sum(line["amount"] for line in lines)
    off = d.apply(invoice, lines, invoice["_discounts"])
    added, included = taxes.apply(invoice, lines, invoice["default_tax_rates"], customer["tax_exempt"])
    total = subtotal - off + added
    invoice.update(subtotal=subtotal, total=total, total_excluding_tax=total - added - included,
                   subtotal_excluding_tax=subtotal - included)
    settle_balance(invoice, customer["balance"])
    return invoice


def settle_balance(invoice, balance):
    """A credit pays first, a debt comes on top; what falls below nothing becomes a credit."""
    owed = invoice["total"] + balance
    invoice["starting_balance"] = balance
    invoice["amount_due"] = max(owed, 0)
    invoice["amount_remaining"] = invoice["amount_due"] - invoice["amount_paid"]
    invoice["_balance_after"] = min(owed, 0)
