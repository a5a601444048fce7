/* A change of a subscription becomes one call for all items, at once or at the period's end. Each
 * case is a subscription, a plan that is wished, and the parameters that Stripe is to get. */
#include "api/billing/offer.h"
#include "api/billing/plan_change.h"
#include "common/contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OLD STRIPE_VERSION_LEGACY
#define NEW STRIPE_VERSION_CURRENT

static json_t *parse(const char *text)
{
    json_error_t why;
    struct buf b = {0};
    for (const char *at = text; *at; at++)
        buf_add_char(&b, *at == '\'' ? '"' : *at);
    json_t *value = json_loads(b.data, 0, &why);
    if (!value)
        fail_msg("%s in %s", why.text, b.data);
    buf_done(&b);
    return value;
}

/* Offers. */

static const struct offer STANDARD = {
    .plan = "standard",
    .fee = {.id = "price_std",
            .currency = "usd",
            .interval = "month",
            .interval_count = 1,
            .amount = 9900},
    .usage = {{.id = "price_std_tok", .metric = "llm_tokens", .meter = "mtr_tok"},
              {.id = "price_std_api", .metric = "api_calls", .meter = "mtr_api"}},
    .usage_n = 2};
static const struct offer ENTERPRISE = {
    .plan = "enterprise",
    .fee = {.id = "price_ent",
            .currency = "usd",
            .interval = "month",
            .interval_count = 1,
            .amount = 49900},
    .usage = {{.id = "price_ent_tok", .metric = "llm_tokens", .meter = "mtr_tok"}},
    .usage_n = 1};
static const struct offer YEARLY = {
    .plan = "standard",
    .fee = {.id = "price_std_year",
            .currency = "usd",
            .interval = "year",
            .interval_count = 1,
            .amount = 99000},
    .usage = {{.id = "price_std_tok", .metric = "llm_tokens", .meter = "mtr_tok"},
              {.id = "price_std_api", .metric = "api_calls", .meter = "mtr_api"}},
    .usage_n = 2};
static const struct offer IN_EURO = {.plan = "euro",
                                     .fee = {.id = "price_eur",
                                             .currency = "eur",
                                             .interval = "month",
                                             .interval_count = 1,
                                             .amount = 8900}};
static const struct offer TIERED = {.plan = "tiered",
                                    .fee = {.id = "price_tier",
                                            .currency = "usd",
                                            .interval = "month",
                                            .interval_count = 1,
                                            .amount = -1}};

#define FEE(id, price, amount, quantity)                                                           \
    "{'id': '" id "', 'quantity': " quantity                                                       \
    ", 'current_period_end': 2000, 'price': {'id': '" price "', 'unit_amount': " amount            \
    ", 'metadata': {'plan': 'x'}, 'recurring': {'interval': 'month', 'interval_count': 1, "        \
    "'usage_type': 'licensed'}}}"
#define YEAR(id, price, amount)                                                                    \
    "{'id': '" id "', 'quantity': 1, 'current_period_end': 9000, 'price': {'id': '" price          \
    "', 'unit_amount': " amount                                                                    \
    ", 'metadata': {'plan': 'x'}, 'recurring': {'interval': 'year', 'interval_count': 1, "         \
    "'usage_type': 'licensed'}}}"
#define USE(id, price, meter)                                                                      \
    "{'id': '" id "', 'current_period_end': 2000, 'price': {'id': '" price                         \
    "', 'metadata': {'plan': 'x'}, 'recurring': {'interval': 'month', 'usage_type': 'metered', "   \
    "'meter': '" meter "'}}}"
#define EXTRA(id, price)                                                                           \
    "{'id': '" id "', 'quantity': 3, 'price': {'id': '" price                                      \
    "', 'unit_amount': 500, 'recurring': {'interval': 'month', 'usage_type': 'licensed'}}}"
#define SUB(status, items)                                                                         \
    "{'id': 'sub_1', 'status': '" status "', 'currency': 'usd', 'items': {'data': [" items "]}}"
