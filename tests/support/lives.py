"""What may happen to a customer: each function is one kind of life."""

from support.life_stripe import DAY, MARK, utc


def fee(s, key="standard", **more):
    return s.price(key, **more)


def metered(s, **more):
    return s.price("llm_tokens", metered=True, amount=1, **more)


def start(s, *prices, tenant="acme", **more):
    customer = s.customer(tenant)
    s.wait(seconds=40)
    return s.subscribe(customer, prices or (fee(s), metered(s)), **more)


def months(s, sub, count):
    for _ in range(count):
        s.use("acme", 3, sub["current_period_end"] - 86400)
        s.renew(sub)
        s.use("acme", 5)
        s.bill(sub)


def plain(s):
    months(s, start(s), 3)


def trial(s):
    sub = start(s, trial_end=s.now + 14 * DAY)
    s.wait(days=11)
    s.emit("customer.subscription.trial_will_end", sub)
    months(s, sub, 3)


def trial_before_the_anchor(s):
    """The trial ends, and a short period follows until the anchor."""
    sub = start(s, trial_end=s.now + 10 * DAY, anchor=s.now + 20 * DAY)
    months(s, sub, 3)


def trial_canceled(s):
    sub = start(s, trial_end=s.now + 14 * DAY)
    s.wait(days=5)
    s.change(sub, cancel_at_period_end=True, canceled_at=s.now)
    s.wait(days=9)
    s.end(sub)


def upgrade(s):
    sub = start(s)
    months(s, sub, 1)
    s.wait(days=9)
    s.swap(sub, fee(s, "enterprise", amount=49900))
    months(s, sub, 1)


def downgrade_at_the_end(s):
    sub = start(s, fee(s, "enterprise", amount=49900), metered(s))
    s.change(sub, schedule=s.id("sub_sched"))
    s.now = sub["current_period_end"]
    s.renew(sub)
    s.swap(sub, fee(s))
    s.change(sub, schedule=None)


def anchor_reset(s):
    sub = start(s)
    months(s, sub, 2)
    s.wait(days=11)
    s.use("acme", 2)
    s.reset_anchor(sub)
    months(s, sub, 2)


def past_due(s):
    sub = start(s)
    s.renew(sub)
    invoice = s.invoice(sub)
    s.wait(seconds=3600)
    s.finalize(invoice)
    s.fail(invoice)
    s.change(sub, status="past_due")
    s.wait(days=3)
    s.pay(invoice)
    s.change(sub, status="active")


def past_due_again(s):
    """Months later; and it still is."""
    sub = start(s)
    for last in (False, True):
        s.renew(sub)
        invoice = s.invoice(sub)
        s.finalize(invoice)
        s.fail(invoice)
        s.change(sub, status="past_due")
        s.wait(days=3)
        s.change(sub, cancel_at=s.now + 90 * DAY)
        if not last:
            s.pay(invoice)
            s.change(sub, status="active", cancel_at=None)
            s.wait(days=2)


def unpaid_and_back(s):
    sub = start(s)
    s.renew(sub)
    invoice = s.invoice(sub)
    s.finalize(invoice)
    for _ in range(3):
        s.fail(invoice)
        if sub["status"] == "active":
            s.change(sub, status="past_due")
        s.wait(days=3)
    s.change(sub, status="unpaid")
    s.wait(days=20)
    s.pay(invoice)
    s.change(sub, status="active")


def ended_by_failed_payment(s):
    sub = start(s)
    s.renew(sub)
    invoice = s.invoice(sub)
    s.finalize(invoice)
    s.fail(invoice)
    s.change(sub, status="past_due")
    s.wait(days=14)
    s.end(sub, reason="payment_failed")
    s.change(invoice, "invoice.marked_uncollectible", status="uncollectible")


def paused_and_resumed(s):
    sub = start(s, trial_end=s.now + 7 * DAY)
    s.now = sub["current_period_end"]
    s.renew(sub, status="paused")
    s.emit("customer.subscription.paused", sub)
    s.wait(days=10)
    s.reset_anchor(sub, status="active")
    s.emit("customer.subscription.resumed", sub)
    months(s, sub, 1)


def collection_paused(s):
    sub = start(s)
    s.wait(days=3)
    s.change(sub, pause_collection={"behavior": "void", "resumes_at": s.now + 20 * DAY})
    s.wait(days=20)
    s.change(sub, pause_collection=None)
    months(s, sub, 1)


