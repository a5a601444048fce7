"""The next invoice as functions of what is given: lines, prorations, discounts, taxes, all in whole minor units."""

import datetime
import json

import pytest

UTC = datetime.timezone.utc


def day(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


def unix(text):
    return int(day(text).timestamp())


def price(id, amount=None, usage="licensed", interval="month", count=1, **more):
    return {"stripe_price_id": id, "unit_amount": amount, "usage_type": usage, "billing_interval": interval,
            "interval_count": count, "currency": "usd", "billing_scheme": "per_unit", **more}


def tiered(id, mode, tiers, usage="metered"):
    return price(id, None, usage, billing_scheme="tiered", tiers_mode=mode, tiers=tiers)


def lines_of(line, cost, quantity):
    rows = line.sql("SELECT tier, quantity, amount FROM price_lines(jsonb_populate_record(NULL::stripe_prices, %s::jsonb), %s)"
                    " ORDER BY tier", json.dumps(cost), quantity)
    return [(row.tier, float(row.quantity), None if row.amount is None else int(row.amount)) for row in rows]


HALF_CENTS = [{"up_to": 1000, "unit_amount": 0}, {"up_to": 2000, "unit_amount_decimal": "0.05", "flat_amount": 100},
              {"up_to": None, "unit_amount_decimal": "0.0005"}]


def test_a_line_each_tier_rounded_by_itself(line):
    assert lines_of(line, price("p", "0.05"), 30) == [(None, 30, 2)], "1.5 cents, the example of Stripe's documentation"
    assert lines_of(line, price("p", "0.05"), 29) == [(None, 29, 1)]
    assert lines_of(line, price("p", "100"), -5) == [(None, 0, 0)], "less than nothing is billed as nothing"
    graduated = tiered("p", "graduated", HALF_CENTS)
    assert lines_of(line, graduated, 0) == [(1, 0, 0)]
    assert lines_of(line, graduated, 1000) == [(1, 1000, 0)]
    assert lines_of(line, graduated, 1001) == [(1, 1000, 0), (2, 1, 100)]
    assert lines_of(line, graduated, 1010) == [(1, 1000, 0), (2, 10, 101)], "100.5 away from zero"
    assert lines_of(line, graduated, 3000) == [(1, 1000, 0), (2, 1000, 150), (3, 1000, 1)]
    volume = tiered("p", "volume", HALF_CENTS)
    assert lines_of(line, volume, 2000) == [(2, 2000, 200)]
    assert lines_of(line, volume, 2001) == [(3, 2001, 1)]
    assert lines_of(line, tiered("p", "graduated", None), 5) == [(None, 5, None)], "its tiers were never told"
    assert lines_of(line, price("p", 100, divide_by=10, divide_round="up"), 11) == [(None, 11, 200)]


def test_periods_end_on_the_day_of_the_anchor_or_the_last_of_a_month(line):
    for anchor, unit, count, start, wanted in (
            ("2026-01-31T10:00:05", "month", 1, "2026-01-31T10:00:05", "2026-02-28T10:00:05"),
            ("2026-01-31T10:00:05", "month", 1, "2026-02-28T10:00:05", "2026-03-31T10:00:05"),
            ("2024-02-29", "year", 1, "2024-02-29", "2025-02-28"), ("2024-02-29", "year", 1, "2027-02-28", "2028-02-29"),
            ("2025-11-30", "month", 3, "2025-11-30", "2026-02-28"), ("2025-11-30", "month", 3, "2026-02-28", "2026-05-30"),
            ("2026-01-01", "week", 2, "2026-01-15", "2026-01-29"), ("2026-01-01", "day", 1, "2026-03-01", "2026-03-02"),
            ("2026-05-20", "month", 1, "2026-03-20", "2026-04-20")):
        assert line.value("SELECT next_period(%s, %s, %s, %s)", day(anchor), unit, count, day(start)) == day(wanted), (anchor, start)


def test_an_amount_is_spread_to_the_last_unit(line):
    for amount, parts, step, wanted in (
            (100, [(100, 3)] * 3, 1, [34, 33, 33]), (1, [(1, 3)] * 3, 1, [1, 0, 0]), (0, [(0, 5)] * 2, 1, [0, 0]),
            (7, [(0, 1), (7, 1), (0, 1)], 1, [0, 7, 0]), (5, [], 1, []), (10, [(10, 4), (0, 4), (30, 4)], 1, [3, 0, 7]),
            (2, [(17, 10), (9, 10), (-4, 10)], 1, [2, 1, -1]), (-3, [(-5, 2), (-1, 2)], 1, [-2, -1]),
            (300, [(500, 3), (400, 3)], 100, [200, 100])):
        found = line.value("SELECT spread_amount(%s, ARRAY(SELECT ROW(n, d)::fraction FROM unnest(%s::numeric[], %s::numeric[])"
                           " WITH ORDINALITY x (n, d, place) ORDER BY place), %s)", amount, [n for n, _ in parts],
                           [d for _, d in parts], step)
        assert [int(x) for x in found] == wanted, (amount, parts)


def sums(line, lines, discounts=(), rates=(), currency="usd", by_line=True):
    lines = [{"item": f"si_{n}", "discountable": True, "discounts": [], "tax_rates": None, **each} for n, each in enumerate(lines)]
    return line.value("SELECT invoice_sums(%s::jsonb, %s::jsonb, %s::jsonb, %s, %s)", json.dumps(lines),
                      json.dumps(list(discounts)), json.dumps(list(rates)), currency, by_line)


def percent(id, off):
    return {"id": id, "percent_off": off}


def rate(id, percentage, inclusive=False):
    return {"id": id, "percentage": percentage, "inclusive": inclusive}


def amounts(found):
    return found["subtotal"], found["discount"], found["tax"], found["total"]


def test_discounts(line):
    assert amounts(sums(line, [{"amount": 9900}], [percent("d", 33.3333)])) == (9900, 3300, 0, 6600)
    two = [{"amount": 15}, {"amount": 15}]
    found = sums(line, two, [percent("d", 50)])
    assert amounts(found) == (30, 15, 0, 15), "rounded once"
    assert [each["discount_amounts"][0]["amount"] for each in found["lines"]] == [8, 7]
    found = sums(line, two, [{"id": "d", "amount_off": 11}])
    assert amounts(found) == (30, 11, 0, 19) and [each["discount_amounts"] for each in found["lines"]] == [
        [{"discount": "d", "amount": 6}], [{"discount": "d", "amount": 5}]]
    assert amounts(sums(line, two, [{"id": "d", "amount_off": 1000}])) == (30, 30, 0, 0), "never below nothing"
    assert amounts(sums(line, [{"amount": 1000}], [percent("a", 10), percent("b", 10)])) == (1000, 190, 0, 810), "one after the other"
    assert amounts(sums(line, [{"amount": 1000, "discounts": [percent("own", 50)]}, {"amount": 1000}], [percent("all", 10)])) == (
        2000, 650, 0, 1350)
    assert amounts(sums(line, [{"amount": 1230}], [percent("d", 50)], [rate("t", 5)], "kwd")) == (1230, 620, 30, 640), "no third decimal"
    assert amounts(sums(line, [{"amount": 100}, {"amount": 200}], [{"id": "d", "amount_off": 100}], [], "isk")) == (300, 100, 0, 200)
    assert amounts(sums(line, [])) == (0, 0, 0, 0)


def test_taxes_by_line_and_by_invoice(line):
    """The examples of docs.stripe.com/billing/taxes/tax-rates, and what they leave open."""
    two = [{"amount": 100_000}, {"amount": 5000}]
    assert amounts(sums(line, two, [], [rate("t", 10, True)])) == (105_000, 0, 9546, 105_000), "90.91 and 4.55"
    assert amounts(sums(line, two, [], [rate("t", 10, True)], by_line=False)) == (105_000, 0, 9545, 105_000), "95.4545"
    sold = [{"amount": 500}, {"amount": 1000}]
    for rates, tax, total in (([rate("x", 5)], 68, 1418), ([rate("i", 5, True)], 64, 1350),
                              ([rate("x", 7), rate("i", 5, True)], 64 + 90, 1440)):
        assert amounts(sums(line, sold, [percent("d", 10)], rates)) == (1500, 150, tax, total)
        assert amounts(sums(line, sold, [percent("d", 10)], rates, by_line=False)) == (1500, 150, tax, total)
    found = sums(line, [{"amount": 15}, {"amount": 15}], [], [rate("t", 10)], by_line=False)
    assert amounts(found) == (30, 0, 3, 33) and [each["taxes"][0]["amount"] for each in found["lines"]] == [2, 1]
    assert amounts(sums(line, [{"amount": 15}, {"amount": 15}], [], [rate("t", 10)])) == (30, 0, 4, 34)
    for by_line in (True, False):
        assert amounts(sums(line, [{"amount": 1000}], [], [rate("t", 8, True)], by_line=by_line)) == (1000, 0, 74, 1000), "within"
        assert amounts(sums(line, [{"amount": 1000}], [], [rate("on", 10), rate("in", 25, True)], by_line=by_line)) == (1000, 0, 280, 1080)
        assert amounts(sums(line, [{"amount": -333, "discountable": False}], [percent("d", 50)], [rate("t", 19)], by_line=by_line)) == (
            -333, 0, -63, -396), "a credit's tax is given back"
        assert amounts(sums(line, [{"amount": 1000, "tax_rates": [rate("own", 5)]}, {"amount": 1000}], [], [rate("all", 20)],
                            by_line=by_line)) == (2000, 0, 250, 2250)


A, B, C = unix("2026-11-01"), unix("2026-12-01"), unix("2027-01-01")
FEE = {"id": "si_fee", "price": price("p99", 9900), "quantity": 1, "start": A, "end": B, "discounts": [], "tax_rates": None}
METER = {"id": "si_meter", "price": tiered("tokens", "graduated", [{"up_to": 10, "unit_amount": 0},
                                                                   {"up_to": None, "unit_amount": 2}]),
         "start": A, "end": B, "usage": 15, "discounts": [], "tax_rates": None}


def preview(line, items=(FEE,), change=None, **more):
    spec = {"at": unix("2026-11-16"), "due": B, "trialing": False, "billing_mode": "classic", "anchor": A, "interval": "month",
            "count": 1, "ends": None, "discounts": [], "currency": "usd", "items": list(items), "pending": [], "change": change,
            "subscription": "sub_1", **more}
    return line.value("SELECT preview_lines(%s::jsonb)", json.dumps(spec))


def shown(found):
    return [(each["kind"], each["price"], each["amount"], each["period_start"], each["period_end"]) for each in found["lines"]]


def test_usage_behind_fees_ahead(line):
    assert shown(preview(line, [FEE, METER])) == [("fee", "p99", 9900, B, C), ("usage", "tokens", 0, A, B),
                                                  ("usage", "tokens", 10, A, B)]
    assert shown(preview(line, [FEE, METER], ends=B)) == [("usage", "tokens", 0, A, B), ("usage", "tokens", 10, A, B)], "it ends then"
    assert shown(preview(line, [FEE, METER], trialing=True)) == [("fee", "p99", 9900, B, C)], "usage of a trial is free"
    assert shown(preview(line, [{**FEE, "end": C}, METER])) == [("usage", "tokens", 0, A, B), ("usage", "tokens", 10, A, B)]


def to(*items, at="now"):
    return {"at": at, "items": list(items)}


def test_a_change_now_by_the_second(line):
    up = {"id": "si_fee", "price": price("p499", 49900), "quantity": 1}
    found = preview(line, [FEE], to(up))
    half = unix("2026-11-16")
    assert shown(found) == [("proration", "p99", -4950, half, B), ("proration", "p499", 24950, half, B), ("fee", "p499", 49900, B, C)]
    assert not found["reset"]
    odd = shown(preview(line, [FEE], to(up), at=half + 1))
    left = 15 * 86400 - 1
    assert [each[2] for each in odd[:2]] == [-((9900 * left * 2 + 2592000) // (2 * 2592000)), (49900 * left * 2 + 2592000) // (2 * 2592000)]
    assert shown(preview(line, [FEE], to({**up, "price": FEE["price"], "quantity": 3}))) == [
        ("proration", "p99", -4950, half, B), ("proration", "p99", 14850, half, B), ("fee", "p99", 29700, B, C)], "seats"
    assert shown(preview(line, [FEE], to(up), trialing=True)) == [("fee", "p499", 49900, B, C)]
    assert shown(preview(line, [FEE], to(up), discounts=[{"id": "d", "duration": "forever", "percent_off": 50}]))[0][2] == -2475
    assert shown(preview(line, [FEE], to())) == [("proration", "p99", -4950, half, B)], "removed"
    assert shown(preview(line, [FEE], to(up, at="period_end"))) == [("fee", "p499", 49900, B, C)]


def test_usage_of_a_price_that_is_replaced(line):
    half = unix("2026-11-16")
    other = {"id": "si_meter", "price": price("dear", 7, "metered")}
    same = {"id": "si_fee", "price": FEE["price"], "quantity": 1}
    assert shown(preview(line, [FEE, METER], to(same, other), billing_mode="flexible")) == [
        ("fee", "p99", 9900, B, C), ("usage", "tokens", 0, A, half), ("usage", "tokens", 10, A, half), ("usage", "dear", 0, half, B)]
    flat = {**METER, "usage": 0, "price": tiered("tokens", "graduated", [{"up_to": None, "unit_amount": 2, "flat_amount": 500}])}
    assert shown(preview(line, [FEE, flat], to(same, other), billing_mode="flexible")) == [
        ("fee", "p99", 9900, B, C), ("usage", "dear", 0, half, B)], "nothing was used, so nothing is left"
    assert shown(preview(line, [FEE, METER], to(same, other))) == [("fee", "p99", 9900, B, C), ("usage", "dear", 0, half, B)]
    assert shown(preview(line, [FEE, METER], to(same, other, at="period_end"))) == [
        ("fee", "p99", 9900, B, C), ("usage", "tokens", 0, A, B), ("usage", "tokens", 10, A, B)]


def test_a_cycle_that_begins_anew_is_invoiced_at_once(line):
    half = unix("2026-11-16")
    year = {"id": "si_fee", "price": price("p990", 99000, interval="year"), "quantity": 1}
    found = preview(line, [FEE, METER], to(year, {"id": "si_meter", "price": METER["price"]}))
    assert found["reset"] and found["invoice_at"] == half
    assert shown(found) == [("proration", "p99", -4950, half, B), ("fee", "p990", 99000, half, unix("2027-11-16")),
                            ("usage", "tokens", 0, A, half), ("usage", "tokens", 10, A, half)]
    found = preview(line, [FEE], to({"id": "si_fee", "price": FEE["price"], "quantity": 1},
                                    {"id": None, "price": price("extra", 36500, interval="year"), "quantity": 1}), billing_mode="flexible")
    assert not found["reset"] and shown(found) == [
        ("fee", "p99", 9900, B, C), ("proration", "extra", 35000, half, unix("2027-11-01"))], "added: it keeps to the anchor"
    found = preview(line, [METER], to({"id": "si_meter", "price": price("dear", 7, "metered", "year")}), billing_mode="flexible")
    assert found["reset"] and shown(found) == [("usage", "tokens", 0, A, half), ("usage", "tokens", 10, A, half)], "no fee, another interval"
    free = {**FEE, "price": price("p0", 0)}
    found = preview(line, [free], to({"id": "si_fee", "price": FEE["price"], "quantity": 1}))
    assert found["reset"] and shown(found) == [("fee", "p99", 9900, half, unix("2026-12-16"))]


def test_items_of_several_intervals(line):
    """The next invoice is of the items whose period ends first, as the change makes it."""
    half, end = unix("2026-11-16"), unix("2027-11-01")
    fee = {"id": "si_fee", "price": FEE["price"], "quantity": 1}
    flat = tiered("flat", "graduated", [{"up_to": None, "unit_amount": 2, "flat_amount": 500}])
    flat_year, dear = {**flat, "billing_interval": "year"}, price("dear", 7, "metered")
    used = [("usage", "tokens", 0, A, half), ("usage", "tokens", 10, A, half)]

    def flexible(items, *wanted, at="now"):
        found = preview(line, items, to(*wanted, at=at), billing_mode="flexible", due=min(each["end"] for each in items))
        assert not found["reset"]
        return found["invoice_at"], shown(found)
    assert flexible([FEE, METER], fee, {"id": "si_meter", "price": flat_year}) == (B, [("fee", "p99", 9900, B, C), *used]), "due in a year"
    assert flexible([FEE], fee, {"id": None, "price": flat_year}) == (B, [("fee", "p99", 9900, B, C)])
    assert flexible([FEE], fee, {"id": None, "price": flat}) == (B, [("fee", "p99", 9900, B, C), ("usage", "flat", 500, half, B)])
    yearly = {**METER, "price": {**METER["price"], "billing_interval": "year"}, "end": end}
    assert flexible([FEE, yearly], fee, {"id": "si_meter", "price": flat}) == (
        B, [("fee", "p99", 9900, B, C), *used, ("usage", "flat", 500, half, B)]), "due with the fee from now on"
    fee_year = {**FEE, "price": price("p990", 36500, interval="year"), "end": end}
    kept = {"id": "si_fee", "price": fee_year["price"], "quantity": 1}
    month = {"id": None, "price": price("extra", 3000), "quantity": 1}
    assert flexible([fee_year], kept, month) == (B, [("proration", "extra", 1500, half, B), ("fee", "extra", 3000, B, C)])
    other = {"id": "si_other", "price": price("extra", 3000), "quantity": 1, "start": A, "end": B, "discounts": [], "tax_rates": None}
    assert flexible([fee_year, other], kept) == (end, [("fee", "p990", 36500, end, unix("2028-11-01")),
                                                       ("proration", "extra", -1500, half, B)]), "the monthly one is gone"
    assert flexible([fee_year, METER], kept, {"id": "si_meter", "price": dear}) == (B, [*used, ("usage", "dear", 0, half, B)])


@pytest.mark.parametrize("wanted, made", [
    ([("p499", None)], [("si_fee", "p499", 1)]),
    ([("p499", 3), ("dear", None)], [("si_meter", "dear", None), ("si_fee", "p499", 3)]),
    ([("p99", None), ("extra", 2)], [("si_fee", "p99", 1), (None, "extra", 2)])])
def test_which_item_becomes_which(line, wanted, made):
    known = {"p499": price("p499", 49900), "p99": FEE["price"], "dear": price("dear", 7, "metered", metric="llm_tokens"),
             "extra": price("extra", 5)}
    items = [FEE, {**METER, "price": {**METER["price"], "metric": "llm_tokens"}}]
    found = line.value("SELECT match_items(%s::jsonb, %s::jsonb)", json.dumps(items),
                       json.dumps([{"price": known[id], "quantity": quantity} for id, quantity in wanted]))
    assert [(each["id"], each["price"]["stripe_price_id"], each["quantity"]) for each in found] == made
