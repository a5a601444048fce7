"""What a life comes to, as it truly was; and the same as the database has it."""

import collections

from support.life_stripe import FINAL, LIMITS, MARK, NEW, add_months, utc

TENANT = "acme" + MARK
METRIC = "api_calls"
GRACE_S = 7 * 86400
LISTED = 10  # items of a subscription that an event lists: what the history of more was is not told


def minute(at):
    return at // 60 * 60


def last_of_each_second(states):
    return list({when: obj for when, obj in states}.items())


class Truth:
    """now: when it is looked at, since grace passes."""

    def __init__(self, stripe, now):
        self.stripe, self.now = stripe, now
        self.subs = {id: last_of_each_second(states) for id, states in stripe.states.items()}

    def plan_of(self, obj):
        """The plan of its fee, which a price once had the key of, and how often it was bought."""
        for item in obj["items"]:
            price = self.stripe.objects[item["price"]]
            key = price["lookup_key"] or price.get("first_key") or self.first_key(price["id"])
            if key in LIMITS:
                return key, item["quantity"]
        return None, 1

    def first_key(self, price):
        """From the events, before it went."""
        for event in self.stripe.events:
            obj = event["data"]["object"]
            for item in obj.get("items", {}).get("data", []) if obj["object"] == "subscription" else []:
                if item["price"]["id"] == price and item["price"]["lookup_key"]:
                    return item["price"]["lookup_key"]
        return None

    def past_due_since(self, id):
        since = None
        for when, obj in self.stripe.states[id]:
            if obj["status"] != "past_due":
                since = None
            elif since is None:
                since = when
        return since

    def cancel_at(self, obj):
        return obj["cancel_at"] or (obj["current_period_end"] if obj["cancel_at_period_end"] else None)

    def subscriptions(self):
        out = {}
        for id, states in self.subs.items():
            obj = states[-1][1]
            plan, quantity = self.plan_of(obj)
            lead = self.stripe.objects[obj["lead"]]
            out[id] = (obj["customer"], plan, quantity, obj["status"], obj["current_period_start"],
                       obj["current_period_end"], obj["billing_cycle_anchor"], lead["interval"], lead["interval_count"],
                       obj["start_date"], obj["ended_at"], obj["cancel_at_period_end"], self.cancel_at(obj), obj["reason"],
                       obj["trial_end"], obj["pause_collection"] and obj["pause_collection"]["behavior"],
                       obj["schedule"], len(obj["discounts"]), self.past_due_since(id))
        return out

    def items(self):
        return {item["id"]: (id, item["price"], item["quantity"],
                             "llm_tokens" if self.stripe.objects[item["price"]]["usage_type"] == "metered" else None,
                             self.stripe.objects[item["price"]]["unit_amount"])
                for id, states in self.subs.items() for item in states[-1][1]["items"]}

    def states(self):
        out = []
        for id, states in self.subs.items():
            for when, obj in states:
                row = (id, obj["status"], self.plan_of(obj)[0], self.cancel_at(obj), obj["reason"],
                       obj["pause_collection"] and obj["pause_collection"]["behavior"], len(obj["discounts"]),
                       tuple(sorted((item["id"], item["price"], item["quantity"]) for item in obj["items"])[:LISTED]))
                out.append((when, row))
        return collapsed(out)

    def periods(self):
        """In minutes; a newer subscription takes precedence in its own."""
        newer, out = [], []
        for id, states in sorted(self.subs.items(), key=lambda kept: (kept[1][-1][1]["start_date"], kept[0]),
                                 reverse=True):
            told = {}
            for _, obj in self.stripe.states[id]:
                if obj["status"] not in ("incomplete", "incomplete_expired"):
                    told[obj["current_period_start"]] = obj["current_period_end"]
            starts = sorted(told)
            last = states[-1][1]
            own = []
            for start, following in zip(starts, [*starts[1:], None]):
                ends = [told[start], following, last["ended_at"] if last["status"] in FINAL else None]
                own.append((minute(start), minute(min(end for end in ends if end is not None))))
            own = [(low, high) for low, high in own if low < high]
            if last["status"] in ("incomplete", "incomplete_expired"):
                own = []
            out += [(low, high, id) for low, high in subtract(own, newer)]
            newer += own
        return sorted(out)

    def totals(self):
        sums = collections.Counter()
        periods = self.periods()
        ends = [minute(states[-1][1]["ended_at"]) for states in self.subs.values() if states[-1][1]["ended_at"]]
        for tenant, at, quantity in self.stripe.usage:
            m = minute(at)
            start = next((low for low, high, _ in periods if low <= m < high), None)
            if start is None:
                month = add_months(utc(2025, 1, 1), 0)
                while add_months(utc(2025, 1, 1), 0) <= m and add_months(month, 1) <= m:
                    month = add_months(month, 1)
                start = max([month, *(high for _, high, _ in periods if high <= m), *(end for end in ends if end <= m)])
            sums[start] += quantity
        return dict(sums)

    def customer(self):
        """(id, whether it is deleted) of whoever is billed."""
        def order(customer):
            subs = [states[-1][1] for states in self.subs.values() if states[-1][1]["customer"] == customer["id"]]
            standing = any(sub["status"] not in (*FINAL, "incomplete") for sub in subs)
            ended = max([sub["ended_at"] or 0 for sub in subs], default=0)
            gone = customer.get("deleted") or 0
            return (gone > 0, -gone, not standing, -ended, customer["created"], customer["id"])

        chosen = min((obj for obj in self.stripe.objects.values() if obj["object"] == "customer"), key=order)
        return chosen["id"], bool(chosen.get("deleted"))

    def limits(self):
        """(limit of llm_tokens, status), by the subscription that decides."""
        ranks = {"active": 0, "trialing": 0, "past_due": 1}
        subs = [(ranks.get(states[-1][1]["status"], 2), -states[-1][1]["start_date"], id)
                for id, states in self.subs.items() if states[-1][1]["status"] not in (*FINAL, "incomplete")]
        if not subs:
            return LIMITS["free"], "active"
        id = min(subs)[2]
        obj = self.subs[id][-1][1]
        plan, quantity = self.plan_of(obj)
        status = "active" if obj["status"] in ("active", "trialing") else "blocked"
        if obj["status"] == "past_due" and self.now < self.past_due_since(id) + GRACE_S:
            status = "grace"
        return LIMITS[plan or "free"] * quantity, status

    def invoices(self):
        return {obj["id"]: (obj["customer"], obj["subscription"], obj["status"], obj["currency"], obj["amount_due"],
                            obj["amount_paid"], obj["total"], obj["tax"], obj["number"], obj["billing_reason"],
                            obj["attempt_count"], obj["next_payment_attempt"], obj["due_date"], obj["finalized_at"],
                            obj["paid_at"], obj["period_start"], obj["period_end"])
                for obj in self.stripe.objects.values() if obj["object"] == "invoice"}

    def payments(self):
        out = {}
        for intent in self.stripe.objects.values():
            if intent["object"] != "payment_intent":
                continue
            charges = [obj for obj in self.stripe.objects.values()
                       if obj["object"] == "charge" and obj["payment_intent"] == intent["id"]]
            good = next((charge for charge in charges if charge["status"] == "succeeded"), None)
            # In the new shape only the invoice payment names the invoice, and there is none of a failed one.
            invoice = intent["invoice"] if good or self.stripe.version != NEW else None
            out[intent["id"]] = (intent["customer"], invoice, "succeeded" if good else "failed", intent["currency"],
                                 intent["amount"], good["amount_refunded"] if good else 0,
                                 None if good else charges[-1]["failure_code"], good["created"] if good else None)
        return out

    def checkouts(self):
        return {obj["id"]: (obj["customer"], obj["subscription"], obj["status"], obj["payment_status"])
                for obj in self.stripe.objects.values() if obj["object"] == "checkout.session"}

    def messages(self):
        """What is told once, whatever was heard first: (kind, id)."""
        out = [("payment_received", id) for id, payment in self.payments().items() if payment[2] == "succeeded"]
        for id, states in self.subs.items():
            status = states[-1][1]["status"]
            if status not in ("incomplete", "incomplete_expired"):
                out.append(("subscription_started", id))
            if status == "canceled":
                out.append(("subscription_ended", id))
        return sorted(out)

    def history(self):
        return sorted((event["created"], event["type"].replace(".", "_"), event["id"], event["data"]["object"]["id"])
                      for event in self.stripe.events if not event["type"].startswith("price."))

    def whole(self):
        return {name: getattr(self, name)() for name in PARTS}


