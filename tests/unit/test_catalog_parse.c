/* The catalog file is taken whole, or every fault of it is told with its path. */
#include "ctl/catalog/catalog_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define A100                                                                                       \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaa"
#define CALLS METRIC("")
/* A good metric but for more; a good plan with these limits; a good limit but for more. */
#define METRIC(more)                                                                               \
    "{'metric': 'calls', 'name': 'Calls', 'unit': 'call', 'aggregation': 'sum', "                  \
    "'stripe_event_name': 'calls'" more "}"
#define PLAN(limits)                                                                               \
    "{'plan': 'free', 'name': 'Free', 'currency': 'usd', 'base_amount_minor': 0, 'limits': "       \
    "{" limits "}}"
#define METRICS(list) "{'metrics': [" list "], 'plans': []}"
#define LIMITS(list)  "{'metrics': [" CALLS "], 'plans': [" PLAN(list) "]}"
#define OVERAGE(a, per)                                                                            \
    LIMITS("'calls': {'included': '1', 'cap': 'none', 'overage': {'amount_minor': " a              \
           ", 'per': " per "}}")

/* C strings are easier to read with single quotes in them. */
static char *quoted(const char *text)
{
    char *out = strdup(text);

    for (char *at = out; *at; at++)
        if (*at == '\'')
            *at = '"';
    return out;
}

static void must_not_parse(const char *text, const char *faults)
{
    char *document = quoted(text);
    struct buf found = {0};
    json_t *rows = catalog_parse(document, strlen(document), &found);

    if (rows)
        fail_msg("was taken: %s", text);
    assert_string_equal(found.data, faults);
    buf_done(&found);
    free(document);
}