#define ON_STANDARD                                                                                \
    FEE("si_fee", "price_std", "9900", "1")                                                        \
    "," USE("si_tok", "price_std_tok", "mtr_tok") "," USE("si_api", "price_std_api", "mtr_api")
#define ON_ENTERPRISE                                                                              \
    FEE("si_fee", "price_ent", "49900", "1") "," USE("si_tok", "price_ent_tok", "mtr_tok")

static const struct decision {
    const char *name;
    const char *subscription;
    const struct offer *target;
    int64_t seats;
    enum change_when when;
    enum change_kind kind;
} DECISIONS[] = {
    {"the same plan", SUB("active", ON_STANDARD), &STANDARD, 0, WHEN_FITTING, CHANGE_NOTHING},
    {"the same plan and seats", SUB("active", ON_STANDARD), &STANDARD, 1, WHEN_FITTING,
     CHANGE_NOTHING},
    {"more seats", SUB("active", ON_STANDARD), &STANDARD, 3, WHEN_FITTING, CHANGE_NOW},
    {"fewer seats",
     SUB("active",
         FEE("si_fee", "price_std", "9900", "5") "," USE(
             "si_tok", "price_std_tok", "mtr_tok") "," USE("si_api", "price_std_api", "mtr_api")),
     &STANDARD, 2, WHEN_FITTING, CHANGE_LATER},
    {"fewer seats, now", SUB("active", FEE("si_fee", "price_std", "9900", "5")), &STANDARD, 2,
     WHEN_NOW, CHANGE_NOW},
    {"an item of the plan is missing", SUB("active", FEE("si_fee", "price_std", "9900", "1")),
     &STANDARD, 0, WHEN_FITTING, CHANGE_NOW},
    {"an item too many is on it",
     SUB("active", ON_STANDARD "," USE("si_x", "price_old_gb", "mtr_gb")), &STANDARD, 0,
     WHEN_FITTING, CHANGE_NOW},
    {"somebody else's item stays", SUB("active", ON_STANDARD "," EXTRA("si_x", "price_extra")),
     &STANDARD, 0, WHEN_FITTING, CHANGE_NOTHING},
    {"upgrade", SUB("active", ON_STANDARD), &ENTERPRISE, 0, WHEN_FITTING, CHANGE_NOW},
    {"upgrade, later", SUB("active", ON_STANDARD), &ENTERPRISE, 0, WHEN_PERIOD_END, CHANGE_LATER},
    {"downgrade", SUB("active", ON_ENTERPRISE), &STANDARD, 0, WHEN_FITTING, CHANGE_LATER},
    {"downgrade, now", SUB("active", ON_ENTERPRISE), &STANDARD, 0, WHEN_NOW, CHANGE_NOW},
    {"downgrade in a trial", SUB("trialing", ON_ENTERPRISE), &STANDARD, 0, WHEN_FITTING,
     CHANGE_NOW},
    {"a cheaper plan with so many seats that it costs more", SUB("active", ON_ENTERPRISE),
     &STANDARD, 6, WHEN_FITTING, CHANGE_NOW},
    {"to the year", SUB("active", ON_STANDARD), &YEARLY, 0, WHEN_FITTING, CHANGE_NOW},
    {"to the year, of a plan that costs less", SUB("active", ON_ENTERPRISE), &YEARLY, 0,
     WHEN_FITTING, CHANGE_NOW},
    {"to the month", SUB("active", YEAR("si_fee", "price_std_year", "99000")), &ENTERPRISE, 0,
     WHEN_FITTING, CHANGE_LATER},
    {"another currency", SUB("active", ON_STANDARD), &IN_EURO, 0, WHEN_FITTING, CHANGE_CURRENCY},
    {"tiers cannot be compared", SUB("active", ON_ENTERPRISE), &TIERED, 0, WHEN_FITTING,
     CHANGE_NOW},
    {"usage without a fee", SUB("active", USE("si_tok", "price_old_tok", "mtr_tok")), &STANDARD, 0,
     WHEN_FITTING, CHANGE_NOW},
};

static struct change_wish wish_of(const struct offer *target, int64_t seats, enum change_when when,
                                  const char *version)
{
    return (struct change_wish){.target = target,
                                .seats = seats,
                                .when = when,
                                .proration = "create_prorations",
                                .version = version,
                                .tenant = "acme"};
}