PARTS = ("customer", "subscriptions", "items", "states", "periods", "totals", "limits", "invoices", "payments",
         "checkouts", "history", "messages")
CURRENT = ("customer", "items", "limits", "invoices")  # what the last events alone tell, but since when it is past due


def collapsed(rows):
    """Without rows that say the same as the one before: [(when, row)], rows begin with the subscription's id."""
    out, last = [], {}
    for when, row in sorted(rows, key=lambda kept: (kept[1][0], kept[0])):
        if last.get(row[0]) != row:
            out.append((when, row))
        last[row[0]] = row
    return out


def subtract(spans, others):
    for low, high in sorted(others):
        spans = [piece for a, b in spans for piece in ((a, min(b, low)), (max(a, high), b)) if piece[0] < piece[1]]
    return spans


# The database.

QUERIES = {
    "customer": "SELECT tenant, stripe_customer_id, deleted_at IS NOT NULL FROM billing_customers WHERE contested_since IS NULL",
    "subscriptions": """SELECT tenant, stripe_subscription_id, stripe_customer_id, plan, plan_quantity, status,
        {current_period_start}, {current_period_end}, {billing_cycle_anchor}, billing_interval, interval_count, {started_at},
        {ended_at}, cancel_at_period_end, {cancel_at}, cancel_reason, {trial_end}, collection_paused, schedule,
        jsonb_array_length(discounts), {past_due_since} FROM subscriptions""",
    "items": """SELECT tenant, stripe_subscription_item_id, stripe_subscription_id, stripe_price_id, quantity, metric,
        unit_amount::bigint FROM subscription_items""",
    "states": """SELECT tenant, {valid_from}, stripe_subscription_id, status, plan, {cancel_at}, cancel_reason,
        collection_paused, jsonb_array_length(discounts),
        ARRAY(SELECT ARRAY[i ->> 'id', i ->> 'price', i ->> 'quantity'] FROM jsonb_array_elements(items) i)
        FROM subscription_states""",
    "periods": "SELECT tenant, {period_start}, {period_end}, stripe_subscription_id FROM billing_periods",
    "totals": f"SELECT tenant, {{period_start}}, quantity::bigint FROM usage_totals WHERE metric = '{METRIC}'",
    "limits": """SELECT q.tenant, q.limit_quantity::bigint, tenant_status(q.tenant) FROM usage_quotas q
        WHERE q.metric = 'llm_tokens'""",
    "invoices": """SELECT tenant, stripe_invoice_id, stripe_customer_id, stripe_subscription_id, status, currency,
        amount_due_minor, amount_paid_minor, total_minor, tax_minor, number, billing_reason, attempt_count,
        {next_payment_attempt}, {due_at}, {finalized_at}, {paid_at}, {period_start}, {period_end} FROM invoices""",
    "payments": """SELECT tenant, stripe_payment_id, stripe_customer_id, stripe_invoice_id, status, currency, amount_minor,
        refunded_minor, failure_code, {paid_at} FROM payments""",
    "checkouts": """SELECT tenant, stripe_session_id, stripe_customer_id, stripe_subscription_id, status, payment_status
        FROM checkout_sessions""",
    "messages": """SELECT tenant, kind, coalesce(data ->> 'payment', data ->> 'subscription') FROM outgoing_messages
        WHERE channel = 'signal' AND kind IN ('payment_received', 'subscription_started', 'subscription_ended')""",
    "history": "SELECT tenant, {occurred_at}, kind, event_id, object_id FROM billing_history",
}