/* The row of a table as compact JSON, keys sorted. */
static void must_parse(const char *text, const char *table, const char *row)
{
    char *document = quoted(text);
    char *expected = quoted(row);
    struct buf faults = {0};
    json_t *rows = catalog_parse(document, strlen(document), &faults);

    if (!rows)
        fail_msg("%s", faults.data);
    char *found = json_dumps(json_array_get(json_object_get(rows, table), 0),
                             JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    assert_string_equal(found, expected);
    free(found);
    free(expected);
    free(document);
    json_decref(rows);
}

static void test_rows(void **state)
{
    (void)state;
    must_parse(METRICS(CALLS), "metrics",
               "{'aggregation':'sum','carry':false,'cost_currency':null,'cost_per_unit':null,"
               "'dimensions':[],'display_name':'Calls',"
               "'from_metric':null,'hours_saved':null,'metric':'calls','stripe_event_name':'calls',"
               "'transport':'meter_events','unit':'call','where_dimensions':{}}");
    must_parse(
        METRICS(
            "{'metric': 'large', 'name': 'L', 'unit': 'u', 'aggregation': 'last', 'carry': true,"
            "'dimensions': ['model', 'region'], 'from': 'calls', 'where': {'model': ''},"
            "'transport': 'none', 'rounding': 'floor'}," CALLS),
        "metrics",
        "{'aggregation':'last','carry':true,'cost_currency':null,'cost_per_unit':null,"
        "'dimensions':['model','region'],"
        "'display_name':'L','from_metric':'calls','hours_saved':null,'metric':'large',"
        "'stripe_event_name':null,'transport':'none','unit':'u',"
        "'where_dimensions':{'model':''}}");
    must_parse(
        "{'metrics': [], 'plans': [{'plan': 'p', 'name': 'P', 'currency': 'eur',"
        "'base_amount_minor': 9900, 'interval': 'year', 'stripe_lookup_key': 'k', 'limits': {}}]}",
        "plans",
        "{'base_amount_minor':9900,'billing_interval':'year','currency':'eur','custom':false,"
        "'display_name':'P','plan':'p','seat_amount_minor':null,'stripe_lookup_key':'k',"
        "'trial_days':0,'yearly_amount_minor':null,'yearly_seat_amount_minor':null}");
    must_parse(LIMITS("'calls': {'included': 'unlimited', 'cap': 'soft'}"), "limits",
               "{'cap':'soft','currency':'usd','included':null,"
               "'limit_window':'period','metric':'calls','overage_unit_price':null,'plan':'free'}");
    must_parse(LIMITS("'calls': {'included': '1', 'cap': 'hard', 'window': 'month'}"), "limits",
               "{'cap':'hard','currency':'usd','included':'1','limit_window':'month',"
               "'metric':'calls','overage_unit_price':null,'plan':'free'}");
    must_parse(
        OVERAGE("'0.5'", "'1000'"), "limits",
        "{'cap':'none','currency':'usd','included':'1',"
        "'limit_window':'period','metric':'calls','overage_unit_price':'0.0005','plan':'free'}");
}

/* A plan but for its currency and its limits. */
#define FEES(currency, more)                                                                       \
    "{'metrics': [], 'plans': [{'plan': 'p', 'name': 'P', 'currency': '" currency                  \
    "', 'limits': {}, " more "}]}"
#define TAX(more) "{'metrics': [], 'plans': [], 'tax': {'name': 'VAT'" more "}}"

static void test_fees_tax_and_worth(void **state)
{
    (void)state;
    must_parse(FEES("usd", "'base_amount_minor': 100, 'yearly_amount_minor': 1000, 'trial_days': "
                           "730, 'seat': {'amount_minor': 5, 'yearly_amount_minor': 50}"),
               "plans",
               "{'base_amount_minor':100,'billing_interval':'month','currency':'usd','custom':"
               "false,'display_name':'P','plan':'p','seat_amount_minor':5,'stripe_lookup_key':null,"
               "'trial_days':730,'yearly_amount_minor':1000,'yearly_seat_amount_minor':50}");
    must_parse(FEES("jpy", "'base_amount_minor': 0, 'seat': {'amount_minor': 5, "
                           "'yearly_amount_minor': 50}"),
               "plans",
               "{'base_amount_minor':0,'billing_interval':'month','currency':'jpy','custom':"
               "false,'display_name':'P','plan':'p','seat_amount_minor':5,'stripe_lookup_key':null,"
               "'trial_days':0,'yearly_amount_minor':null,'yearly_seat_amount_minor':50}");
    must_parse(FEES("usd", "'custom': true"), "plans",
               "{'base_amount_minor':0,'billing_interval':'month','currency':'usd','custom':"
               "true,'display_name':'P','plan':'p','seat_amount_minor':null,"
               "'stripe_lookup_key':null,'trial_days':0,'yearly_amount_minor':null,"
               "'yearly_seat_amount_minor':null}");
    must_parse(TAX(", 'percentage': '8.25', 'inclusive': true"), "tax",
               "{'display_name':'VAT','inclusive':true,'percentage':'8.25'}");
    must_parse(TAX(", 'percentage': '08.10'"), "tax",
               "{'display_name':'VAT','inclusive':false,'percentage':'8.1'}");
    must_parse(METRICS(METRIC(", 'cost_per_unit': {'amount_minor': '3', 'per': '1000', "
                              "'currency': 'eur'}, 'hours_saved': '0.250'")),
               "metrics",
               "{'aggregation':'sum','carry':false,'cost_currency':'eur','cost_per_unit':'0.003',"
               "'dimensions':[],'display_name':'Calls','from_metric':null,'hours_saved':'0.25',"
               "'metric':'calls','stripe_event_name':'calls',"
               "'transport':'meter_events','unit':'call','where_dimensions':{}}");
}

static void test_faults_of_fees_tax_and_worth(void **state)
{
    static const struct {
        const char *text;
        const char *fault;
    } CASES[] = {
        {FEES("bhd", "'base_amount_minor': 1005"),
         "plans[0].base_amount_minor: must be a multiple of 10: Stripe charges no less of bhd\n"},
        {FEES("isk", "'base_amount_minor': 0, 'seat': {'amount_minor': 150}"),
         "plans[0].seat.amount_minor: must be a multiple of 100: Stripe charges no less of isk\n"},
        {FEES("usd", "'base_amount_minor': 1, 'seat': {}"),
         "plans[0].seat.amount_minor: is missing\n"},
        {FEES("usd", "'base_amount_minor': 1, 'seat': {'amount_minor': 1, 'min': 1}"),
         "plans[0].seat.min: is not known\n"},
        {FEES("usd", "'base_amount_minor': 1, 'seat': 100"), "plans[0].seat: must be an object\n"},
        {FEES("usd", "'base_amount_minor': 1, 'trial_days': 731"),
         "plans[0].trial_days: must be at most 730\n"},
        {FEES("usd", "'base_amount_minor': 1, 'trial_days': '7'"),
         "plans[0].trial_days: must be a whole number, 0 or more\n"},
        {FEES("usd", "'base_amount_minor': 1, 'interval': 'year', 'yearly_amount_minor': 10"),
         "plans[0].yearly_amount_minor: needs a plan whose interval is month\n"},
        {FEES("usd", "'base_amount_minor': 1, 'seat': {'amount_minor': 1, "
                     "'yearly_amount_minor': 10}"),
         "plans[0].yearly_amount_minor: is missing: seat.yearly_amount_minor is there\n"},
        {FEES("usd", "'base_amount_minor': 1, 'yearly_amount_minor': 10, 'seat': {'amount_minor': "
                     "1}"),
         "plans[0].seat.yearly_amount_minor: is missing: yearly_amount_minor is there\n"},
        {FEES("usd", "'custom': 1, 'base_amount_minor': 1"),
         "plans[0].custom: must be true or false\n"},
        {FEES("usd", "'custom': true, 'base_amount_minor': 0"),
         "plans[0].base_amount_minor: is not for a custom plan, which is sold by hand\n"},
        {FEES("usd", "'custom': true, 'stripe_lookup_key': 'p'"),
         "plans[0].stripe_lookup_key: is not for a custom plan, which is sold by hand\n"},
        {"{'metrics': [" CALLS "], 'plans': [{'plan': 'p', 'name': 'P', 'currency': 'usd', "
         "'custom': true, 'limits': {'calls': {'included': '1', 'cap': 'none', 'overage': "
         "{'amount_minor': '1', 'per': '1'}}}}]}",
         "plans[0].limits.calls.overage: is not for a custom plan: its prices are agreed with each "
         "customer, and stand in the tenant's own limits\n"},
        {TAX(""), "tax.percentage: is missing\n"},
        {TAX(", 'percentage': 8"),
         "tax.percentage: must be a decimal in a string, such as \"0.5\"\n"},
        {TAX(", 'percentage': '100.0001'"),
         "tax.percentage: must be at most 100, with at most 4 digits behind the point\n"},
        {TAX(", 'percentage': '8.12345'"),
         "tax.percentage: must be at most 100, with at most 4 digits behind the point\n"},
        {TAX(", 'percentage': '8', 'country': 'DE'"), "tax.country: is not known\n"},
        {METRICS(METRIC(", 'cost_per_unit': {'amount_minor': '3', 'per': '0', 'currency': 'usd'}")),
         "metrics[0].cost_per_unit.per: must be above 0\n"},
        {METRICS(METRIC(", 'cost_per_unit': {'amount_minor': '3', 'per': '1'}")),
         "metrics[0].cost_per_unit.currency: is missing\n"},
        {METRICS(METRIC(", 'hours_saved': 2")),
         "metrics[0].hours_saved: must be a decimal in a string, such as \"0.5\"\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        must_not_parse(CASES[i].text, CASES[i].fault);
}

static void test_one_fault(void **state)
{
    static const struct {
        const char *text;
        const char *fault;
    } CASES[] = {
        {"{", "line 1, column 1: string or '}' expected near end of file\n"},
        {"{'metrics': [],\n 'plans': [}", "line 2, column 12: unexpected token near '}'\n"},
        {"{'metrics': [], 'metrics': []}",
         "line 1, column 25: duplicate object key near '\"metrics\"'\n"},
        {"[]", "catalog: must be an object\n"},
        {"{'metrics': []}", "plans: is missing\n"},
        {"{'metrics': {}, 'plans': []}", "metrics: must be an array\n"},
        {"{'metrics': [], 'plans': [], 'tiers': 1}", "tiers: is not known\n"},
        {METRICS("7"), "metrics[0]: must be an object\n"},
        {METRICS(METRIC(", 'color': 'red'")), "metrics[0].color: is not known\n"},
        {METRICS(METRIC(", 'a b\\u001b': 1")), "metrics[0].\"a b\\u001b\": is not known\n"},
        {METRICS(CALLS ", {'metric': 'calls', 'name': 'C', 'unit': 'u', 'aggregation': 'sum',"
                       "'stripe_event_name': 'other'}"),
         "metrics[1].metric: is used twice in this catalog\n"},
        {METRICS(CALLS ", {'metric': 'more', 'name': 'C', 'unit': 'u', 'aggregation': 'sum',"
                       "'stripe_event_name': 'calls'}"),
         "metrics[1].stripe_event_name: is used twice in this catalog\n"},
        {METRICS("{'metric': 'c', 'name': 'C', 'unit': 'u', 'aggregation': 'sum'}"),
         "metrics[0].stripe_event_name: is missing (only transport none can do without)\n"},
        {METRICS("{'metric': 'c', 'name': 'C', 'unit': 'u', 'aggregation': 'sum',"
                 "'stripe_event_name': '" A100 "x'}"),
         "metrics[0].stripe_event_name: must have at most 100 bytes, has 101\n"},
        {METRICS("{'metric': 'C', 'name': 'C', 'unit': 'u', 'aggregation': 'sum',"
                 "'stripe_event_name': 'c'}"),
         "metrics[0].metric: must be a name of 1 to 64 characters a-z, 0-9 and _\n"},
        {METRICS("{'metric': 'c', 'name': '', 'unit': 'u', 'aggregation': 'sum',"
                 "'stripe_event_name': 'c'}"),
         "metrics[0].name: must not be empty\n"},
        {METRICS("{'metric': 'c', 'name': 'C', 'unit': 'a\\nb', 'aggregation': 'sum',"
                 "'stripe_event_name': 'c'}"),
         "metrics[0].unit: must not contain control characters\n"},
        {METRICS("{'metric': 'c', 'name': 'C', 'unit': 'u', 'aggregation': 'average',"
                 "'stripe_event_name': 'c'}"),
         "metrics[0].aggregation: must be one of: sum, count, max, last, unique\n"},
        {METRICS("{'metric': 'c', 'name': 'C', 'unit': 'u', 'aggregation': 'unique',"
                 "'stripe_event_name': 'c'}"),
         "metrics[0].dimensions: must name at least one: unique counts their different values\n"},
        {METRICS(METRIC(", 'carry': true")), "metrics[0].carry: needs aggregation last\n"},
        {METRICS("{'metric': 'm', 'name': 'M', 'unit': 'u', 'aggregation': 'max', 'transport': "
                 "'usage_records', 'stripe_event_name': 'm'}"),
         "metrics[0].transport: usage_records needs aggregation sum or count\n"},
        {METRICS(METRIC(", 'carry': 1")), "metrics[0].carry: must be true or false\n"},
        {METRICS(METRIC(", 'transport': 'fax'")),
         "metrics[0].transport: must be one of: meter_events, meter_event_stream, usage_records, "
         "none\n"},
        {METRICS(METRIC(", 'rounding': 'up'")), "metrics[0].rounding: must be one of: floor\n"},
        {METRICS(METRIC(", 'dimensions': 'model'")), "metrics[0].dimensions: must be an array\n"},
        {METRICS(METRIC(", 'dimensions': ['model', 'x', 'model']")),
         "metrics[0].dimensions[2]: is listed twice\n"},
        {METRICS(METRIC(", 'dimensions': ['tenant']")),
         "metrics[0].dimensions[0]: is a field of every event, so it cannot be a dimension\n"},
        {METRICS(METRIC(", 'dimensions': [1]")),
         "metrics[0].dimensions[0]: must be a name of 1 to 64 characters a-z, 0-9 and _\n"},
        {METRICS(METRIC(", 'where': {'model': 'x'}")),
         "metrics[0].where: needs \"from\", the metric that it filters\n"},
        {METRICS(METRIC(", 'from': 'calls'")),
         "metrics[0].from: a metric cannot be derived from itself\n"},
        {METRICS(METRIC(", 'from': 'tokens'")),
         "metrics[0].from: there is no metric tokens in this catalog\n"},
        {METRICS(CALLS ", {'metric': 'a', 'name': 'A', 'unit': 'u', 'aggregation': 'sum',"
                       "'stripe_event_name': 'a', 'from': 'calls'},"
                       "{'metric': 'b', 'name': 'B', 'unit': 'u', 'aggregation': 'sum',"
                       "'stripe_event_name': 'b', 'from': 'a', 'where': {}}"),
         "metrics[2].from: a is itself derived from another metric\n"},
        {METRICS(CALLS ", {'metric': 'a', 'name': 'A', 'unit': 'u', 'aggregation': 'sum',"
                       "'stripe_event_name': 'a', 'from': 'calls', 'where': {'model': 1}}"),
         "metrics[1].where.model: must be a string of at most 256 bytes\n"},
        {"{'metrics': [], 'plans': [" PLAN("") "," PLAN("") "]}",
         "plans[1].plan: is used twice in this catalog\n"},
        {"{'metrics': [], 'plans': [{'plan': 'p', 'name': 'P', 'currency': 'USD',"
         "'base_amount_minor': 0, 'limits': {}}]}",
         "plans[0].currency: must be three lower-case letters, such as usd\n"},
        {"{'metrics': [], 'plans': [{'plan': 'p', 'name': 'P', 'currency': 'usd',"
         "'base_amount_minor': 9.5, 'limits': {}}]}",
         "plans[0].base_amount_minor: must be a whole number, 0 or more\n"},
        {"{'metrics': [], 'plans': [{'plan': 'p', 'name': 'P', 'currency': 'usd',"
         "'base_amount_minor': 0, 'interval': 'decade', 'limits': {}}]}",
         "plans[0].interval: must be one of: day, week, month, year\n"},
        {"{'metrics': [], 'plans': [{'plan': 'p', 'name': 'P', 'currency': 'usd',"
         "'base_amount_minor': 0}]}",
         "plans[0].limits: is missing\n"},
        {LIMITS("'tokens': {'included': '1', 'cap': 'none'}"),
         "plans[0].limits.tokens: there is no such metric in this catalog\n"},
        {LIMITS("'calls': 5"), "plans[0].limits.calls: must be an object\n"},
        {LIMITS("'calls': {'included': '1'}"), "plans[0].limits.calls.cap: is missing\n"},
        {LIMITS("'calls': {'included': '1', 'cap': 'firm'}"),
         "plans[0].limits.calls.cap: must be one of: none, soft, hard\n"},
        {LIMITS("'calls': {'included': '1', 'cap': 'none', 'window': 'year'}"),
         "plans[0].limits.calls.window: must be one of: period, month, day\n"},
        {LIMITS("'calls': {'cap': 'none'}"), "plans[0].limits.calls.included: is missing\n"},
        {LIMITS("'calls': {'included': 5, 'cap': 'none'}"),
         "plans[0].limits.calls.included: must be a decimal in a string, such as \"0.5\"\n"},
        {LIMITS("'calls': {'included': '-5', 'cap': 'none'}"),
         "plans[0].limits.calls.included: must not be negative\n"},
        {LIMITS("'calls': {'included': 'many', 'cap': 'none'}"),
         "plans[0].limits.calls.included: must be a decimal of at most 18 digits before and 9 "
         "behind the point\n"},
        {LIMITS("'calls': {'included': '1', 'cap': 'none', 'overage': {'amount_minor': '1'}}"),
         "plans[0].limits.calls.overage.per: is missing\n"},
        {LIMITS("'calls': {'included': 'unlimited', 'cap': 'none', 'overage': {'amount_minor': "
                "'1', 'per': '1'}}"),
         "plans[0].limits.calls.overage: would never be charged, because included is unlimited\n"},
        {OVERAGE("'1'", "'0'"), "plans[0].limits.calls.overage.per: must be above 0\n"},
        {OVERAGE("'1'", "'3'"),
         "plans[0].limits.calls.overage: the price of one unit must be exact "
         "with 12 digits before and 12 behind the point\n"},
        {OVERAGE("0.1", "'1'"),
         "plans[0].limits.calls.overage.amount_minor: must be a decimal in a "
         "string, such as \"0.5\"\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        must_not_parse(CASES[i].text, CASES[i].fault);
}

/* Reading goes on behind a fault: all are told in one go. */
static void test_all_faults_at_once(void **state)
{
    (void)state;
    must_not_parse(
        "{'metrics': [{'metric': 'x', 'unit': 5, 'aggregation': 'mean', 'transport': 'none'}],"
        "'plans': [{'plan': '', 'limits': {'y': {'cap': 1, 'more': 2}}}], 'z': 0}",
        "z: is not known\n"
        "metrics[0].name: is missing\n"
        "metrics[0].unit: must be a string\n"
        "metrics[0].aggregation: must be one of: sum, count, max, last, unique\n"
        "plans[0].plan: must be a name of 1 to 64 characters a-z, 0-9 and _\n"
        "plans[0].name: is missing\n"
        "plans[0].currency: is missing\n"
        "plans[0].base_amount_minor: is missing\n"
        "plans[0].limits.y: there is no such metric in this catalog\n"
        "plans[0].limits.y.more: is not known\n"
        "plans[0].limits.y.included: is missing\n"
        "plans[0].limits.y.cap: must be a string\n");
}

static void test_unit_price(void **state)
{
    static const struct {
        const char *amount;
        const char *per;
        const char *price; /* NULL: not exact */
    } CASES[] = {
        {"1", "1000", "0.001"},
        {"0", "7", "0"},
        {"10", "1", "10"},
        {"0.05", "1", "0.05"},
        {"3", "0.5", "6"},
        {"1", "3", NULL},
        {"3", "3", "1"},
        {"2", "6", NULL},
        {"1", "1024", "0.0009765625"},
        {"1", "4096", "0.000244140625"},
        {"1", "8192", NULL},
        {"0.000000001", "1000", "0.000000000001"},
        {"0.000000001", "10000", NULL},
        {"999999999999", "1", "999999999999"},
        {"1000000000000", "1", NULL},
        {"999999999999999999.999999999", "0.000000001", NULL},
    };
    char price[CATALOG_PRICE_SIZE];
    struct dec amount;
    struct dec per;

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        assert_int_equal(dec_parse_quantity(CASES[i].amount, strlen(CASES[i].amount), &amount), 0);
        assert_int_equal(dec_parse_quantity(CASES[i].per, strlen(CASES[i].per), &per), 0);
        assert_int_equal(catalog_unit_price(amount, per, price), CASES[i].price ? 0 : -1);
        if (CASES[i].price)
            assert_string_equal(price, CASES[i].price);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_fees_tax_and_worth),
        cmocka_unit_test(test_faults_of_fees_tax_and_worth),
        cmocka_unit_test(test_one_fault),
        cmocka_unit_test(test_all_faults_at_once),
        cmocka_unit_test(test_unit_price),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
