"""Monthly recurring revenue: what a subscription in a state earns, exactly, rounded once."""

import fractions
import json

from line.paths import ROOT
from support.life_api import LifeApi
from support.life_shop import NAME, TENANT, Shop
from support.life_stripe import DAY, MARK, NEW
from support.webhooks import NOW

EXAMPLE = json.loads((ROOT / "tests" / "revenue_example.json").read_text(encoding="utf-8"))
SEATS = {"s04": 100}  # the price of one; the amount is that of all
GRADUATED = [{"up_to": 25, "flat_amount": 9900, "unit_amount": 0}, {"up_to": None, "unit_amount_decimal": "500"}]


def add_price(line, id, amount, interval="month", count=1, currency="usd", **more):
    fields = {"stripe_price_id": id, "unit_amount": amount, "billing_interval": interval, "interval_count": count,
              "currency": currency, "usage_type": "licensed", "billing_scheme": "per_unit", **more}
    line.sql(f"INSERT INTO stripe_prices ({', '.join(fields)}) VALUES ({', '.join(['%s'] * len(fields))})"
             " ON CONFLICT DO NOTHING", *fields.values())


def add_state(line, sub, customer, at, status, items, currency="usd", discounts=()):
    line.sql("INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status, current_period_start,"
             " current_period_end, billing_cycle_anchor, started_at)"
             " VALUES (%s, %s, %s, %s, '2026-01-01Z', '2026-02-01Z', '2026-01-01Z', '2026-01-01Z') ON CONFLICT DO NOTHING",
             sub, customer, customer, status)
    line.sql("INSERT INTO subscription_states (stripe_subscription_id, valid_from, tenant, stripe_customer_id, status, currency,"
             " items, discounts, shape) VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s::jsonb, %s)",
             sub, at, customer, customer, status, currency, json.dumps(items), json.dumps(list(discounts)), str(at))


def mrr(line, items, discounts=(), currency="usd"):
    """As a fraction of minor units; None: it is not known."""
    add_state(line, "sub_x", "cus_x", "2026-01-01Z", "active", items, currency, discounts)
    row = line.sql("SELECT (m).numerator AS n, (m).denominator AS d FROM (SELECT subscription_mrr(x) AS m"
                   " FROM subscription_states x WHERE stripe_subscription_id = 'sub_x') y")[0]
    line.sql("DELETE FROM subscription_states WHERE stripe_subscription_id = 'sub_x'")
    return None if row.n is None else fractions.Fraction(row.n) / fractions.Fraction(row.d)


