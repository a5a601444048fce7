/* Entries into events, or into reasons: the rules of the stream, as tables. */
#include "aggregator/batch/event.h"
#include "aggregator/batch/event_id.h"
#include "aggregator/batch/json_text.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define ENTRY_MS 1795000000000LL
#define A64      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A128     A64 A64
#define A256     A128 A128
#define GOOD     F("tenant", "acme"), F("metric", "calls")
#define F(name, value)                                                                             \
    {                                                                                              \
        TEXT_INIT(name), TEXT_INIT(value)                                                          \
    }
#define TEXT_INIT(literal)                                                                         \
    {                                                                                              \
        .data = (literal), .length = sizeof(literal) - 1                                           \
    }

struct field {
    struct text name;
    struct text value;
};

enum { CALLS, TOKENS, LARGE, EU };

static const unsigned char KEY[16] = "a fixed test key";
static struct entries entries;
static struct tenants tenants;
static struct event_parser parser;
static struct catalog *catalog;

static void add_metric(struct metric_def m, int expected)
{
    struct err e;
    assert_int_equal(catalog_add(catalog, &m, &e), expected);
}

static int setup(void **state)
{
    (void)state;
    char model[] = "model", region[] = "region", tokens[] = "tokens", large[] = "large";
    char empty[] = "";
    char *both[] = {region, model};
    struct catalog_filter is_large[] = {{model, large}};
    struct catalog_filter no_region[] = {{model, large}, {region, empty}};
    struct err e;

    catalog = catalog_new();
    add_metric((struct metric_def){.name = "calls", .aggregation = AGG_COUNT}, CALLS);
    add_metric((struct metric_def){.name = "tokens", .dimensions = both, .dimensions_count = 2},
               TOKENS);
    add_metric((struct metric_def){.name = "large",
                                   .from = tokens,
                                   .where = is_large,
                                   .where_count = 1,
                                   .dimensions = both,
                                   .dimensions_count = 1},
               LARGE);
    add_metric(
        (struct metric_def){.name = "eu", .from = tokens, .where = no_region, .where_count = 2},
        EU);
    assert_int_equal(catalog_link(catalog, &e), 0);
    tenants_init(&tenants, KEY);
    parser = (struct event_parser){
        .catalog = catalog, .tenants = &tenants, .stream = TEXT("usage:events"), .shards = 1};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    event_parser_done(&parser);
    tenants_done(&tenants);
    entries_done(&entries);
    catalog_free(catalog);
    return 0;
}

static int parse_at(uint64_t ms, const struct field *fields, size_t count, struct event *out,
                    struct reject *why)
{
    entries_clear(&entries);
    entries_add(&entries, ms, 7);
    for (size_t i = 0; i < count; i++)
        entries_add_field(&entries, fields[i].name, fields[i].value);
    return event_parse(&parser, &entries, 0, out, why);
}

static void assert_text(struct text actual, const char *expected)
{
    if (actual.length != strlen(expected) || memcmp(actual.data, expected, actual.length) != 0)
        fail_msg("%.*s is not %s", (int)actual.length, actual.data, expected);
}

static struct event parse_good(const struct field *fields, size_t count)
{
    struct event event;
    struct reject why;

    if (parse_at(ENTRY_MS, fields, count, &event, &why) < 0)
        fail_msg("rejected: %s, %s", why.reason, why.detail);
    return event;
}

static void assert_rejected(const char *reason, const char *detail, const struct field *fields,
                            size_t count)
{
    struct event event;
    struct reject why = {0};

    if (parse_at(ENTRY_MS, fields, count, &event, &why) == 0)
        fail_msg("accepted, but should be %s: %s", reason, detail);
    if (strcmp(why.reason, reason) != 0 || strstr(why.detail, detail) == NULL)
        fail_msg("%s, %s; but should be %s, %s", why.reason, why.detail, reason, detail);
    for (const char *at = why.detail; *at != '\0'; at++)
        assert_in_range(*at, ' ', '~');
}

#define PARSE(...)                                                                                 \
    parse_good((const struct field[]){__VA_ARGS__},                                                \
               sizeof((const struct field[]){__VA_ARGS__}) / sizeof(struct field))
#define REJECT(reason, detail, ...)                                                                \
    assert_rejected(reason, detail, (const struct field[]){__VA_ARGS__},                           \
                    sizeof((const struct field[]){__VA_ARGS__}) / sizeof(struct field))

