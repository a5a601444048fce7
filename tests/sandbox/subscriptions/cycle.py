"""What happens to a subscription by itself: renewals, ends of trials, cancelations, expiries."""
from ..billing import collect, invoice_items, lines
from . import changes, charging, end, pausing, pending, schedules, times, warn


def advance(world, sub):
    """All that is due by now, one thing after the other."""
    now = world.clock.now_s()
    while (due := times.due(world, sub)) is not None and due <= now:
        step(world, sub, now)


def step(world, sub, now):
    if sub["status"] == "incomplete":
        expire(world, sub)
    elif sub["pending_update"] and sub["pending_update"]["expires_at"] <= now:
        pending.expire(world, sub)
    elif (sub["pause_collection"] or {}).get("resumes_at") and sub["pause_collection"]["resumes_at"] <= now:
        with world.events.update("customer.subscription.updated", sub, None):
            sub["pause_collection"] = None
    elif sub["status"] == "trialing" and not sub["_warned"] and sub["trial_end"] - times.WARN_S <= now:
        warn(world, sub)
    elif times.tells_ahead(world, sub) and now < times.period_end(sub) <= now + times.told_ahead_s(world):
        from ..billing import preview
        sub["_announced"] = times.period_end(sub)
        preview.announce(world, sub)
    elif sub["cancel_at"] and sub["cancel_at"] <= now:
        finish(world, sub, now)
    elif sub["status"] == "trialing" and sub["trial_end"] <= now and pausing.is_unpaid(world, sub):
        pausing.end_trial(world, None, sub)
    elif sub["status"] != "paused" and times.period_end(sub) <= now:
        renew(world, sub, now)
    else:
        schedules.step(world, sub, now)


def expire(world, sub):
    with world.events.update("customer.subscription.updated", sub, None):
        sub["status"], sub["ended_at"] = "incomplete_expired", world.clock.now_s()
    invoice = world.of("invoice").find(sub["latest_invoice"])
    if invoice and invoice["status"] == "open":
        collect.void(world, None, invoice)


def finish(world, sub, now):
    """It ends as was asked; what was used up to then, and what waits, is billed."""
    at = sub["cancel_at"]
    if sub["status"] not in ("incomplete", "trialing", "paused"):
        behind = [(item, changes.usage_start(item), min(at, item["current_period_end"]))
                  for item in sub["items"]["data"] if lines.is_metered(item) and changes.usage_start(item) < at]
        invoice = bill(world, sub, [], behind, (sub["items"]["data"][0]["current_period_start"], at))
        if invoice:
            charging.use_up(world, None, sub, invoice)
    end(world, None, sub, at, sub["cancellation_details"]["reason"] or "cancellation_requested")


def renew(world, sub, now):
    """Close the periods that are over: their usage is billed, and the fees of the next ones."""
    ending = [item for item in sub["items"]["data"] if item["current_period_end"] <= now]
    closed = ending[0]["current_period_start"], ending[0]["current_period_end"]
    behind = [({**item}, changes.usage_start(item), item["current_period_end"]) for item in ending
              if lines.is_metered(item) and changes.usage_start(item) < item["current_period_end"]]
    with world.events.update("customer.subscription.updated", sub, None):
        if sub["status"] == "trialing":
            sub["status"] = "active"
            behind = []
        kept = {item["id"] for item in sub["items"]["data"] if item not in ending}
        schedules.at_period_end(world, sub, now)
        ahead = []
        for item in sub["items"]["data"]:
            if item["id"] in kept:
                continue
            times.set_period(sub, item, now)
            item["_usage_from"] = item["current_period_start"]
            if not lines.is_metered(item):
                ahead += lines.ahead(world, sub, item, (
                    item["current_period_start"], item["current_period_end"]))
        invoice = bill(world, sub, ahead, behind, closed)
    if invoice:
        charging.use_up(world, None, sub, invoice)


def bill(world, sub, found, behind, period):
    """The draft of a period's end; none if it would be empty, in flexible mode."""
    customer, taken = world.of("customer").get(sub["customer"]), charging.waiting(world, sub)
    if not found and not behind and not taken:
        return None
    invoice = charging.draft(world, sub, customer, "subscription_cycle", found, period, taken, behind=behind)
    pause = sub["pause_collection"]
    if sub["status"] == "unpaid" or (pause and pause["behavior"] == "keep_as_draft"):
        invoice["auto_advance"] = False
    sub["latest_invoice"] = invoice["id"]
    collect.store(world, None, invoice)
    invoice_items.take(world, None, taken, invoice)
    if pause and pause["behavior"] in ("void", "mark_uncollectible"):
        invoice["_paused_as"] = pause["behavior"]
    return invoice


def advance_invoice(world, invoice):
    """A draft is finalized after its hour; an open one is tried again."""
    now, sub = world.clock.now_s(), collect.subscription_of(world, invoice)
    if invoice["status"] == "draft" and invoice["automatically_finalizes_at"] is not None \
            and invoice["automatically_finalizes_at"] <= now:
        close(world, None, invoice, sub)
    elif invoice["status"] == "open" and invoice["next_payment_attempt"] is not None \
            and invoice["next_payment_attempt"] <= now:
        collect.attempt(world, None, invoice, by_itself=True)


def close(world, call, invoice, sub=None, **how):
    """Count for the last time, then finalize."""
    if sub and invoice["_behind"]:
        charging.refresh(world, invoice, collect.customer_of(world, invoice), sub)
    paused_as = invoice.get("_paused_as")
    collect.finalize(world, call, invoice, **{**how, **({"pay": False} if paused_as else {})})
    if invoice["status"] == "open" and paused_as == "void":
        collect.void(world, call, invoice)
    elif invoice["status"] == "open" and paused_as:
        collect.mark_uncollectible(world, call, invoice)