static void test_decides(void **state)
{
    (void)state;
    json_t *known = json_object();
    for (size_t i = 0; i < sizeof DECISIONS / sizeof *DECISIONS; i++) {
        const struct decision *d = &DECISIONS[i];
        json_t *subscription = parse(d->subscription);
        struct change_wish wish = wish_of(d->target, d->seats, d->when, NEW);
        enum change_kind kind = plan_change_decide(subscription, known, &wish);
        if (kind != d->kind)
            fail_msg("%s: %d, not %d", d->name, (int)kind, (int)d->kind);
        json_decref(subscription);
    }
    json_decref(known);
}

/* What was a plan's stays a plan's, though neither metadata nor lookup key say so any more. */
static void test_known_price_is_a_plans(void **state)
{
    (void)state;
    json_t *known = parse("{'price_extra': 'addon'}");
    json_t *none = json_object();
    json_t *subscription =
        parse(SUB("active", EXTRA("si_a", "price_extra") "," EXTRA("si_b", "price_other")));
    const json_t *fee = plan_change_fee_item(subscription, known);
    assert_string_equal(json_string_value(json_object_get(fee, "id")), "si_a");
    assert_null(plan_change_fee_item(subscription, none));
    json_decref(subscription);
    json_decref(known);
    json_decref(none);
}

static const struct call_of_change {
    const char *name;
    const char *subscription;
    const struct offer *target;
    int64_t seats;
    const char *form;
} CALLS[] = {
    {"items are replaced by id, the one that the plan lacks is deleted", SUB("active", ON_STANDARD),
     &ENTERPRISE, 0,
     "items[0][id]=si_fee&items[0][price]=price_ent&items[0][quantity]=1"
     "&items[1][id]=si_tok&items[1][price]=price_ent_tok"
     "&items[2][id]=si_api&items[2][deleted]=true"},
    {"one that the old plan lacked is added", SUB("active", ON_ENTERPRISE), &STANDARD, 0,
     "items[0][id]=si_fee&items[0][price]=price_std&items[0][quantity]=1"
     "&items[1][id]=si_tok&items[1][price]=price_std_tok&items[2][price]=price_std_api"},
    {"seats are kept", SUB("active", FEE("si_fee", "price_std", "9900", "7")), &ENTERPRISE, 0,
     "items[0][id]=si_fee&items[0][price]=price_ent&items[0][quantity]=7"
     "&items[1][price]=price_ent_tok"},
    {"other seats", SUB("active", FEE("si_fee", "price_ent", "49900", "7")), &ENTERPRISE, 9,
     "items[0][id]=si_fee&items[0][price]=price_ent&items[0][quantity]=9"
     "&items[1][price]=price_ent_tok"},
    {"what belongs to no plan is not touched",
     SUB("active", EXTRA("si_x", "price_extra") "," FEE("si_fee", "price_std", "9900", "1")),
     &ENTERPRISE, 0,
     "items[0][id]=si_fee&items[0][price]=price_ent&items[0][quantity]=1"
     "&items[1][price]=price_ent_tok"},
    {"usage alone gets a fee", SUB("active", USE("si_tok", "price_old_tok", "mtr_tok")),
     &ENTERPRISE, 0,
     "items[0][id]=si_tok&items[0][price]=price_ent_tok&items[1][price]=price_ent"
     "&items[1][quantity]=1"},
};

static void test_changes_all_items_in_one_call(void **state)
{
    (void)state;
    json_t *known = json_object();
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
        const struct call_of_change *c = &CALLS[i];
        struct stripe_form f = {0};
        json_t *subscription = parse(c->subscription);
        struct change_wish wish = wish_of(c->target, c->seats, WHEN_FITTING, NEW);
        char *expected = xasprintf("%s&proration_behavior=create_prorations&payment_behavior="
                                   "error_if_incomplete&metadata[plan]=%s&metadata[tenant]=acme",
                                   c->form, c->target->plan);
        plan_change_now(&f, subscription, known, &wish);
        assert_string_equal(stripe_form_body(&f), expected);
        free(expected);
        stripe_form_done(&f);
        json_decref(subscription);
    }
    json_decref(known);
}