static void the_least_entry_gets_every_default(void **state)
{
    /* Tenant and metric are enough: quantity 1, the entry's time, an id of stream and entry. */
    (void)state;
    struct event event = PARSE(GOOD);

    assert_text(event.tenant->name, "acme");
    assert_int_equal(event.metric, CALLS);
    assert_int_equal(dec_cmp(event.quantity, dec_from_i64(1)), 0);
    assert_int_equal(event.domain, ID_DEFAULT);
    assert_text(event.id, "usage:events/1795000000000-7");
    assert_int_equal(event.occurred_ms, ENTRY_MS);
    assert_text(event.fields_json, "{}");
    assert_text(event.dims_json, "{}");
    assert_true(event.ms == ENTRY_MS && event.seq == 7);
    assert_false(event.retract || event.has_ts);
}

static void every_field_is_taken_in_any_order(void **state)
{
    /* Field order is free; dimensions come out sorted, and those of the catalog once more. */
    (void)state;
    struct event event =
        PARSE(F("zone", "b"), F("region", "eu"), F("ts", "1794999999999"), F("quantity", "-2.5"),
              F("model", "large"), F("id", "k1"), F("metric", "tokens"), F("tenant", "acme"));
    char quantity[DEC_TEXT_SIZE];

    dec_format(event.quantity, quantity);
    assert_string_equal(quantity, "-2.5");
    assert_int_equal(event.metric, TOKENS);
    assert_int_equal(event.domain, ID_GIVEN);
    assert_text(event.id, "k1");
    assert_true(event.has_ts);
    assert_int_equal(event.occurred_ms, ENTRY_MS - 1);
    assert_text(event.fields_json, "{\"model\":\"large\",\"region\":\"eu\",\"zone\":\"b\"}");
    assert_text(event.dims_json, "{\"model\":\"large\",\"region\":\"eu\"}");
}

static void the_same_fields_give_the_same_bytes(void **state)
{
    /* Canonical: two entries whose dimensions differ in order only give equal objects. */
    (void)state;
    struct event a = PARSE(GOOD, F("b", "2"), F("a", "1"), F("ab", "3"), F("a_", "4"));
    struct event b = PARSE(F("a_", "4"), F("ab", "3"), GOOD, F("a", "1"), F("b", "2"));

    assert_text(a.fields_json, "{\"a\":\"1\",\"a_\":\"4\",\"ab\":\"3\",\"b\":\"2\"}");
    assert_true(text_equal(a.fields_json, b.fields_json));
    assert_text(PARSE(F("tenant", "t"), F("metric", "tokens"), F("region", "x")).dims_json,
                "{\"region\":\"x\"}");
    assert_text(PARSE(F("tenant", "t"), F("metric", "tokens"), F("zone", "x")).dims_json, "{}");
}

static void values_are_escaped_where_json_needs_it(void **state)
{
    /* Quotes, backslashes and controls are escaped; all other UTF-8 stays as it is. */
    (void)state;
    assert_text(PARSE(GOOD, F("a", "\"\\\b\f\n\r\t\x01\x1f\x7f/\u00e9\U0001f600")).fields_json,
                "{\"a\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/\u00e9\U0001f600\"}");
    assert_text(PARSE(GOOD, F("a", ""), F("b", "12345678\"")).fields_json,
                "{\"a\":\"\",\"b\":\"12345678\\\"\"}");
    assert_text(PARSE(GOOD, F("a", "\n1234567"), F("b", "123456789\\bcdefg")).fields_json,
                "{\"a\":\"\\n1234567\",\"b\":\"123456789\\\\bcdefg\"}");
}

