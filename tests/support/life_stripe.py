"""A small Stripe in memory: things happen to its objects, and it makes the events that tell of them, in the shape of
an old or a new API version. It also remembers what truly happened, which is what webhookd has to find out.

Ids contain MARK, which is replaced for each order of delivery, so that many live in one database."""

import calendar
import copy
import datetime

MARK = "QQ"
OLD, NEW = "2024-06-20", "2026-10-28.endive"
DAY = 86400
FINAL = ("canceled", "incomplete_expired")
LIMITS = {"free": 10_000, "standard": 1_000_000, "enterprise": 10_000_000}  # of llm_tokens, by the catalog


def utc(year, month, day, hour=0, minute=0, second=0):
    return int(datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.timezone.utc).timestamp())


def add_months(anchor, months):
    """As Stripe does: the day of the anchor, or the month's last."""
    at = datetime.datetime.fromtimestamp(anchor, datetime.timezone.utc)
    index = at.year * 12 + at.month - 1 + months
    year, month = divmod(index, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return int(at.replace(year=year, month=month + 1, day=day).timestamp())


def cycle_end(anchor, interval, count, after):
    """The first edge of the cycle past that time; the anchor may lie ahead."""
    if interval in ("day", "week"):
        span = count * DAY * (7 if interval == "week" else 1)
        return anchor + ((after - anchor) // span + 1) * span
    step = count * (12 if interval == "year" else 1)
    n = -600
    while add_months(anchor, n * step) <= after:
        n += 1
    return add_months(anchor, n * step)


def previous(before, after):
    """previous_attributes: what differs, nested, lists whole."""
    out = {}
    for key in {**before, **after}:
        was, now = before.get(key), after.get(key)
        if was != now:
            out[key] = previous(was, now) if isinstance(was, dict) and isinstance(now, dict) else was
    return out


class Stripe:
    def __init__(self, version=NEW, start=utc(2025, 1, 15, 9, 30, 7)):
        self.version, self.now = version, start
        self.objects = {}    # id: the object as it is
        self.events = []     # in the true order
        self.states = {}     # id of a subscription: [(when, copy)], in the true order
        self.bodies = {}     # id: [(number of events so far, body in the new shape)], for who fetches it
        self.serial = 0
        self.usage = []      # (tenant, when, quantity)

    # The clock, and making things.

    def id(self, prefix):
        self.serial += 1
        return f"{prefix}_{MARK}{self.serial}"

    def wait(self, days=0, seconds=0):
        self.now += int(days * DAY) + seconds

    def use(self, tenant, quantity, at=None):
        self.usage.append((tenant, at or self.now, quantity))

    def emit(self, kind, obj, before=None, request=None):
        """One event. before: the object before it, for what changed."""
        body = self.render(obj)
        data = {"object": body}
        if before is not None:
            data["previous_attributes"] = previous(self.render(before), body)
        self.events.append({
            "id": self.id("evt"), "object": "event", "api_version": self.version, "created": self.now,
            "data": data, "livemode": False, "pending_webhooks": 1, "type": kind,
            "request": {"id": request, "idempotency_key": None}})
        self.note_body(obj["id"], self.render(obj, NEW))
        if obj["object"] == "subscription":
            self.states.setdefault(obj["id"], []).append((self.now, copy.deepcopy(obj)))

    def note_body(self, id, body):
        obj = self.objects.get(id, {})
        if obj.get("object") == "subscription":  # for the second page of its items
            body["rest"] = [self.render_item(obj, item, True) for item in obj["items"][10:]]
        self.bodies.setdefault(id, []).append((len(self.events), body))

    def make(self, obj, kind=None, request=None):
        self.objects[obj["id"]] = obj
        if kind:
            self.emit(kind, obj, request=request)
        return obj

    def change(self, obj, kind=None, request=None, **fields):
        before = copy.deepcopy(obj)
        obj.update(fields)
        self.emit(kind or f"{'customer.' if obj['object'] == 'subscription' else ''}{obj['object']}.updated", obj,
                  before, request or self.id("req"))

    # Customers.

    def customer(self, tenant=None, **more):
        return self.make({"id": self.id("cus"), "object": "customer", "created": self.now, "email": "a@x.test",
                          "name": None, "metadata": {"tenant": tenant + MARK} if tenant else {}, **more},
                         "customer.created")

    def delete_customer(self, customer):
        for obj in list(self.objects.values()):
            if obj["object"] == "subscription" and obj["customer"] == customer["id"] and obj["status"] not in FINAL:
                self.end(obj)
        self.emit("customer.deleted", customer)
        customer["deleted"] = self.now
        self.note_body(customer["id"], {"id": customer["id"], "object": "customer", "deleted": True})

    # Prices and subscriptions.

    def price(self, key, interval="month", count=1, metered=False, amount=9900, currency="usd", **more):
        return self.make({"id": self.id("price"), "object": "price", "lookup_key": key, "product": "prod_" + MARK,
                          "currency": currency, "unit_amount": amount, "metadata": {}, "active": True,
                          "interval": interval, "interval_count": count, "usage_type": "metered" if metered else "licensed",
                          **more})

    def item(self, price, quantity=1, metadata=None):
        return {"id": self.id("si"), "price": price["id"], "metadata": metadata or {},
                "quantity": None if price["usage_type"] == "metered" else quantity}

    def subscribe(self, customer, prices, status="active", trial_end=None, anchor=None, tenant=None, quantity=1,
                  currency="usd", **more):
        """prices: the first one leads, unless one is metered."""
        lead = next((price for price in prices if price["usage_type"] == "metered"), prices[0])
        start = self.now
        sub = {"id": self.id("sub"), "object": "subscription", "customer": customer["id"], "created": start,
               "start_date": start, "currency": currency, "status": "trialing" if trial_end else status,
               "lead": lead["id"], "billing_cycle_anchor": anchor or trial_end or start,
               "current_period_start": start, "current_period_end": 0,
               "items": [self.item(price, quantity) for price in prices],
               "trial_start": start if trial_end else None, "trial_end": trial_end, "cancel_at_period_end": False,
               "cancel_at": None, "canceled_at": None, "ended_at": None, "reason": None, "pause_collection": None,
               "schedule": None, "discounts": [], "latest_invoice": None, "collection_method": "charge_automatically",
               "metadata": {"tenant": tenant + MARK} if tenant else {}, **more}
        sub["current_period_end"] = trial_end or self.edge(sub)
        return self.make(sub, "customer.subscription.created")

    def edge(self, sub, after=None):
        lead = self.objects[sub["lead"]]
        return cycle_end(sub["billing_cycle_anchor"], lead["interval"], lead["interval_count"],
                         self.now if after is None else after)

    def renew(self, sub, **fields):
        """At the end of its period the next one begins; its invoice too."""
        self.now = max(self.now, sub["current_period_end"])
        start = sub["current_period_end"]
        begun = {"current_period_start": start, "current_period_end": self.edge(sub, start)}
        if sub["status"] == "trialing":
            begun["status"] = "active"
        self.change(sub, **{**begun, **fields})

    def reset_anchor(self, sub, **fields):
        self.change(sub, billing_cycle_anchor=self.now, current_period_start=self.now,
                    current_period_end=self.edge({**sub, "billing_cycle_anchor": self.now}), **fields)

    def swap(self, sub, price, quantity=1, request=None):
        """Another price for the first item."""
        first = dict(sub["items"][0], price=price["id"], quantity=quantity)
        lead = price["id"] if sub["lead"] == sub["items"][0]["price"] else sub["lead"]
        self.change(sub, request=request, items=[first, *sub["items"][1:]], lead=lead)

    def end(self, sub, status="canceled", reason="cancellation_requested"):
        before = copy.deepcopy(sub)
        sub.update(status=status, ended_at=self.now, canceled_at=sub["canceled_at"] or self.now, reason=reason)
        if status == "canceled":
            self.emit("customer.subscription.deleted", sub)
        else:
            self.emit("customer.subscription.updated", sub, before)

    # Invoices and payments.

    def invoice(self, sub, amount=9900, **more):
        invoice = self.make({
            "id": self.id("in"), "object": "invoice", "customer": sub["customer"], "subscription": sub["id"],
            "tenant": sub["metadata"], "status": "draft", "currency": sub["currency"], "amount_due": amount,
            "amount_paid": 0, "amount_remaining": amount, "subtotal": amount, "total": amount, "tax": None,
            "number": None, "billing_reason": "subscription_cycle", "collection_method": "charge_automatically",
            "attempt_count": 0, "next_payment_attempt": None, "due_date": None, "created": self.now,
            "period_start": sub["start_date"], "period_end": sub["current_period_start"],
            "finalized_at": None, "paid_at": None, "pi": self.id("pi"), "ch": None, **more}, "invoice.created")
        self.objects[sub["id"]]["latest_invoice"] = invoice["id"]
        return invoice

    def finalize(self, invoice):
        self.change(invoice, "invoice.finalized", status="open", number=f"{MARK}-{self.serial}", finalized_at=self.now)

    def fail(self, invoice, code="card_declined"):
        charge = self.charge(invoice, "failed", code)
        self.emit("payment_intent.payment_failed", self.intent(invoice, "requires_payment_method", code))
        self.change(invoice, "invoice.payment_failed", attempt_count=invoice["attempt_count"] + 1,
                    next_payment_attempt=self.now + 3 * DAY)
        return charge

    def pay(self, invoice):
        charge = self.charge(invoice, "succeeded")
        self.emit("payment_intent.succeeded", self.intent(invoice, "succeeded"))
        self.change(invoice, "invoice.paid", status="paid", amount_paid=invoice["amount_due"], amount_remaining=0,
                    attempt_count=invoice["attempt_count"] + 1, next_payment_attempt=None, paid_at=self.now,
                    ch=charge["id"])
        self.emit("invoice.payment_succeeded", invoice)
        if self.version == NEW:
            self.make({"id": self.id("inpay"), "object": "invoice_payment", "invoice": invoice["id"],
                       "amount_paid": invoice["amount_due"], "amount_requested": invoice["amount_due"],
                       "currency": invoice["currency"], "created": self.now, "is_default": True, "status": "paid",
                       "payment": {"type": "payment_intent", "payment_intent": invoice["pi"]},
                       "status_transitions": {"paid_at": self.now, "canceled_at": None}}, "invoice_payment.paid")
        return charge

    def charge(self, invoice, status, code=None):
        paid = invoice["amount_due"] if status == "succeeded" else 0
        return self.make({"id": self.id("ch"), "object": "charge", "customer": invoice["customer"],
                          "payment_intent": invoice["pi"], "invoice": invoice["id"], "amount": invoice["amount_due"],
                          "amount_captured": paid, "amount_refunded": 0, "refunded": False, "status": status,
                          "currency": invoice["currency"], "created": self.now, "failure_code": code, "metadata": {}},
                         f"charge.{status}")

    def intent(self, invoice, status, code=None):
        intent = self.objects.setdefault(invoice["pi"], {"id": invoice["pi"], "object": "payment_intent",
                                                         "created": self.now})
        intent.update(customer=invoice["customer"], invoice=invoice["id"], amount=invoice["amount_due"],
                      amount_received=invoice["amount_due"] if status == "succeeded" else 0, status=status,
                      currency=invoice["currency"], metadata={},
                      last_payment_error={"code": code, "decline_code": None} if code else None)
        return intent

    def refund(self, charge, amount, status="succeeded"):
        self.make({"id": self.id("re"), "object": "refund", "charge": charge["id"],
                   "payment_intent": charge["payment_intent"], "amount": amount, "currency": charge["currency"],
                   "status": status, "created": self.now, "metadata": {}}, "refund.created")
        refunded = charge["amount_refunded"] + amount
        self.change(charge, "charge.refunded", amount_refunded=refunded, refunded=refunded == charge["amount"])

    def bill(self, sub, **more):
        invoice = self.invoice(sub, **more)
        self.wait(seconds=3600)
        self.finalize(invoice)
        self.wait(seconds=2)
        return invoice, self.pay(invoice)

    # The shapes.

    def render(self, obj, version=None):
        new = (version or self.version) == NEW
        renderer = getattr(self, f"render_{obj['object'].replace('.', '_')}", None)
        return renderer(obj, new) if renderer else copy.deepcopy(obj)

    def render_customer(self, obj, new):
        return {key: value for key, value in copy.deepcopy(obj).items() if key != "deleted"}

    def render_price(self, obj, new):
        out = {key: value for key, value in obj.items() if key not in ("interval", "interval_count", "usage_type")}
        out["recurring"] = {"interval": obj["interval"], "interval_count": obj["interval_count"],
                            "usage_type": obj["usage_type"], "meter": None, "trial_period_days": None,
                            **({} if new else {"aggregate_usage": "sum" if obj["usage_type"] == "metered" else None})}
        out.update(billing_scheme="per_unit", tiers_mode=None, type="recurring", transform_quantity=None,
                   unit_amount_decimal=str(obj["unit_amount"]))
        return out

    def render_item(self, obj, item, new):
        period = {"current_period_start": obj["current_period_start"], "current_period_end": obj["current_period_end"]}
        own = self.objects[item["price"]]
        lead = self.objects[obj["lead"]]
        if (own["interval"], own["interval_count"]) != (lead["interval"], lead["interval_count"]):
            period = {"current_period_start": obj["start_date"],
                      "current_period_end": cycle_end(obj["start_date"], own["interval"], own["interval_count"],
                                                      obj["start_date"])}
        return {"id": item["id"], "object": "subscription_item", "created": obj["created"], "metadata": item["metadata"],
                "price": self.render_price(own, new), "subscription": obj["id"], "tax_rates": [],
                **({} if item["quantity"] is None else {"quantity": item["quantity"]}), **(period if new else {})}

    def render_subscription(self, obj, new):
        out = {key: copy.deepcopy(value) for key, value in obj.items()
               if key not in ("items", "lead", "reason", "current_period_start", "current_period_end", "cut")}
        items = [self.render_item(obj, item, new) for item in obj["items"]]
        out["items"] = {"object": "list", "data": items[:10], "has_more": len(items) > 10,
                        "url": f"/v1/subscription_items?subscription={obj['id']}"}
        out["cancellation_details"] = {"comment": None, "feedback": None, "reason": obj["reason"]}
        out["trial_settings"] = {"end_behavior": {"missing_payment_method": "create_invoice"}}
        if new:
            out["billing_mode"] = {"type": "classic"}
        else:
            out.update(current_period_start=obj["current_period_start"], current_period_end=obj["current_period_end"])
        return out

    def render_invoice(self, obj, new):
        out = {key: copy.deepcopy(value) for key, value in obj.items()
               if key not in ("subscription", "tenant", "finalized_at", "paid_at", "pi", "ch", "tax")}
        details = {"metadata": obj["tenant"]}
        out["status_transitions"] = {"finalized_at": obj["finalized_at"], "paid_at": obj["paid_at"],
                                     "voided_at": None, "marked_uncollectible_at": None}
        out["metadata"] = {}
        if new:
            out["parent"] = {"type": "subscription_details", "quote_details": None,
                             "subscription_details": {"subscription": obj["subscription"], **details}}
            out["total_taxes"] = [{"amount": obj["tax"]}] if obj["tax"] else []
        else:
            out.update(subscription=obj["subscription"], subscription_details=details, payment_intent=obj["pi"],
                       charge=obj["ch"], paid=obj["status"] == "paid", tax=obj["tax"])
        return out

    def without_invoice(self, obj, new):
        return {key: copy.deepcopy(value) for key, value in obj.items() if not (new and key == "invoice")}

    render_charge = without_invoice
    render_payment_intent = without_invoice