class Seconds(dict):
    def __missing__(self, column):
        return f"extract(epoch FROM {column})::bigint AS {column}_s"


def read_all(line):
    """{tenant: {part: what the database has}}, each life's ids with MARK again."""
    rows = collections.defaultdict(lambda: {name: [] for name in PARTS})
    for name, query in QUERIES.items():
        for tenant, *row in line.sql(query.format_map(Seconds())):
            rows[tenant][name].append(tuple(unmark(value, tenant.removeprefix("acme")) for value in row))
    return {tenant: shaped(parts) for tenant, parts in rows.items()}


def unmark(value, mark):
    if isinstance(value, str):
        return value.replace(mark, MARK)
    return [unmark(one, mark) for one in value] if isinstance(value, list) else value


def shaped(parts):
    out = {name: {row[0]: row[1:] for row in parts[name]}
           for name in ("subscriptions", "items", "invoices", "payments", "checkouts")}
    out["customer"] = parts["customer"][0] if len(parts["customer"]) == 1 else parts["customer"]
    out["limits"] = parts["limits"][0] if len(parts["limits"]) == 1 else parts["limits"]
    out["periods"] = sorted(parts["periods"])
    out["totals"] = {start: quantity for start, quantity in parts["totals"] if quantity}
    out["history"] = sorted(parts["history"])
    out["messages"] = sorted(parts["messages"])
    out["states"] = collapsed([
        (row[0], (*row[1:-1], tuple(sorted((id, price, None if quantity is None else int(quantity))
                                           for id, price, quantity in row[-1])[:LISTED])))
        for row in parts["states"]])
    return out


def differences(found, wanted, parts=PARTS):
    """As lines for a person."""
    return [f"{name}:\n    found  {found.get(name)}\n    wanted {wanted[name]}" for name in parts
            if found.get(name) != wanted[name]]