def test_the_example_of_twenty_one_subscriptions(line):
    """The column MRR at three instants: of each, and of all by currency; and who pays."""
    for sub in EXAMPLE["subscriptions"]:
        id = sub["id"]
        discounts = []
        if sub["discount"]:
            discounts = [{"id": f"di_{id}"}]
            line.sql("INSERT INTO stripe_discounts (stripe_discount_id, duration, percent_off) VALUES (%s, %s, %s)",
                         f"di_{id}", sub["discount"]["duration"], sub["discount"]["percent_off"])
        for name, state in sub["at"].items():
            if state is None:
                continue
            amount, price, quantity = state["amount_minor"], f"price_{id}_{state['amount_minor']}", 1
            if id in SEATS:
                price, quantity, amount = f"price_{id}", amount // SEATS[id], SEATS[id]
            tiers = {}
            if id == "s21":
                quantity = 30
                tiers = {"unit_amount": None, "billing_scheme": "tiered", "tiers_mode": "graduated",
                         "tiers": json.dumps(GRADUATED)}
            add_price(line, price, **{"amount": amount, "interval": sub["interval"], "count": sub["interval_count"],
                                          "currency": sub["currency"]})
            for column, value in tiers.items():
                line.sql(f"UPDATE stripe_prices SET {column} = %s WHERE stripe_price_id = %s", value, price)
            items = [{"id": f"si_{id}", "price": price, "quantity": quantity}]
            if id == "s12":
                add_price(line, "price_metered", 1, usage_type="metered")
                items.append({"id": "si_metered", "price": "price_metered"})
            add_state(line, f"sub_{id}", sub["customer"], EXAMPLE["instants"][name] + "Z", state["status"], items,
                      sub["currency"], discounts)
    for name, day in EXAMPLE["instants"].items():
        found = {row.id: row.mrr for row in line.sql("""
            SELECT substr(s.stripe_subscription_id, 5) AS id,
                   (SELECT fraction_round(subscription_mrr(x)) FROM subscription_states x
                     WHERE x.stripe_subscription_id = s.stripe_subscription_id AND x.valid_from <= %s
                     ORDER BY x.valid_from DESC LIMIT 1) AS mrr FROM subscriptions s""", day + "Z")}
        assert {id: int(value or 0) for id, value in found.items()} == {
            sub["id"]: sub["mrr_minor"][name] for sub in EXAMPLE["subscriptions"]}, name
        wanted = EXAMPLE["default"]["at"][name]
        sums = line.sql("SELECT currency, fraction_round(fraction_sum(array_agg(mrr)))::bigint AS mrr,"
                            " count(*) FILTER (WHERE (mrr).numerator > 0) AS paying FROM customers_mrr(%s) GROUP BY 1", day + "Z")
        assert {row.currency: row.mrr for row in sums} == wanted["mrr_by_currency"], name
        assert sum(row.paying for row in sums) == wanted["paying_customers"]


def test_every_kind_of_price_exactly(line):
    third = fractions.Fraction(1, 3)
    for id, amount, interval, count, wanted in (
            ("month", "9900", "month", 1, 9900), ("quarter", "2000", "month", 3, 2000 * third),
            ("year", "1000", "year", 1, fractions.Fraction(1000, 12)), ("years", "1000", "year", 2, fractions.Fraction(1000, 24)),
            ("week", "1000", "week", 1, 4333 + third), ("day", "0.123456789012", "day", 7,
                                                        fractions.Fraction("0.123456789012") * 365 / 84)):
        add_price(line, id, amount, interval, count)
        assert mrr(line, [{"id": "si_1", "price": id}]) == wanted, id
    # Three sixths of half a cent are half a cent, which rounds to one; no decimal number would.
    add_price(line, "half", "0.5", "month", 3)
    assert mrr(line, [{"id": f"si_{n}", "price": "half"} for n in range(3)]) == fractions.Fraction(1, 2)
    assert line.value("SELECT fraction_round(fraction_sum(array_agg(ROW(0.5, 3)::fraction))) FROM generate_series(1, 3)") == 1
    assert line.value("SELECT fraction_round(ROW(-5, 2)::fraction)") == -3
    for mode, quantity, wanted in (("graduated", 25, 9900), ("graduated", 26, 10400), ("graduated", 0, 9900),
                                   ("volume", 25, 9900), ("volume", 26, 13000)):
        add_price(line, mode, None, billing_scheme="tiered", tiers_mode=mode, tiers=json.dumps(GRADUATED))
        assert mrr(line, [{"id": "si_1", "price": mode, "quantity": quantity}]) == wanted, (mode, quantity)
    for way, quantity, wanted in (("up", 10, 100), ("up", 11, 200), ("down", 19, 100), ("down", 9, 0)):
        add_price(line, f"pack_{way}", 100, divide_by=10, divide_round=way)
        assert mrr(line, [{"id": "si_1", "price": f"pack_{way}", "quantity": quantity}]) == wanted, (way, quantity)
    add_price(line, "unknown tiers", None, billing_scheme="tiered", tiers_mode="volume")
    assert mrr(line, [{"id": "si_1", "price": "unknown tiers"}]) is None
    assert mrr(line, [{"id": "si_1", "price": "never told"}]) is None
    assert mrr(line, [{"id": "si_1", "price": "month"}], currency="eur") is None, "the amount in euros is not known"
    assert mrr(line, [{"id": "si_1", "price": "month"}, {"id": "si_2", "price": "year"}]) == 9900 + fractions.Fraction(1000, 12)