#define SCHEDULE                                                                                   \
    "{'id': 'sub_sched_1', 'current_phase': {'start_date': 1000, 'end_date': 2000}, 'phases': ["   \
    "{'start_date': 10, 'end_date': 1000, 'items': [{'price': 'price_gone', 'quantity': 1}]}, "    \
    "{'start_date': 1000, 'end_date': 2000, 'items': [{'price': 'price_ent', 'quantity': 1}, "     \
    "{'price': {'id': 'price_ent_tok'}}]}]}"
#define PHASE_0                                                                                    \
    "end_behavior=release&phases[0][start_date]=1000&phases[0][end_date]=2000"                     \
    "&phases[0][items][0][price]=price_ent&phases[0][items][0][quantity]=1"                        \
    "&phases[0][items][1][price]=price_ent_tok"
#define PHASE_1                                                                                    \
    "&phases[1][items][0][price]=price_std&phases[1][items][0][quantity]=1"                        \
    "&phases[1][items][1][price]=price_std_tok&phases[1][items][2][price]=price_std_api"
#define PHASE_1_END                                                                                \
    "&phases[1][proration_behavior]=none&phases[1][metadata][plan]=standard"                       \
    "&phases[1][metadata][tenant]=acme"

static void check_later(const char *subscription_text, const char *schedule_text,
                        const char *version, const char *expected)
{
    struct stripe_form f = {0};
    json_t *known = json_object();
    json_t *schedule = parse(schedule_text);
    json_t *subscription = parse(subscription_text);
    struct change_wish wish = wish_of(&STANDARD, 0, WHEN_FITTING, version);
    int failed = plan_change_later(&f, schedule, subscription, known, &wish);
    assert_int_equal(failed, expected ? 0 : -1);
    if (expected)
        assert_string_equal(stripe_form_body(&f), expected);
    stripe_form_done(&f);
    json_decref(subscription);
    json_decref(schedule);
    json_decref(known);
}

/* The phase that runs stays as it is until the period's end; phases that are over are left out. */
static void test_changes_at_the_periods_end(void **state)
{
    (void)state;
    check_later(SUB("active", ON_ENTERPRISE), SCHEDULE, NEW,
                PHASE_0 PHASE_1 "&phases[1][duration][interval]=month"
                                "&phases[1][duration][interval_count]=1" PHASE_1_END);
    check_later(SUB("active", ON_ENTERPRISE), SCHEDULE, OLD,
                PHASE_0 PHASE_1 "&phases[1][iterations]=1" PHASE_1_END);
    check_later(SUB("active", ON_ENTERPRISE "," EXTRA("si_x", "price_extra")), SCHEDULE, OLD,
                PHASE_0 PHASE_1 "&phases[1][items][3][price]=price_extra"
                                "&phases[1][items][3][quantity]=3"
                                "&phases[1][iterations]=1" PHASE_1_END);
    check_later(SUB("active", ON_ENTERPRISE),
                "{'current_phase': null, 'phases': [{'start_date': 1, 'items': []}]}", NEW, NULL);
}

#define RICH                                                                                       \
    "'discounts': [{'coupon': 'half', 'discount': 'di_1', 'promotion_code': null}, "               \
    "{'coupon': 'ten', 'discount': null}], 'default_tax_rates': [{'id': 'txr_1'}], "               \
    "'metadata': {'order': '7', 'plan': 'enterprise'}, 'trial_end': 1500, "                        \
    "'collection_method': 'send_invoice', 'default_payment_method': {'id': 'pm_1'}, "              \
    "'invoice_settings': {'days_until_due': 14}, 'description': null, "                            \
    "'items': [{'price': 'price_ent', 'quantity': 2, 'tax_rates': [{'id': 'txr_2'}], "             \
    "'discounts': [{'discount': 'di_2'}], 'metadata': {'a': 'b'}}]"
