"""Histories of subscriptions at random, and what they earn by the definition: at each time every subscription is looked at,
in exact fractions. Written without a look at the SQL."""

import datetime
import json
from fractions import Fraction

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
A_YEAR = {"day": 365, "week": 52, "month": 12, "year": 1}
UNITS = {"usd": 100, "eur": 100, "jpy": 1, "bhd": 1000}
STATUSES = ["active"] * 6 + ["past_due", "past_due", "trialing", "unpaid", "paused", "canceled", "incomplete"]
PLANS = ["free", "standard", "enterprise", None]


class History:
    def __init__(self, rng, customers=12, days=120):
        self.days = days
        self.prices = [self.price(rng, number) for number in range(14)]
        self.discounts = [(f"di_{n}", rng.choice(["forever", "forever", "once", "repeating"]),
                           *rng.choice([(Fraction(rng.randrange(1, 10001), 100), None), (None, rng.randrange(1, 3000))]),
                           "usd") for n in range(5)]
        # Rates that lead to dollars and from dollars: what lies between others goes over them.
        self.rates = [("eur", "usd", 0, "1.1"), ("usd", "jpy", 0, "150.25"), ("bhd", "usd", 0, "2.65")]
        for _ in range(12):
            source, target, _, rate = rng.choice(self.rates[:3])
            self.rates.append((source, target, rng.randrange(1, days), str(round(float(rate) * rng.uniform(0.8, 1.2), 5))))
        self.rates = list({rate[:3]: rate for rate in self.rates}.values())
        self.subscriptions = []
        for customer in range(customers):
            for number in range(rng.randrange(1, 4)):
                self.subscriptions.append((f"sub_{customer}_{number}", f"cus_{customer}", self.states(rng)))
        instants = sorted({0, days - 1, *(rng.randrange(1, days - 1) for _ in range(9))})
        self.times = [self.at(day) for day in instants]

    def at(self, day):
        return START + datetime.timedelta(days=day)

    def price(self, rng, number):
        interval = rng.choice(["day", "week", "month", "month", "year"])
        amount = Fraction(rng.randrange(0, 20000)) if rng.random() < 0.8 else Fraction(rng.randrange(1, 10**9), 10**6)
        return {"id": f"price_{number}", "amount": amount, "interval": interval, "count": rng.choice([1, 1, 2, 3, 7]),
                "currency": ["usd", "usd", "eur", "jpy", "bhd"][number % 5], "metered": rng.random() < 0.15}

    def states(self, rng):
        """[(seconds, plan, status, currency, [(price, quantity)], [discount])]: some at an instant to the second."""
        currency = rng.choice(["usd", "usd", "eur", "jpy", "bhd"])
        known = [price for price in self.prices if price["currency"] == currency]
        edges = sorted({rng.randrange(self.days) * 86400 + rng.choice([0, 0, 1, 86399, rng.randrange(86400)])
                        for _ in range(rng.randrange(1, 7))})
        return [(edge, rng.choice(PLANS), rng.choice(STATUSES), currency,
                 [(price, rng.randrange(0, 5)) for price in rng.sample(known, rng.randrange(1, len(known) + 1))],
                 [rng.choice(self.discounts)] if rng.random() < 0.2 else []) for edge in edges]

    def store(self, line):
        for price in self.prices:
            line.sql("INSERT INTO stripe_prices (stripe_price_id, unit_amount, billing_interval, interval_count, currency, usage_type,"
                     " billing_scheme) VALUES (%s, %s::numeric / 1000000, %s, %s, %s, %s, 'per_unit')", price["id"],
                     int(price["amount"] * 10**6), price["interval"], price["count"], price["currency"],
                     "metered" if price["metered"] else "licensed")
        for id, duration, percent, amount, currency in self.discounts:
            line.sql("INSERT INTO stripe_discounts (stripe_discount_id, duration, percent_off, amount_off, currency)"
                     " VALUES (%s, %s, %s::numeric / 100, %s, %s)", id, duration, None if percent is None else int(percent * 100),
                     amount, currency)
        for source, target, day, rate in self.rates:
            line.sql("INSERT INTO exchange_rates (currency, reporting_currency, valid_from, rate) VALUES (%s, %s, %s, %s::numeric)",
                     source, target, self.at(day), rate)
        for id, customer, states in self.subscriptions:
            line.sql("INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status, current_period_start,"
                     " current_period_end, billing_cycle_anchor, started_at) VALUES (%s, %s, %s, 'active', %s, %s, %s, %s)",
                     id, customer, customer, START, START, START, START)
            for edge, plan, status, currency, items, discounts in states:
                items = [{"id": f"si_{id}_{n}", "price": price["id"], "quantity": quantity}
                         for n, (price, quantity) in enumerate(items)]
                line.sql("INSERT INTO subscription_states (stripe_subscription_id, valid_from, tenant, stripe_customer_id, plan,"
                         " status, currency, items, discounts, shape) VALUES (%s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s::jsonb, %s)",
                         id, START + datetime.timedelta(seconds=edge), customer, customer, plan, status, currency,
                         json.dumps(items), json.dumps([{"id": discount[0]} for discount in discounts]), str(edge))

    # By the definition.

    def earns(self, state):
        _, _, status, currency, items, discounts = state
        if status not in ("active", "past_due"):
            return Fraction(0)
        licensed = [(price, quantity) for price, quantity in items if not price["metered"]]
        total = sum((price["amount"] * quantity * A_YEAR[price["interval"]] / price["count"] / 12 for price, quantity in licensed),
                    Fraction(0))
        invoices = max((Fraction(A_YEAR[price["interval"]], price["count"]) for price, _ in licensed), default=Fraction(0))
        for _, duration, percent, amount, its in discounts:
            if duration == "forever":
                total = total * (100 - percent) / 100 if percent is not None else total
                total = max(total - amount * invoices / 12, Fraction(0)) if amount is not None and its == currency else total
        return total

    def rate(self, source, target, when):
        """What a minor unit of source is worth."""
        if source == target:
            return Fraction(1)
        newest = {}
        for a, b, day, rate in sorted(self.rates, key=lambda rate: rate[2]):
            if self.at(day) <= when:
                newest[a, b] = Fraction(rate)
        known = {**{(b, a): 1 / rate for (a, b), rate in newest.items()}, **newest}
        scale = Fraction(UNITS[target], UNITS[source])
        if (source, target) in known:
            return known[source, target] * scale
        for over in sorted({b for _, b in known}):
            if (source, over) in known and (over, target) in known:
                return known[source, over] * known[over, target] * scale
        raise LookupError(source, target)

    def held(self, when):
        """{(customer, plan, currency): what is earned}."""
        sums = {}
        for _, customer, states in self.subscriptions:
            now = [state for state in states if START + datetime.timedelta(seconds=state[0]) <= when]
            if now and self.earns(now[-1]):
                key = (customer, now[-1][1] or "", now[-1][3])
                sums[key] = sums.get(key, 0) + self.earns(now[-1])
        return sums

    def paid_before(self, customer, side, when):
        return any(self.earns(state) > 0 for _, who, states in self.subscriptions if who == customer for state in states
                   if START + datetime.timedelta(seconds=state[0]) <= when and (side is None or state[3] == side))

    def series(self, currency, split):
        place = {None: lambda key: "", "plan": lambda key: key[1], "currency": lambda key: key[2]}[split]
        side = (lambda key: key[2]) if split == "currency" else (lambda key: None)
        rate = (lambda its, when: Fraction(1)) if split == "currency" else (lambda its, when: self.rate(its, currency, when))
        states = [(when, self.held(when)) for when in self.times]
        # A part is told from the first time to the last if it ever showed.
        parts = sorted({place(key) for _, held in states for key in held} | ({""} if split is None else set()))
        rows, before = [], None
        for n, (when, held) in enumerate(states):
            for part in parts:
                mine = {key: value for key, value in held.items() if place(key) == part}
                row = {"at": when, "part": part, "customers": len({key[0] for key in mine}),
                       "mrr": sum((value * rate(key[2], when) for key, value in mine.items()), Fraction(0))}
                if before is None:
                    row.update(dict.fromkeys(("won", "lost", "new", "reactivation", "expansion", "contraction", "churn", "fx")))
                else:
                    row.update(self.moved(before, held, part, place, side, rate, self.times[n - 1], when))
                rows.append(row)
            before = held
        return rows

    def moved(self, before, after, part, place, side, rate, since, when):
        row = dict.fromkeys(("new", "reactivation", "expansion", "contraction", "churn"), Fraction(0))
        counts = {"won": set(), "lost": set()}
        for who in {(key[0], side(key)) for key in (*before, *after)}:
            was = {key: value for key, value in before.items() if (key[0], side(key)) == who}
            now = {key: value for key, value in after.items() if (key[0], side(key)) == who}
            change = {key: (now.get(key, 0) - was.get(key, 0)) * rate(key[2], since) for key in {*was, *now}
                      if now.get(key, 0) != was.get(key, 0)}
            if not was:
                kind = "reactivation" if self.paid_before(*who, since) else "new"
            elif not now:
                kind = "churn"
            else:
                kind = "contraction" if sum(change.values()) < 0 else "expansion"
            for key, value in change.items():
                if place(key) == part:
                    row[kind] += -value if kind in ("churn", "contraction") else value
                    if not was or not now:
                        counts["won" if not was else "lost"].add(who[0])
        row["fx"] = sum((value * (rate(key[2], when) - rate(key[2], since)) for key, value in after.items() if place(key) == part),
                        Fraction(0))
        return {**row, "won": len(counts["won"]), "lost": len(counts["lost"])}