def test_discounts_for_ever_in_their_order(line):
    add_price(line, "month", 9900)
    add_price(line, "year", 120_000, "year")
    for id, duration, percent, amount, currency in (
            ("half", "forever", 50, None, None), ("ten", "forever", None, 1000, "usd"), ("euros", "forever", None, 1000, "eur"),
            ("once", "once", 50, None, None), ("months", "repeating", 50, None, None), ("all", "forever", None, 999_999, "usd")):
        line.sql("INSERT INTO stripe_discounts (stripe_discount_id, duration, percent_off, amount_off, currency)"
                     " VALUES (%s, %s, %s, %s, %s)", id, duration, percent, amount, currency)
    month, year = {"id": "si_1", "price": "month", "quantity": 1}, {"id": "si_2", "price": "year", "quantity": 1}
    for discounts, wanted in ((["half"], 4950), (["half", "ten"], 3950), (["ten", "half"], 4450), (["euros"], 9900),
                              (["once", "months"], 9900), (["all"], 0), (["never told"], 9900)):
        assert mrr(line, [month], [{"id": id} for id in discounts]) == wanted, discounts
    assert mrr(line, [year], [{"id": "ten"}]) == 10_000 - fractions.Fraction(1000, 12), "off each invoice: once a year"
    assert mrr(line, [month, year], [{"id": "ten"}]) == 18_900, "off the one that comes each month"
    assert mrr(line, [{**month, "discounts": [{"id": "half"}]}, year]) == 14_950, "of one item"


# What is told.

def updates(shop):
    rows = shop.line.sql("SELECT data::text AS data FROM outgoing_messages WHERE kind = 'mrr_update' AND channel = 'signal'"
                         " ORDER BY (data ->> 'change_minor')::bigint, created_at")
    return [json.loads(row.data.replace(NAME, MARK)) for row in rows]


def test_each_movement_is_told_once(line):
    shop = Shop(line, NEW, STRIPE_SECRET_KEY=None)
    sub, item = shop.sub, shop.sub["items"][0]
    steps = [({"items": [dict(item, quantity=3)]}, "expansion", 19_800), ({"items": [dict(item, quantity=2)]}, "contraction", -9900),
             ({"status": "past_due"}, None, 0), ({"status": "unpaid"}, "churn", -19_800),
             ({"status": "active"}, "reactivation", 19_800), ({"cancel_at": NOW + DAY}, None, 0)]
    told = [("new", 9900)]
    assert [(update["movement"], update["change_minor"]) for update in updates(shop)] == told
    for fields, movement, change in steps:
        for _ in range(2):
            shop.tell("customer.subscription.updated", sub, **fields)
        told += [(movement, change)] if movement else []
        assert sorted((update["movement"], update["change_minor"]) for update in updates(shop)) == sorted(told), fields
    shop.tell("customer.subscription.deleted", sub, status="canceled", ended_at=NOW)
    assert sum(update["change_minor"] for update in updates(shop)) == 0
    other = shop.new_subscription()
    assert other["id"]
    shop.send(shop.stripe.events[-1])
    shop.state(shop.stripe.events[-1])
    assert updates(shop)[-1]["movement"] in ("reactivation", "expansion")
    assert sum(update["change_minor"] for update in updates(shop)) == 9900
    assert line.value("SELECT fraction_round(mrr) FROM customer_mrr WHERE tenant = %s", TENANT) == 9900


def test_a_coupon_that_is_told_after_its_id_counts_from_then_on(line):
    """As while Stripe cannot be asked: what is fetched later is the same state."""
    shop = Shop(line, NEW, STRIPE_SECRET_KEY=None)
    coupon = {"id": "half", "object": "coupon", "percent_off": 50, "amount_off": None, "currency": None, "duration": "forever"}
    whole = {"id": "di_1" + MARK, "object": "discount", "source": {"type": "coupon", "coupon": coupon}}
    for discounts in (["di_1" + MARK], [whole], ["di_1" + MARK]):
        shop.tell("customer.subscription.updated", shop.sub, discounts=discounts)
    assert sorted((update["movement"], update["change_minor"]) for update in updates(shop)) == [("contraction", -4950), ("new", 9900)]


