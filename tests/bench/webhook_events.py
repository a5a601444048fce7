"""Webhooks as a shop's Stripe account sends them: tenants who subscribe, are billed and pay. Bodies are as large as
Stripe's, which names every field of an object and indents them."""

import json

from support.life_stripe import MARK, NEW, Stripe

NULLS = {
    "customer": "address balance default_source description discount phone shipping test_clock",
    "subscription": "application application_fee_percent billing_cycle_anchor_config billing_thresholds "
                    "customer_account days_until_due default_payment_method default_source description "
                    "next_pending_invoice_item_invoice on_behalf_of pending_invoice_item_interval "
                    "pending_setup_intent pending_update test_clock transfer_data",
    "invoice": "account_name account_tax_ids application custom_fields customer_account customer_address "
               "customer_name customer_phone customer_shipping default_payment_method default_source description "
               "effective_at ending_balance footer from_invoice last_finalization_error latest_revision "
               "on_behalf_of receipt_number rendering shipping_cost shipping_details statement_descriptor "
               "test_clock webhooks_delivered_at",
    "charge": "application application_fee application_fee_amount description failure_balance_transaction "
              "failure_message on_behalf_of receipt_email receipt_number review shipping source_transfer "
              "statement_descriptor statement_descriptor_suffix transfer_data transfer_group",
    "payment_intent": "application application_fee_amount canceled_at cancellation_reason customer_account "
                      "description next_action on_behalf_of processing receipt_email review setup_future_usage "
                      "shipping source statement_descriptor statement_descriptor_suffix transfer_data transfer_group",
    "invoice_payment": "",
}
CARD = {"amount_authorized": 9900, "authorization_code": None, "brand": "visa",
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US", "exp_month": 8, "exp_year": 2030, "extended_authorization": {"status": "disabled"},
        "fingerprint": "AOB934RVNwzk6xtn", "funding": "credit", "incremental_authorization": {"status": "unavailable"},
        "installments": None, "last4": "4242", "mandate": None, "multicapture": {"status": "unavailable"},
        "network": "visa", "network_token": {"used": False}, "network_transaction_id": "756894316101105",
        "overcapture": {"maximum_amount_capturable": 9900, "status": "unavailable"},
        "regulated_status": "unregulated", "three_d_secure": None, "wallet": None}
MORE = {
    "charge": {"billing_details": {"address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
                                   "email": None, "name": None, "phone": None, "tax_id": None},
               "outcome": {"advice_code": None, "network_advice_code": None, "network_decline_code": None,
                           "network_status": "approved_by_network", "reason": None, "risk_level": "normal",
                           "risk_score": 20, "seller_message": "Payment complete.", "type": "authorized"},
               "payment_method": "pm_1PgaftB7WZ01zgkWm3waTcFp",
               "payment_method_details": {"card": CARD, "type": "card"},
               "receipt_url": "https://pay.stripe.com/receipts/invoices/" + "CAcaFwoVYWNjdF8xUGdhZlRCN1da" * 4},
    "payment_intent": {"amount_details": {"tip": {}}, "automatic_payment_methods": None, "capture_method": "automatic",
                       "client_secret": "pi_1PgafyB7WZ01zgkWSjxsAJo3_secret_Dm43xiq1k0ywrRRjDoi8y1gkM",
                       "payment_method_options": {"card": {"installments": None, "mandate_options": None,
                                                           "network": None, "request_three_d_secure": "automatic"}},
                       "payment_method_types": ["card"]},
    "subscription": {"automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
                     "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
                     "payment_settings": {"payment_method_options": None, "payment_method_types": None,
                                          "save_default_payment_method": "off"}},
    "customer": {"invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None,
                                      "rendering_options": None}, "preferred_locales": [], "tax_exempt": "none"},
}


def make(tenants, cycles, mark="x"):
    """Bodies in the order in which things happened: customer, subscription, and for each cycle its renewal, invoice and
    payment. The tenants take turns. Ids and names of tenants end in their number and the mark."""
    template = [json.dumps(event, indent=2) for event in life(cycles)]
    return [body.replace(MARK, f"{n}{mark}") for body in template for n in range(tenants)]


def life(cycles):
    stripe = Stripe(NEW)
    stripe.now -= cycles * 31 * 86400
    prices = [stripe.price("standard", id="price_standard"),
              stripe.price("llm_tokens", metered=True, amount=1, id="price_tokens")]
    customer = stripe.customer("tenant_")
    stripe.wait(seconds=40)
    subscription = stripe.subscribe(customer, prices)
    for cycle in range(cycles):
        if cycle:
            stripe.renew(subscription)
        stripe.bill(subscription)
    return [whole(event) for event in stripe.events]


def whole(event):
    obj = event["data"]["object"]
    kind = obj["object"]
    full = {**dict.fromkeys(NULLS[kind].split()), **MORE.get(kind, {}), "livemode": False, **obj}
    if kind == "invoice":
        full["lines"] = {"object": "list", "has_more": False, "url": f"/v1/invoices/{obj['id']}/lines",
                         "data": [line(obj, number) for number in (1, 2)]}
    return {**event, "data": {**event["data"], "object": full}}


def line(invoice, number):
    return {"id": f"il_{invoice['id'][3:]}_{number}", "object": "line_item", "amount": invoice["amount_due"],
            "currency": invoice["currency"], "description": "1 × Standard (at $99.00 / month)", "discount_amounts": [],
            "discountable": True, "discounts": [], "invoice": invoice["id"], "livemode": False, "metadata": {},
            "parent": {"invoice_item_details": None, "type": "subscription_item_details", "subscription_item_details": {
                "invoice_item": None, "proration": False, "proration_details": {"credited_items": None},
                "subscription": "sub_1PgaftB7WZ01zgkWm3waTcFp", "subscription_item": "si_QXhVnC2h0Jczwc"}},
            "period": {"end": invoice["period_end"], "start": invoice["period_start"]}, "pretax_credit_amounts": [],
            "pricing": {"price_details": {"price": "price_standard", "product": "prod_QXg1hqf4jFNsqG"},
                        "type": "price_details", "unit_amount_decimal": "9900"}, "quantity": 1, "taxes": []}