def canceled_at_the_end(s):
    sub = start(s)
    months(s, sub, 1)
    s.change(sub, cancel_at_period_end=True, canceled_at=s.now, cancel_at=sub["current_period_end"])
    s.now = sub["current_period_end"]
    s.end(sub)


def canceled_by_date(s):
    """As the customer portal does with flexible billing: cancel_at alone."""
    sub = start(s)
    s.change(sub, cancel_at=s.now + 45 * DAY, canceled_at=s.now)
    s.renew(sub)
    s.now = sub["cancel_at"]
    s.end(sub)


def cancel_undone(s):
    sub = start(s)
    s.change(sub, cancel_at_period_end=True, canceled_at=s.now)
    s.wait(days=2)
    s.change(sub, cancel_at_period_end=False, canceled_at=None)
    months(s, sub, 2)


def canceled_at_once(s):
    sub = start(s)
    s.wait(days=9)
    s.use("acme", 4, s.now - DAY)
    s.end(sub)
    s.use("acme", 6, s.now + 2 * DAY)


def one_after_another(s):
    sub = start(s)
    s.wait(days=20)
    s.end(sub)
    s.wait(days=15)
    s.use("acme", 2, s.now - 5 * DAY)
    again = s.subscribe(s.objects[sub["customer"]], [fee(s, "enterprise"), metered(s)])
    months(s, again, 1)


def two_at_once(s):
    """The newer one decides; when it ends, the older one goes on."""
    sub = start(s)
    s.wait(days=5)
    s.use("acme", 1)
    more = s.subscribe(s.objects[sub["customer"]], [fee(s, "enterprise"), metered(s)])
    s.wait(days=6)
    s.use("acme", 2)
    s.end(more)
    s.wait(days=4)
    s.use("acme", 4)
    months(s, sub, 1)


def payment_link(s):
    """Nothing has metadata: the checkout's reference alone names the tenant."""
    customer = s.customer()
    sub = s.subscribe(customer, [fee(s), metered(s)])
    invoice, _ = s.bill(sub)
    s.make({"id": s.id("cs"), "object": "checkout.session", "customer": customer["id"], "subscription": sub["id"],
            "invoice": invoice["id"], "client_reference_id": "acme" + MARK, "metadata": {}, "mode": "subscription",
            "status": "complete", "payment_status": "paid", "currency": "usd", "amount_total": 9900,
            "created": s.now - 60, "expires_at": s.now + DAY}, "checkout.session.completed")
    months(s, sub, 1)


def checkout_that_is_paid_later(s):
    customer = s.customer("acme")
    session = s.make({"id": s.id("cs"), "object": "checkout.session", "customer": customer["id"], "subscription": None,
                      "invoice": None, "client_reference_id": "acme" + MARK, "metadata": {}, "mode": "subscription",
                      "status": "complete", "payment_status": "unpaid", "currency": "eur", "amount_total": 9900,
                      "created": s.now, "expires_at": s.now + DAY}, "checkout.session.completed")
    s.wait(days=2)
    sub = s.subscribe(customer, [fee(s, currency="eur")], currency="eur")
    session.update(payment_status="paid", subscription=sub["id"])
    s.emit("checkout.session.async_payment_succeeded", session)


def customer_made_anew(s):
    sub = start(s)
    s.wait(days=20)
    s.delete_customer(s.objects[sub["customer"]])
    s.wait(days=1)
    start(s, fee(s, "enterprise"), metered(s))


def customer_made_anew_before_the_old_one_went(s):
    sub = start(s)
    s.wait(days=20)
    anew = s.customer("acme")
    s.wait(days=1)
    s.delete_customer(s.objects[sub["customer"]])
    s.wait(days=1)
    s.subscribe(anew, [fee(s, "enterprise"), metered(s)])


def month_end(s):
    s.now = utc(2025, 1, 31, 23, 59, 30)
    months(s, start(s), 4)


def quarterly(s):
    months(s, start(s, fee(s, count=3), metered(s, count=3)), 2)


def yearly(s):
    months(s, start(s, fee(s, interval="year", amount=99000)), 2)


def yearly_with_monthly_usage(s):
    months(s, start(s, fee(s, interval="year", amount=99000), metered(s)), 3)


def weekly(s):
    months(s, start(s, fee(s, interval="week"), metered(s, interval="week")), 4)


def yen(s):
    sub = start(s, fee(s, currency="jpy", amount=990), metered(s, currency="jpy"), currency="jpy")
    s.renew(sub)
    _, charge = s.bill(sub, amount=990, tax=90)
    s.wait(days=2)
    s.refund(charge, 400)