static void the_bounds_themselves_are_good(void **state)
{
    /* The longest tenant, id and value, 16 dimensions, and times exactly at both edges. */
    (void)state;
    PARSE(F("tenant", A128), F("metric", "calls"));
    PARSE(GOOD,
          F("id", A128 A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    PARSE(GOOD, F(A64, A256));
    PARSE(GOOD, F("id", "\n"), F("quantity", "999999999999999999.999999999"));
    PARSE(GOOD, F("a", ""), F("b", ""), F("c", ""), F("d", ""), F("e", ""), F("f", ""), F("g", ""),
          F("h", ""), F("i", ""), F("j", ""), F("k", ""), F("l", ""), F("m", ""), F("n", ""),
          F("o", ""), F("p", ""));
    assert_int_equal(PARSE(GOOD, F("ts", "1791976000000")).occurred_ms, ENTRY_MS - 35 * DAY_MS);
    assert_int_equal(PARSE(GOOD, F("ts", "1795000300000")).occurred_ms, ENTRY_MS + 300000);
}

static void missing_fields_are_named(void **state)
{
    /* Without a tenant or a metric there is nothing to count; a deleted entry has neither. */
    (void)state;
    REJECT(REASON_MISSING_FIELD, "tenant", F("metric", "calls"));
    REJECT(REASON_MISSING_FIELD, "metric", F("tenant", "acme"));
    REJECT(REASON_MISSING_FIELD, "id", F("tenant", "acme"), F("op", "retract"));
    assert_rejected(REASON_MISSING_FIELD, "tenant", NULL, 0);
}

static void bad_fields_are_named(void **state)
{
    /* Text is UTF-8 without NUL, names have the contract's form, none comes twice. */
    (void)state;
    REJECT(REASON_BAD_FIELD, "tenant: is empty", F("tenant", ""), F("metric", "calls"));
    REJECT(REASON_BAD_FIELD, "control", F("tenant", "a\nb"), F("metric", "calls"));
    REJECT(REASON_BAD_FIELD, "control", F("tenant", "a\x7f"), F("metric", "calls"));
    REJECT(REASON_BAD_FIELD, "control", F("tenant", "a\xc2\x80"), F("metric", "calls"));
    REJECT(REASON_BAD_FIELD, "control", F("tenant", "\xc2\x9f tenant"), F("metric", "calls"));
    REJECT(REASON_BAD_FIELD, "control", F("tenant", "a tenant\x7f"), F("metric", "calls"));
    REJECT(REASON_BAD_FIELD, "control", F("tenant", "\x7f tenant"), F("metric", "calls"));
    REJECT(REASON_BAD_FIELD, "field 1: value", F("tenant", "a\xff"), F("metric", "calls"));
    REJECT(REASON_BAD_FIELD, "field 3: value", GOOD, F("a", "\0"));
    REJECT(REASON_BAD_FIELD, "field 3: value", GOOD, F("a", "1234567\xc0\xaf"));
    REJECT(REASON_BAD_FIELD, "field 3: value", GOOD, F("a", "\xed\xa0\x80"));
    REJECT(REASON_BAD_FIELD, "field 3: value", GOOD, F("id", "12345678\0"));
    REJECT(REASON_BAD_FIELD, "field 3: name", GOOD, F("", "x"));
    REJECT(REASON_BAD_FIELD, "field 3: name", GOOD, F("Model", "x"));
    REJECT(REASON_BAD_FIELD, "field 3: name", GOOD, F("ID", "x"));
    REJECT(REASON_BAD_FIELD, "field 3: name", GOOD, F("a-b", "x"));
    REJECT(REASON_BAD_FIELD, "field 3: name", GOOD, F("a\0", "x"));
    REJECT(REASON_BAD_FIELD, "field 3: name", GOOD, F("\xff\xff", "x"));
    REJECT(REASON_BAD_FIELD, "field 3: name", GOOD, F(A64 "a", "x"));
    REJECT(REASON_BAD_FIELD, "a: comes twice", GOOD, F("a", "1"), F("b", "1"), F("a", "1"));
    REJECT(REASON_BAD_FIELD, "tenant: comes twice", GOOD, F("tenant", "acme"));
    REJECT(REASON_BAD_FIELD, "quantity: comes twice", GOOD, F("quantity", ""), F("quantity", ""));
    REJECT(REASON_BAD_FIELD, "op:", GOOD, F("op", "add"));
    REJECT(REASON_BAD_FIELD, "op:", GOOD, F("op", ""));
    REJECT(REASON_BAD_FIELD, "id: is empty", GOOD, F("id", ""));
    REJECT(REASON_BAD_FIELD, "metric:", F("tenant", "a"), F("metric", "No-Name"));
    REJECT(REASON_BAD_FIELD, "metric:", F("tenant", "a"), F("metric", ""));
    REJECT(REASON_BAD_FIELD, "metric:", F("tenant", "a"), F("metric", A64 "a"));
}

static void what_passes_a_bound_is_too_large(void **state)
{
    /* One byte or one dimension more than the contract allows. */
    (void)state;
    REJECT(REASON_TOO_LARGE, "tenant: 129", F("tenant", A128 "a"), F("metric", "calls"));
    REJECT(REASON_TOO_LARGE, "id: 256", GOOD, F("id", A256));
    REJECT(REASON_TOO_LARGE, "a: 257", GOOD, F("a", A256 "a"));
    REJECT(REASON_TOO_LARGE, "q: more than 16", GOOD, F("a", ""), F("b", ""), F("c", ""),
           F("d", ""), F("e", ""), F("f", ""), F("g", ""), F("h", ""), F("i", ""), F("j", ""),
           F("k", ""), F("l", ""), F("m", ""), F("n", ""), F("o", ""), F("p", ""), F("q", ""));
}

static void only_the_catalog_has_metrics(void **state)
{
    /* A well-formed name that is not there, or only derived, is an unknown metric. */
    (void)state;
    REJECT(REASON_UNKNOWN_METRIC, "nope is not", F("tenant", "a"), F("metric", "nope"));
    REJECT(REASON_UNKNOWN_METRIC, "large is derived", F("tenant", "a"), F("metric", "large"));
}

static void bad_quantities_are_refused(void **state)
{
    /* A quantity that is given must be one, also where events are only counted. */
    (void)state;
    REJECT(REASON_BAD_QUANTITY, "quantity", GOOD, F("quantity", ""));
    REJECT(REASON_BAD_QUANTITY, "quantity", GOOD, F("quantity", "1e3"));
    REJECT(REASON_BAD_QUANTITY, "quantity", GOOD, F("quantity", "+1"));
    REJECT(REASON_BAD_QUANTITY, "quantity", GOOD, F("quantity", "1."));
    REJECT(REASON_BAD_QUANTITY, "quantity", GOOD, F("quantity", "1000000000000000000"));
    REJECT(REASON_BAD_QUANTITY, "quantity", GOOD, F("quantity", "0.1234567891"));
    REJECT(REASON_BAD_QUANTITY, "quantity", GOOD, F("quantity", "NaN"));
}

static void timestamps_are_bounded_by_the_entry(void **state)
{
    /* 35 days before the entry and 5 minutes after it, to the millisecond; any number else. */
    (void)state;
    REJECT(REASON_BAD_TIMESTAMP, "ts", GOOD, F("ts", ""));
    REJECT(REASON_BAD_TIMESTAMP, "ts", GOOD, F("ts", "now"));
    REJECT(REASON_BAD_TIMESTAMP, "ts", GOOD, F("ts", "1795000000000.5"));
    REJECT(REASON_BAD_TIMESTAMP, "ts", GOOD, F("ts", "9223372036854775808"));
    REJECT(REASON_TOO_OLD, "ts", GOOD, F("ts", "1791975999999"));
    REJECT(REASON_TOO_OLD, "ts", GOOD, F("ts", "-9223372036854775808"));
    REJECT(REASON_TOO_OLD, "ts", GOOD, F("ts", "1795000000"));
    REJECT(REASON_IN_FUTURE, "ts", GOOD, F("ts", "1795000300001"));
    REJECT(REASON_IN_FUTURE, "ts", GOOD, F("ts", "9223372036854775807"));
}

static int64_t id_ms_at(uint64_t entry_ms, const char *id, bool *new_id)
{
    const struct field fields[] = {GOOD,
                                   {TEXT("id"), {.data = id, .length = (uint32_t)strlen(id)}}};
    struct event event;
    struct reject why;

    assert_int_equal(parse_at(entry_ms, fields, 3, &event, &why), 0);
    *new_id = event.new_id;
    return event.id_ms;
}

static void an_id_tells_its_time_unless_its_entry_comes_before(void **state)
{
    /* By 5 minutes. It is new for 35 days. */
    (void)state;
    static const char ID[] = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    static const int64_t MADE = 1645557742000;
    bool new_id;

    assert_int_equal(id_ms_at(MADE, ID, &new_id), MADE);
    assert_true(new_id);
    assert_int_equal(id_ms_at(MADE - 5 * MINUTE_MS, ID, &new_id), MADE);
    assert_true(new_id);
    assert_int_equal(id_ms_at(MADE - 5 * MINUTE_MS - 1, ID, &new_id), ID_TIME_NONE);
    assert_false(new_id);
    assert_int_equal(id_ms_at(MADE + 35 * DAY_MS, ID, &new_id), MADE);
    assert_true(new_id);
    assert_int_equal(id_ms_at(MADE + 35 * DAY_MS + 1, ID, &new_id), MADE);
    assert_false(new_id);
    assert_int_equal(id_ms_at(7, ID, &new_id), ID_TIME_NONE);
    assert_int_equal(id_ms_at(MADE, "k1", &new_id), ID_TIME_NONE);
    assert_false(new_id);
    assert_int_equal(PARSE(GOOD).id_ms, ID_TIME_NONE);
}

static void the_entry_id_may_be_any_number(void **state)
{
    /* An id from 0 on is a time; one beyond the year 9999 is in the future, whatever ts says. */
    (void)state;
    static const struct field good[] = {GOOD};
    static const struct field dated[] = {GOOD, F("ts", "-3024000000")};
    struct event event;
    struct reject why;

    assert_int_equal(parse_at(0, good, 2, &event, &why), 0);
    assert_int_equal(event.occurred_ms, 0);
    assert_int_equal(parse_at(0, dated, 3, &event, &why), 0);
    assert_int_equal(event.occurred_ms, -35 * DAY_MS);
    assert_int_equal(parse_at(253402300799999, good, 2, &event, &why), 0);
    assert_int_equal(parse_at(253402300800000, good, 2, &event, &why), -1);
    assert_string_equal(why.reason, REASON_IN_FUTURE);
    assert_int_equal(parse_at(UINT64_MAX, dated, 3, &event, &why), -1);
    assert_string_equal(why.reason, REASON_IN_FUTURE);
}

static void a_retraction_needs_tenant_and_id_only(void **state)
{
    /* Its id is in a domain of its own. Metric and quantity are checked for their form if they are
     * there: the event's metric may have left the catalog. */
    (void)state;
    struct event event = PARSE(F("op", "retract"), F("id", "k1"), F("tenant", "acme"));

    assert_true(event.retract);
    assert_int_equal(event.domain, ID_RETRACT);
    assert_int_equal(event.metric, -1);
    assert_true(dec_is_zero(event.quantity));
    assert_text(event.dims_json, "{}");
    assert_int_equal(PARSE(GOOD, F("op", "retract"), F("id", "k")).metric, CALLS);
    REJECT(REASON_BAD_QUANTITY, "", F("op", "retract"), F("id", "k"), F("tenant", "a"),
           F("quantity", "x"));
    REJECT(REASON_BAD_FIELD, "", F("op", "retract"), F("id", "k"), F("tenant", "a"),
           F("metric", "X"));
    assert_int_equal(
        PARSE(F("op", "retract"), F("id", "k"), F("tenant", "a"), F("metric", "x")).metric, -1);
}

static void a_tenant_belongs_to_one_shard(void **state)
{
    /* crc16(tenant) mod N names the shard that takes the event; the others refuse it. */
    (void)state;
    static const struct field fields[] = {F("tenant", "123456789"), F("metric", "calls")};
    struct event event;
    struct reject why;

    parser.shards = 5; /* crc16 of 123456789 is 0x31c3, 12739: 4 mod 5 */
    for (parser.shard = 0; parser.shard < 5; parser.shard++) {
        int expected = parser.shard == 4 ? 0 : -1;
        assert_int_equal(parse_at(ENTRY_MS, fields, 2, &event, &why), expected);
        if (expected < 0)
            assert_string_equal(why.reason, REASON_WRONG_SHARD);
    }
}

static struct text tenant_of_reject(const struct field *fields, size_t count)
{
    struct event event;
    struct reject why;

    assert_int_equal(parse_at(ENTRY_MS, fields, count, &event, &why), -1);
    return why.tenant;
}

static void a_reject_tells_the_tenant_if_it_is_one(void **state)
{
    /* Whatever the fault, a tenant that a table can hold is told; another is not. */
    (void)state;
    static const struct field early[] = {F("a", "\xff"), F("tenant", "acme")};
    static const struct field broken[] = {F("tenant", "a\xff"), F("metric", "calls")};
    static const struct field control[] = {F("tenant", "a\n"), F("metric", "calls")};
    static const struct field large[] = {F("tenant", A128 "a")};

    assert_text(tenant_of_reject(early, 2), "acme");
    assert_int_equal(tenant_of_reject(broken, 2).length, 0);
    assert_int_equal(tenant_of_reject(control, 2).length, 0);
    assert_int_equal(tenant_of_reject(large, 1).length, 0);
    assert_int_equal(tenant_of_reject(NULL, 0).length, 0);
}

static void derived_metrics_filter_by_dimensions(void **state)
{
    /* Every condition must hold, an absent dimension equals nothing, not even the empty value. */
    (void)state;
    struct event out;
    struct event event =
        PARSE(F("tenant", "t"), F("metric", "tokens"), F("model", "large"), F("region", ""));

    assert_true(event_derive(&parser, &entries, &event, LARGE, &out));
    assert_int_equal(out.metric, LARGE);
    assert_text(out.dims_json, "{\"region\":\"\"}");
    assert_text(out.fields_json, "{\"model\":\"large\",\"region\":\"\"}");
    assert_true(event_derive(&parser, &entries, &event, EU, &out));
    assert_text(out.dims_json, "{}");
    event = PARSE(F("tenant", "t"), F("metric", "tokens"), F("model", "large"));
    assert_true(event_derive(&parser, &entries, &event, LARGE, &out));
    assert_false(event_derive(&parser, &entries, &event, EU, &out));
    event = PARSE(F("tenant", "t"), F("metric", "tokens"), F("model", "largest"));
    assert_false(event_derive(&parser, &entries, &event, LARGE, &out));
}

static void a_tenant_is_worked_out_once(void **state)
{
    /* The same name gives the same ref, until the table is trimmed; the slice is SHA-256's. */
    (void)state;
    const struct tenant_ref *acme = tenants_intern(&tenants, TEXT("acme"));

    /* printf acme | sha256sum: 822b… */
    assert_int_equal(tenant_slice("acme", 4), 0x82 & 15);
    assert_int_equal(acme->slice, 0x82 & 15);
    for (int i = 0; i < 5000; i++) {
        char *name = xasprintf("tenant-%d", i);
        struct text text = {.data = name, .length = (uint32_t)strlen(name)};
        const struct tenant_ref *ref = tenants_intern(&tenants, text);
        assert_int_equal(ref->number, i + 1);
        memset(name, 'x', strlen(name));
        free(name);
        assert_ptr_equal(tenants_intern(&tenants, ref->name), ref);
    }
    assert_ptr_equal(tenants_intern(&tenants, TEXT("acme")), acme);
    tenants_trim(&tenants, 5001);
    assert_int_equal(tenants.count, 5001);
    tenants_trim(&tenants, 5000);
    assert_int_equal(tenants.count, 0);
    assert_int_equal(tenants_intern(&tenants, TEXT("tenant-9"))->number, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void plain_text_is_judged_by_each_byte(void **state)
{
    /* Any byte at any place of a short text: plain is what JSON takes as it is, in ASCII. */
    (void)state;
    char text[34];

    for (uint32_t length = 1; length < sizeof(text); length++)
        for (uint32_t at = 0; at < length; at++)
            for (int byte = 0; byte < 256; byte++) {
                bool wanted = byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
                memset(text, "a~ !"[byte % 4], sizeof(text));
                text[at] = (char)byte;
                assert_int_equal(text_is_plain((struct text){.data = text, .length = length}),
                                 wanted);
            }
    assert_true(text_is_plain((struct text){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_least_entry_gets_every_default),
        TEST(every_field_is_taken_in_any_order),
        TEST(the_same_fields_give_the_same_bytes),
        TEST(values_are_escaped_where_json_needs_it),
        TEST(the_bounds_themselves_are_good),
        TEST(missing_fields_are_named),
        TEST(bad_fields_are_named),
        TEST(what_passes_a_bound_is_too_large),
        TEST(only_the_catalog_has_metrics),
        TEST(bad_quantities_are_refused),
        TEST(timestamps_are_bounded_by_the_entry),
        TEST(an_id_tells_its_time_unless_its_entry_comes_before),
        TEST(an_id_tells_its_time_unless_its_entry_comes_before),
        TEST(the_entry_id_may_be_any_number),
        TEST(a_retraction_needs_tenant_and_id_only),
        TEST(a_tenant_belongs_to_one_shard),
        TEST(a_reject_tells_the_tenant_if_it_is_one),
        TEST(derived_metrics_filter_by_dimensions),
        TEST(a_tenant_is_worked_out_once),
        cmocka_unit_test(plain_text_is_judged_by_each_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
