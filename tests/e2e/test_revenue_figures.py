"""Revenue figures: the worked example to the last digit, and any history against an oracle of exact fractions."""

import fractions
import json
import random

import psycopg2
import pytest

from support.life_stripe import MARK
from support.revenue_oracle import History
from support.revenue_story import EXAMPLE, Story, set_rates
from support.seeds import new_seed
from support.webhooks import deliver

SEED = new_seed()
A, B, C = EXAMPLE["instants"].values()
WANTED = EXAMPLE["default"]


def minor(fraction):
    """Half away from zero."""
    sign = -1 if fraction < 0 else 1
    return sign * int(abs(fraction) + fractions.Fraction(1, 2))


@pytest.fixture(name="told")
def told_fixture(line):
    """The example through webhooks, in another order than it happened."""
    events = Story().tell()
    random.Random(SEED).shuffle(events)
    stage = line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    for event in events:
        deliver(stage, json.loads(json.dumps(event).replace(MARK, "L1o1x")))
    line.wait_for(lambda: line.value("SELECT count(*) FROM webhook_events WHERE state = 'processed'") == len(events), 60,
                  "all were worked")
    return line


def figures(line, day, split=None):
    return [row._asdict() for row in line.sql("SELECT * FROM revenue_at(%s, NULL, %s)", day + "Z", split)]


def test_the_worked_example_through_webhooks(told):
    with pytest.raises(psycopg2.errors.NoDataFound, match="there is no exchange rate of eur to usd at 2026-10-01T00:00Z"):
        told.sql("SELECT * FROM revenue_at(%s, 'usd')", A + "Z")
    set_rates(told)
    for name, day in EXAMPLE["instants"].items():
        wanted = WANTED["at"][name]
        [found] = figures(told, day)
        assert (found["mrr_minor"], found["arr_minor"], found["customers"], found["arpu_minor"], found["unpriced"]) == (
            wanted["mrr_usd"], wanted["arr_usd"], wanted["paying_customers"], wanted["arpu_usd"], 0), name
        assert {row["part"]: row["mrr_minor"] for row in figures(told, day, "currency")} == wanted["mrr_by_currency"]
        by_plan = figures(told, day, "plan")
        assert sum(fractions.Fraction(*map(fractions.Fraction, str(row["mrr"]).strip("()").split(","))) for row in by_plan) \
            == fractions.Fraction(*map(fractions.Fraction, str(found["mrr"]).strip("()").split(",")))
    for month, since, until in (("2026-10", A, B), ("2026-11", B, C)):
        wanted = WANTED["month"][month]
        found = told.sql("SELECT * FROM revenue_movements(%s, %s)", since + "Z", until + "Z")[0]._asdict()
        for name in ("new", "reactivation", "expansion", "contraction", "churn", "fx"):
            assert found[f"{name}_minor"] == wanted[f"{name}_usd"], (month, name)
        assert (found["customers_lost"], found["customers_won"]) == (wanted["customers_lost"], wanted["customers_won"])
        assert [str(found[name]) for name in ("logo_churn_percent", "gross_churn_percent", "net_churn_percent",
                                              "net_churn_reactivated_percent", "net_retention_percent")] == [
            wanted[name] for name in ("logo_churn_percent", "gross_revenue_churn_percent", "net_revenue_churn_percent",
                                      "net_revenue_churn_with_reactivation_percent", "net_revenue_retention_percent")]
        assert found["rounding_minor"] == 0
        assert adds_up(found), month


def adds_up(row):
    return (row["before_minor"] + row["new_minor"] + row["reactivation_minor"] + row["expansion_minor"] - row["contraction_minor"]
            - row["churn_minor"] + row["fx_minor"] + row["rounding_minor"] == row["after_minor"])


# Any history.

COLUMNS = ("mrr", "new", "reactivation", "expansion", "contraction", "churn", "fx")
EXACT = ", ".join(f"(s.{name}).numerator AS {name}_n, (s.{name}).denominator AS {name}_d" for name in COLUMNS)


def series(line, times, currency, split):
    rows = line.sql(f"SELECT s.at, s.part, s.currency, s.customers, s.customers_won AS won, s.customers_lost AS lost, {EXACT}"
                    " FROM revenue_series(%s::timestamptz[], %s, %s) s", times, currency, split)
    return [{"at": row.at, "part": row.part, "customers": row.customers, "won": row.won, "lost": row.lost,
             **{name: None if getattr(row, name + "_n") is None
                else fractions.Fraction(getattr(row, name + "_n")) / fractions.Fraction(getattr(row, name + "_d"))
                for name in COLUMNS}} for row in rows]