def test_tiers_and_coupons_are_fetched_since_no_event_has_them(line):
    """An event gives only ids; what is fetched is the same state, so that nothing changes to and fro."""
    api = LifeApi()
    try:
        shop = Shop(line, NEW, STRIPE_API_BASE=api.url, WEBHOOKD_RATE_PER_S=1000)
        sub = shop.new_subscription()
        created = shop.stripe.events[-1]
        coupon = {"id": "half", "object": "coupon", "percent_off": 33.33, "amount_off": None, "currency": None, "duration": "forever"}
        tiered = {"billing_scheme": "tiered", "tiers_mode": "graduated", "unit_amount": None, "unit_amount_decimal": None}
        created["data"]["object"]["discounts"] = ["di_1" + MARK]
        created["data"]["object"]["items"]["data"][0]["price"].update(tiered)
        body = shop.stripe.bodies[sub["id"]][-1][1]
        body["discounts"] = [{"id": "di_1" + MARK, "object": "discount", "source": {"type": "coupon", "coupon": coupon}}]
        body["items"]["data"][0]["price"].update(tiered, tiers=GRADUATED)
        api.lives[NAME] = (shop.stripe.bodies, len(shop.stripe.events))
        for event in (created, {**created, "id": created["id"] + "a", "type": "customer.subscription.updated"}):
            shop.send(event)
            assert shop.state(event) == ("processed", None)
        wanted = [("new", 9900), ("expansion", 6600)]  # two thirds of 9,900 are 6,600.33
        assert sorted((update["movement"], update["change_minor"]) for update in updates(shop)) == sorted(wanted)
        assert line.value("SELECT count(*) FROM outgoing_messages WHERE kind = 'subscription_changed'") == 0
        asked = [path for path in api.paths if path.startswith(f"/v1/subscriptions/{sub['id'].replace(MARK, NAME)}?")]
        assert {name for path in asked for name in path.partition("?")[2].split("&")} == {
            "expand[]=latest_invoice", "expand[]=items.data.price.tiers", "expand[]=discounts.source.coupon"}
    finally:
        api.close()


def test_milestones_are_told_once(line):
    def told():
        return line.value("SELECT tell_milestones()")

    def earn(customer, minor, currency="usd"):
        line.sql("INSERT INTO customer_mrr (stripe_customer_id, currency, tenant, mrr, is_known)"
                     " VALUES (%s, %s, %s, ROW(%s, 1), true) ON CONFLICT (stripe_customer_id, currency)"
                     " DO UPDATE SET mrr = excluded.mrr", customer, currency, customer, minor)

    assert told() == 0
    earn("cus_1", 99_99)
    assert told() == 2 and told() == 0, "a customer; 10 dollars"
    earn("cus_1", 100_00)
    earn("cus_2", 0)
    assert told() == 1 and told() == 0, "100 dollars; who pays nothing is no customer"
    earn("cus_3", 250_000, "jpy")
    earn("cus_1", 1)
    assert told() == 1, "100,000 yen"
    earn("cus_1", 100_00)
    for n in range(4, 12):
        earn(f"cus_{n}", 1)
    assert told() == 1, "ten customers; 100 dollars were told"
    rows = line.sql("SELECT data ->> 'what' AS what, data ->> 'currency' AS currency, (data ->> 'value')::bigint AS value"
                        " FROM outgoing_messages ORDER BY 1, 2, 3")
    assert [tuple(row) for row in rows] == [("customers", None, 1), ("customers", None, 10), ("mrr", "jpy", 100_000),
                                            ("mrr", "usd", 10), ("mrr", "usd", 100)]