def never_paid(s):
    sub = start(s, status="incomplete")
    invoice = s.invoice(sub)
    s.finalize(invoice)
    s.fail(invoice)
    s.wait(seconds=23 * 3600)
    s.change(invoice, "invoice.voided", status="void")
    s.end(sub, status="incomplete_expired")


def paid_in_the_same_second(s):
    sub = start(s, status="incomplete")
    invoice = s.invoice(sub)
    s.finalize(invoice)
    s.pay(invoice)
    s.change(sub, status="active")
    months(s, sub, 1)


def key_moves_to_a_new_price(s):
    """The plan has got a new price; the old one, without its key, goes on."""
    old = fee(s)
    sub = start(s, old, metered(s))
    s.wait(days=3)
    s.emit("price.created", old)
    old["lookup_key"] = None
    s.emit("price.updated", old)
    months(s, sub, 2)


def failed_twice_refunded_twice(s):
    sub = start(s)
    invoice = s.invoice(sub)
    s.finalize(invoice)
    s.fail(invoice)
    s.wait(days=1)
    s.fail(invoice, "expired_card")
    s.wait(days=1)
    charge = s.pay(invoice)
    s.wait(days=1)
    s.refund(charge, 1000)
    s.refund(charge, 8900)


def to_and_fro_within_a_second(s):
    sub = start(s)
    for at_end in (True, False, True):
        s.change(sub, cancel_at_period_end=at_end)
    s.wait(seconds=1)
    for quantity in (2, 3, 2, 5):
        s.swap(sub, s.objects[sub["items"][0]["price"]], quantity)
    s.wait(seconds=1)
    s.change(sub, cancel_at_period_end=False)
    s.change(sub, cancel_at_period_end=True)


def seats(s):
    sub = start(s)
    for quantity in (7, 3, 4):
        s.wait(days=2)
        s.swap(sub, s.objects[sub["items"][0]["price"]], quantity)


def eleven_items(s):
    extra = [s.price(None, amount=100 + n) for n in range(9)]
    sub = start(s, fee(s), metered(s), *extra)
    assert len(sub["items"]) == 11
    s.wait(days=1)
    s.change(sub, items=sub["items"][:9])
    months(s, sub, 1)


def tenant_told_later(s):
    customer = s.customer()
    sub = s.subscribe(customer, [fee(s), metered(s)])
    s.bill(sub)
    s.wait(days=1)
    s.change(customer, metadata={"tenant": "acme" + MARK})
    months(s, sub, 1)


def tenant_told_by_the_second_subscription(s):
    customer = s.customer()
    s.subscribe(customer, [fee(s), metered(s)])
    s.wait(days=3)
    sub = s.subscribe(customer, [fee(s, "enterprise"), metered(s)], tenant="acme")
    months(s, sub, 1)


def discounted(s):
    coupon = {"id": "half" + MARK, "object": "coupon", "percent_off": 50.0, "amount_off": None, "currency": None,
              "duration": "forever"}
    sub = start(s)
    s.wait(days=2)
    s.change(sub, discounts=[{"id": s.id("di"), "object": "discount", "coupon": coupon}])
    s.wait(days=2)
    s.change(sub, discounts=[])


def invoices_of_all_kinds(s):
    sub = start(s)
    void, late, lost, manual = (s.invoice(sub, billing_reason="manual") for _ in range(4))
    for invoice in (void, late, lost):
        s.finalize(invoice)
        s.emit("invoice.sent", invoice)
    s.wait(days=1)
    s.change(void, "invoice.voided", status="void")
    s.change(late, "invoice.marked_uncollectible", status="uncollectible")
    s.change(lost, "invoice.overdue", due_date=s.now - 60)
    s.wait(days=1)
    s.pay(late)
    s.change(manual, amount_due=500, total=500)
    s.change(manual, amount_due=700, total=700)
    s.emit("invoice.finalization_failed", manual)


def notes(s):
    sub = start(s)
    invoice = dict(s.invoice(sub), id=s.id("upcoming_in"))
    s.emit("invoice.upcoming", invoice)
    s.make({"id": s.id("pm"), "object": "payment_method", "customer": sub["customer"], "type": "card", "metadata": {}},
           "payment_method.attached")
    s.wait(days=1)
    s.emit("customer.subscription.pending_update_expired", sub)


LIVES = [value for value in list(globals().values())
         if callable(value) and getattr(value, "__module__", "") == __name__
         and value.__name__ not in ("fee", "metered", "start", "months")]