@pytest.mark.parametrize("number", range(6))
def test_any_history_agrees_with_the_oracle_and_adds_up(line, number):
    history = History(random.Random(f"{SEED} revenue {number}"))
    history.store(line)
    for split in (None, "plan", "currency"):
        for currency in ("usd", "eur", "jpy") if split is None else ("usd",):
            wanted = history.series(currency, split)
            found = series(line, history.times, currency, split)
            assert found == wanted, (currency, split)
            before = {}
            for row in found:
                if row["new"] is not None:
                    assert before[row["part"]] + row["new"] + row["reactivation"] + row["expansion"] - row["contraction"] \
                        - row["churn"] + row["fx"] == row["mrr"]
                before[row["part"]] = row["mrr"]
    # A time alone, and two of them, tell the same as the series.
    one = history.times[len(history.times) // 2]
    whole = [row for row in series(line, history.times, "usd", None) if row["at"] == one][0]
    assert line.value("SELECT mrr_minor FROM revenue_at(%s, 'usd')", one) == minor(whole["mrr"])
    [moved] = [row._asdict() for row in line.sql("SELECT * FROM revenue_movements(%s, %s, 'usd')", history.times[0], history.times[-1])]
    assert adds_up(moved) and abs(moved["rounding_minor"]) <= 4
    assert moved["after_minor"] == minor(series(line, history.times, "usd", None)[-1]["mrr"])


# What stands beside it.

def test_metered_usage_stands_beside_what_recurs(told):
    """c12 used for 37.50 in its last full period; none of it is in the monthly revenue."""
    set_rates(told)
    told.sql("UPDATE stripe_prices SET metric = 'llm_tokens' WHERE usage_type = 'metered'")
    tenant = "c12L1o1x"
    for since, until, quantity in (("2026-09-10Z", "2026-10-10Z", 1), ("2026-10-10Z", "2026-11-10Z", 3750.9), ("2026-11-10Z", "2026-12-10Z", 7)):
        told.sql("INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)"
                 " VALUES (%s, 'llm_tokens', %s, %s, %s, 1, 0, '')", tenant, since, until, quantity)
    [row] = told.sql("SELECT * FROM metered_revenue(%s)", C + "Z")
    assert (row.tenant, row.plan, row.amount_minor, row.quantity, row.is_final) == (tenant, "free", 3750, row.quantity, False)
    assert told.sql("SELECT amount_minor FROM metered_revenue('2026-11-09Z')")[0].amount_minor == 1
    [at] = figures(told, C)
    assert at["mrr_minor"] == WANTED["at"]["C"]["mrr_usd"]
    streams = told.sql("SELECT * FROM revenue_streams(%s)", C + "Z")
    assert {(row.stream, row.subscriptions, row.amount_minor) for row in streams} == {
        ("metered", 1, 3750), ("recurring", 13, WANTED["at"]["C"]["mrr_usd"])}


def test_streams_by_product_add_up_to_what_recurs(line):
    """What a coupon takes off all items is spread over them; to the last digit nothing is lost."""
    for id, amount, interval, product in (("a", 1000, "month", "prod_a"), ("b", 700, "week", "prod_b"), ("c", 3333, "year", "prod_c")):
        line.sql("INSERT INTO stripe_prices (stripe_price_id, unit_amount, billing_interval, interval_count, currency, usage_type,"
                 " stripe_product_id) VALUES (%s, %s, %s, 1, 'usd', 'licensed', %s)", id, amount, interval, product)
    for id, percent, amount in (("third", "33.3300", None), ("ten", None, 1000), ("all", None, 10**6)):
        line.sql("INSERT INTO stripe_discounts (stripe_discount_id, duration, percent_off, amount_off, currency)"
                 " VALUES (%s, 'forever', %s, %s, 'usd')", id, percent, amount)
    chance = random.Random(f"{SEED} streams")
    for number in range(40):
        items = [{"id": f"si_{number}_{n}", "price": price, "quantity": chance.randrange(0, 4)}
                 for n, price in enumerate(chance.sample("abc", chance.randrange(1, 4)))]
        line.sql("INSERT INTO subscriptions (stripe_subscription_id, tenant, stripe_customer_id, status, current_period_start,"
                 " current_period_end, billing_cycle_anchor, started_at) SELECT %s, 't', %s, 'active', now(), now(), now(), now()",
                 f"sub_{number}", f"cus_{number}")
        line.sql("INSERT INTO subscription_states (stripe_subscription_id, valid_from, tenant, stripe_customer_id, status, currency,"
                 " items, discounts, shape) VALUES (%s, '2026-01-01Z', 't', %s, 'active', 'usd', %s::jsonb, %s::jsonb, '')",
                 f"sub_{number}", f"cus_{number}", json.dumps(items),
                 json.dumps([{"id": chance.choice(["third", "ten", "all"])}] if chance.random() < 0.6 else []))
    streams = line.sql("SELECT product, (amount).numerator AS n, (amount).denominator AS d FROM revenue_streams('2026-02-01Z', 'usd')")
    whole = line.sql("SELECT (mrr).numerator AS n, (mrr).denominator AS d FROM revenue_at('2026-02-01Z', 'usd')")[0]
    assert {row.product for row in streams} == {"prod_a", "prod_b", "prod_c"}
    assert sum(fractions.Fraction(row.n) / fractions.Fraction(row.d) for row in streams) \
        == fractions.Fraction(whole.n) / fractions.Fraction(whole.d) > 0


def test_receipts_of_thirty_days(line):
    line.must("meterctl", "rates", "set", "eur", "usd", "1.1", "--from", "2026-10-01")
    line.must("meterctl", "rates", "set", "eur", "usd", "1.2", "--from", "2026-10-11")
    for number, (at, status, currency, amount, refunded) in enumerate((
            ("2026-10-01Z", "succeeded", "usd", 1000, 0), ("2026-10-10 23:59Z", "succeeded", "eur", 1001, 1),
            ("2026-10-10 08:00Z", "succeeded", "eur", 1000, 0), ("2026-10-09Z", "succeeded", "eur", 100, 0),
            ("2026-10-12Z", "failed", "usd", 5000, 0), ("2026-10-31Z", "succeeded", "usd", 7000, 0), (None, "pending", "usd", 1, 0))):
        line.sql("INSERT INTO payments (stripe_payment_id, tenant, stripe_customer_id, status, currency, amount_minor, refunded_minor,"
                 " paid_at) VALUES (%s, 't', 'cus', %s, %s, %s, %s, %s)", f"pi_{number}", status, currency, amount, refunded, at)
    def receipts(*args):
        marks = ", ".join(["%s"] * len(args))
        return [(row.currency, row.payments, row.amount_minor) for row in
                line.sql(f"SELECT * FROM revenue_receipts('2026-10-01Z', '2026-10-31Z', {marks})", *args)]
    assert receipts("usd", None) == [("usd", 4, 1000 + 1200 * 2 + 110)], "the rate of the end of the day"
    assert receipts("usd", "currency") == [("eur", 3, 2100), ("usd", 1, 1000)]
    assert line.sql("SELECT amount_minor FROM revenue_receipts('2025-01-01Z', '2025-02-01Z')")[0].amount_minor == 0


# The commands.

def asked(line, *args):
    return json.loads(line.must("meterctl", "metrics", *args, "--json").stdout)


def test_the_commands_tell_the_same_figures(told):
    set_rates(told)
    [at] = asked(told, "mrr", "--at", C)
    assert (at["mrr"], at["mrr_minor"], at["arpu"], at["customers"], at["currency"]) == ("1827.62", 182_762, "152.30", 12, "usd")
    [at] = asked(told, "arr", "--at", C, "--currency", "eur")
    assert at["arr"] == "20306.89", "2,193,144 cents at 1.08"
    assert {row["currency"]: row["mrr_minor"] for row in asked(told, "mrr", "--at", B, "--by", "currency")} \
        == WANTED["at"]["B"]["mrr_by_currency"]
    plans = asked(told, "mrr", "--at", B, "--by", "plan")
    assert sum(row["mrr_minor"] for row in plans) == WANTED["at"]["B"]["mrr_usd"] and {"standard", "enterprise"} <= {
        row.get("plan") for row in plans}
    churn = asked(told, "churn", "--from", A, "--to", C)
    assert [(row["at"][:7], row["won"], row["lost"], row["logo_churn_percent"], row["churn_minor"]) for row in churn] == [
        ("2026-11", 2, 2, "15.3846", 59_800), ("2026-12", 2, 3, "23.0769", 29_700)]
    days = asked(told, "mrr", "--from", A, "--to", C)
    assert len(days) == 62 and sum(row.get("churn_minor", 0) for row in days) > 59_800 + 29_700, "c19 came and went within"
    again = asked(told, "mrr", "--from", "2026-11-10", "--to", "2026-11-20", "--step", "week")
    assert [row["mrr_minor"] for row in again] == [row["mrr_minor"] for row in days if row["at"][:10] in
                                                   ("2026-11-10", "2026-11-17", "2026-11-20")]
    table = told.must("meterctl", "metrics", "churn", "--from", A, "--to", C).stdout
    assert "23.0769" in table and "297.00" in table


@pytest.mark.parametrize("args, code, text", [
    (("metrics", "mrr", "--at", "2026-10-01", "--from", "2026-09-01"), 2, "say one of both"),
    (("metrics", "mrr", "--step", "hour"), 2, "--step must be day, week or month"),
    (("metrics", "mrr", "--by", "tenant"), 2, "--by must be plan or currency"),
    (("metrics", "mrr", "--by", "currency", "--currency", "usd"), 2, "cannot be used"),
    (("metrics", "mrr", "--currency", "USD"), 2, "small letters"),
    (("metrics", "mrr", "--from", "2026-10-02", "--to", "2026-10-01"), 2, "must not lie behind"),
    (("metrics", "churn", "--from", "2026-10-01", "--to", "2026-10-01"), 2, "must lie before"),
    (("metrics", "churn", "--at", "2026-10-01"), 2, "--at"),
    (("metrics", "arr", "--from", "1990-01-01"), 2, "too many"),
    (("metrics", "arr", "--at", "yesterday-ish"), 2, "--at must be"),
    (("rates", "set", "eur", "usd", "0.000"), 2, "above 0"),
    (("rates", "set", "eur", "usd", "1e3"), 2, "above 0"),
    (("rates", "set", "eur", "usd", "1.1.1"), 2, "above 0"),
    (("rates", "set", "eur", "eur", "1"), 2, "always"),
    (("rates", "set", "euro", "usd", "1"), 2, "small letters"),
    (("rates", "unset", "eur", "usd"), 2, "--from is required"),
    (("rates", "unset", "eur", "usd", "--from", "2026-01-01"), 1, "no rate of eur in usd begins at"),
])
def test_what_is_typed_wrongly_is_told(line, args, code, text):
    done = line.meterctl(*args)
    assert done.returncode == code and text in done.stderr, done.stderr


def test_rates_hold_until_the_next_one_both_ways_and_over_a_third(line):
    for rate in (("eur", "usd", "1.1", "--from", "2026-01-01"), ("eur", "usd", "1.2", "--from", "2026-02-01"),
                 ("eur", "usd", "1.25", "--from", "2026-02-01"), ("gbp", "usd", "1.5", "--from", "2026-01-01"),
                 ("usd", "jpy", "150", "--from", "2026-01-01")):
        line.must("meterctl", "rates", "set", *rate)

    def rate(source, target, at):
        row = line.sql("SELECT (r).numerator AS n, (r).denominator AS d FROM (SELECT exchange_rate(%s, %s, %s) AS r) x",
                       source, target, at)[0]
        return fractions.Fraction(row.n) / fractions.Fraction(row.d)
    assert rate("eur", "usd", "2026-01-31 23:59:59Z") == fractions.Fraction("1.1")
    assert rate("eur", "usd", "2026-02-01Z") == fractions.Fraction("1.25")
    assert rate("usd", "eur", "2026-02-01Z") == fractions.Fraction(4, 5)
    assert rate("eur", "gbp", "2026-02-01Z") == fractions.Fraction(5, 6)
    assert rate("eur", "jpy", "2026-02-01Z") == fractions.Fraction("1.875"), "cents to yen"
    with pytest.raises(psycopg2.errors.NoDataFound, match="eur to usd at 2025-12-31T00:00Z"):
        rate("eur", "usd", "2025-12-31Z")
    shown = json.loads(line.must("meterctl", "rates", "list", "--json").stdout)
    assert {(row["currency"], row["in"], row["rate"]) for row in shown} == {
        ("eur", "usd", "1.25"), ("gbp", "usd", "1.5"), ("usd", "jpy", "150")}
    line.must("meterctl", "rates", "unset", "eur", "usd", "--from", "2026-02-01")
    assert rate("eur", "usd", "2026-02-01Z") == fractions.Fraction("1.1")
    assert len(json.loads(line.must("meterctl", "rates", "list", "--all", "--json").stdout)) == 3
    assert line.value("SELECT reporting_currency()") == "usd"