#define RICH_ITEM                                                                                  \
    "phases[0][items][0][price]=price_ent&phases[0][items][0][quantity]=2"                         \
    "&phases[0][items][0][tax_rates][0]=txr_2&phases[0][items][0][discounts][0][discount]=di_2"    \
    "&phases[0][items][0][metadata][a]=b"
#define RICH_SETTINGS(n)                                                                           \
    "&phases[" n "][discounts][0][discount]=di_1&phases[" n "][discounts][1][coupon]=ten"          \
    "&phases[" n "][default_tax_rates][0]=txr_1&phases[" n "][collection_method]=send_invoice"     \
    "&phases[" n "][default_payment_method]=pm_1"                                                  \
    "&phases[" n "][invoice_settings][days_until_due]=14&phases[" n "][metadata][order]=7"

/* What an update leaves out of a phase is unset at once: all that there is goes along. */
static void test_phases_keep_all_that_they_have(void **state)
{
    (void)state;
    check_later(
        "{'status': 'active', 'items': {'data': [{'id': 'si_fee', 'quantity': 2, "
        "'current_period_end': 2000, 'tax_rates': [{'id': 'txr_2'}], 'discounts': ['di_2'], "
        "'price': {'id': 'price_ent', 'metadata': {'plan': 'enterprise'}}}]}}",
        "{'current_phase': {'start_date': 1000}, 'phases': [{'start_date': 1000, " RICH "}]}", OLD,
        "end_behavior=release&phases[0][start_date]=1000&phases[0][end_date]=2000&" RICH_ITEM
            RICH_SETTINGS(
                "0") "&phases[0][metadata][plan]=enterprise"
                     "&phases[0][trial_end]=1500&phases[1][items][0][price]=price_std"
                     "&phases[1][items][0][quantity]=2&phases[1][items][0][tax_rates][0]=txr_2"
                     "&phases[1][items][0][discounts][0][discount]=di_2"
                     "&phases[1][items][1][price]=price_std_tok&phases[1][items][2][price]=price_"
                     "std_api"
                     "&phases[1][iterations]=1&phases[1][proration_behavior]=none" RICH_SETTINGS(
                         "1") "&phases[1][metadata][plan]=standard&phases[1][metadata][tenant]="
                              "acme");
}

static void test_restores_all_that_was_released(void **state)
{
    (void)state;
    struct stripe_form f = {0};
    json_t *made =
        parse("{'current_phase': {'start_date': 1000}, 'phases': [{'start_date': 1000}]}");
    json_t *released = parse("{'end_behavior': 'release', 'current_phase': {'start_date': 1000}, "
                             "'phases': [{'start_date': 1000, 'end_date': 2000, " RICH "}]}");
    assert_int_equal(plan_change_restore(&f, made, released, OLD), 0);
    assert_string_equal(stripe_form_body(&f),
                        "end_behavior=release&phases[0][start_date]=1000&phases[0][end_date]=2000"
                        "&" RICH_ITEM RICH_SETTINGS("0") "&phases[0][metadata][plan]=enterprise"
                                                         "&phases[0][trial_end]=1500");
    stripe_form_done(&f);
    json_decref(made);
    json_decref(released);
}

/* What was paid for ends with the fee's period, be usage beside it billed by the month. */
static void test_period_end_is_the_fees(void **state)
{
    (void)state;
    json_t *known = json_object();
    json_t *subscription = parse(SUB("active", USE("si_tok", "price_tok", "mtr_tok") "," YEAR(
                                                   "si_fee", "price_std_year", "99000")));
    json_t *old = parse("{'current_period_end': 77, 'items': {'data': [{'id': 'si_1', 'quantity': "
                        "1, 'price': {'id': 'price_1'}}]}}");
    assert_int_equal(plan_change_period_end(subscription, known), 9000);
    assert_int_equal(plan_change_period_end(old, known), 77);
    json_decref(subscription);
    json_decref(old);
    json_decref(known);
}

/* Offers by lookup keys. */

#define PLAN                                                                                       \
    "{'plan': 'standard', 'lookup_key': 'standard', 'interval': 'month', 'usage': [{'metric': "    \
    "'api', 'is_billed': true}, {'metric': 'seats', 'is_billed': false}]}"
#define PRICE(id, key, interval, rest)                                                             \
    "{'id': '" id "', 'lookup_key': '" key "', 'active': true, 'currency': 'usd', 'recurring': "   \
    "{'interval': '" interval "'}" rest "}"

static const struct offer_case {
    const char *interval;
    const char *keys;
    const char *prices;
    const char *fee; /* NULL: missing is */
    const char *usage;
} OFFERS[] = {
    {NULL, "['standard', 'standard_api', 'standard_seats']",
     "[" PRICE("p1", "standard", "month", ", 'unit_amount': 9900") "," PRICE("p2", "standard_api",
                                                                             "month", "") "]",
     "p1", "p2"},
    {"year",
     "['standard_year', 'standard_api', 'standard_api_year', 'standard_seats', "
     "'standard_seats_year']",
     "[" PRICE("p1", "standard_year", "year", "") "," PRICE("p2", "standard_api", "month", "") "]",
     "p1", "p2"},
    {"year",
     "['standard_year', 'standard_api', 'standard_api_year', 'standard_seats', "
     "'standard_seats_year']",
     "[" PRICE("p1", "standard_year", "year", "") "," PRICE(
         "p2", "standard_api", "month", "") "," PRICE("p3", "standard_api_year", "year", "") "]",
     "p1", "p3"},
    {NULL, "['standard', 'standard_api', 'standard_seats']",
     "[" PRICE("p2", "standard_api", "month", "") "]", NULL, "standard"},
    {NULL, "['standard', 'standard_api', 'standard_seats']",
     "[" PRICE("p1", "standard", "month", "") "]", NULL, "standard_api"},
    {NULL, "['standard', 'standard_api', 'standard_seats']",
     "[{'id': 'p1', 'lookup_key': 'standard', 'active': false}]", NULL, "standard"},
};

static void test_offers_by_lookup_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof OFFERS / sizeof *OFFERS; i++) {
        const struct offer_case *c = &OFFERS[i];
        struct offer offer;
        char missing[80] = "";
        json_t *plan = parse(PLAN);
        json_t *prices = parse(c->prices);
        json_t *expected = parse(c->keys);
        json_t *keys = offer_lookup_keys(plan, c->interval);
        assert_true(json_equal(keys, expected));
        int failed = offer_read(&offer, plan, c->interval, prices, missing);
        assert_int_equal(failed, c->fee ? 0 : -1);
        if (c->fee) {
            assert_string_equal(offer.fee.id, c->fee);
            assert_int_equal(offer.usage_n, 1);
            assert_string_equal(offer.usage[0].id, c->usage);
        } else {
            assert_string_equal(missing, c->usage);
        }
        json_decref(keys);
        json_decref(expected);
        json_decref(prices);
        json_decref(plan);
    }
}

static void test_forms_are_encoded(void **state)
{
    (void)state;
    struct stripe_form f = {0};
    assert_string_equal(stripe_form_body(&f), "");
    stripe_form_text(&f, "a&b=c d/\xc3\xa4", "metadata[%s]", "x&y");
    stripe_form_text(&f, NULL, "left_out");
    stripe_form_text(&f, "", "cancel_at");
    stripe_form_i64(&f, INT64_MIN, "items[%d][quantity]", 3);
    stripe_form_bool(&f, false, "prorate");
    assert_string_equal(stripe_form_body(&f),
                        "metadata[x%26y]=a%26b%3Dc%20d%2F%C3%A4&cancel_at=&items[3][quantity]="
                        "-9223372036854775808&prorate=false");
    stripe_form_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decides),
        cmocka_unit_test(test_known_price_is_a_plans),
        cmocka_unit_test(test_changes_all_items_in_one_call),
        cmocka_unit_test(test_changes_at_the_periods_end),
        cmocka_unit_test(test_phases_keep_all_that_they_have),
        cmocka_unit_test(test_restores_all_that_was_released),
        cmocka_unit_test(test_period_end_is_the_fees),
        cmocka_unit_test(test_offers_by_lookup_key),
        cmocka_unit_test(test_forms_are_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
