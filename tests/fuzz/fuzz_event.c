/* Any fields as an entry. The input: one byte of shards, eight of the entry's time, then names and
 * values in turn, each after its length in two bytes. */
#include "aggregator/batch/event.h"
#include "aggregator/batch/minute_sums.h"
#include "aggregator/batch/reject.h"
#include "common/contract.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <jansson.h>

static const unsigned char EVENT_KEY[16] = "a fixed test key";

struct bytes {
    const uint8_t *at;
    size_t left;
};

static uint64_t take_number(struct bytes *b, int count)
{
    uint64_t value = 0;

    for (; count > 0 && b->left > 0; count--, b->left--)
        value = value << 8 | *b->at++;
    return value;
}

static struct text take_text(struct bytes *b)
{
    size_t length = take_number(b, 2);
    struct text text;

    if (length > b->left)
        length = b->left;
    text = (struct text){.data = (const char *)b->at, .length = (uint32_t)length};
    b->at += length;
    b->left -= length;
    return text;
}

static struct catalog *open_catalog(void)
{
    char model[] = "model", region[] = "region", calls[] = "calls", large[] = "large";
    char *dimensions[] = {model, region};
    struct catalog_filter where[] = {{model, large}};
    struct metric_def base = {.name = "calls", .dimensions = dimensions, .dimensions_count = 2};
    struct metric_def derived = {.name = "large", .from = calls, .where = where, .where_count = 1};
    struct catalog *c = catalog_new();
    struct err e;

    assert(catalog_add(c, &base, &e) == 0 && catalog_add(c, &derived, &e) == 1);
    assert(catalog_link(c, &e) == 0);
    return c;
}

/* Valid JSON, without a NUL even in its escapes: what jsonb takes. */
static void must_be_json(const char *data, size_t length)
{
    json_error_t error;
    json_t *root = json_loadb(data, length, JSON_REJECT_DUPLICATES, &error);

    assert(root != NULL);
    json_decref(root);
}

static void must_be_event(struct event_parser *p, const struct entries *entries,
                          const struct event *event)
{
    struct minute_sums sums;
    struct event derived;

    assert(event->tenant->name.length >= 1 && event->tenant->name.length <= TENANT_MAX_BYTES);
    assert(event->id.length >= 1);
    assert(event->occurred_ms >= (int64_t)event->ms - EVENT_AGE_MAX_MS);
    assert(event->occurred_ms <= (int64_t)event->ms + EVENT_FUTURE_MAX_MS);
    must_be_json(event->fields_json.data, event->fields_json.length);
    must_be_json(event->dims_json.data, event->dims_json.length);
    if (event->retract)
        return;
    minute_sums_init(&sums, EVENT_KEY);
    assert(minute_sums_add(&sums, event) == 0);
    if (event_derive(p, entries, event, 1, &derived))
        assert(minute_sums_add(&sums, &derived) == 0);
    minute_sums_sort(&sums);
    minute_sums_done(&sums);
}

static void must_be_reason(const struct reject *why)
{
    assert(why->reason != NULL && why->detail[0] != '\0');
    for (const char *at = why->detail; *at != '\0'; at++)
        assert(*at >= ' ' && *at <= '~');
    assert(why->tenant.length <= TENANT_MAX_BYTES);
}

static void must_be_kept(const struct entries *entries)
{
    struct buf json = {0};

    reject_fields_json(entries, 0, &json);
    assert(json.length <= REJECTED_FIELDS_MAX_BYTES);
    must_be_json(json.data, json.length);
    buf_done(&json);
}

/* The value of a field that an accepted event has once, or NULL. */
static const struct text *field_of(const struct entries *entries, const char *name)
{
    const struct text *found = NULL;

    for (uint32_t i = 0; i < entries->list[0].fields; i += 2) {
        const struct text *strings = entries_fields(entries, 0) + i;
        if (strings[0].length != strlen(name) ||
            memcmp(strings[0].data, name, strings[0].length) != 0)
            continue;
        assert(found == NULL);
        found = &strings[1];
    }
    return found;
}

/* Every field but the six named ones is a member of the object, with its very bytes. */
static void must_hold_fields(const struct entries *entries, const struct event *event)
{
    static const char *const KNOWN[] = {"tenant", "metric", "quantity", "id", "ts", "op"};
    json_t *object = json_loadb(event->fields_json.data, event->fields_json.length, 0, NULL);
    size_t left = json_object_size(object);

    for (uint32_t i = 0; i < entries->list[0].fields; i += 2) {
        const struct text *strings = entries_fields(entries, 0) + i;
        bool known = false;
        for (size_t k = 0; k < sizeof(KNOWN) / sizeof(KNOWN[0]); k++)
            known |= strings[0].length == strlen(KNOWN[k]) &&
                     memcmp(strings[0].data, KNOWN[k], strings[0].length) == 0;
        if (known)
            continue;
        char name[65] = "";
        assert(strings[0].length < sizeof(name));
        memcpy(name, strings[0].data, strings[0].length);
        const json_t *member = json_object_get(object, name);
        assert(member != NULL && json_string_length(member) == strings[1].length);
        assert(memcmp(json_string_value(member), strings[1].data, strings[1].length) == 0);
        left--;
    }
    assert(left == 0);
    json_decref(object);
}

/* What it says is what the entry says. */
static void must_tell(const struct entries *entries, const struct event *event)
{
    const struct text *tenant = field_of(entries, "tenant");
    const struct text *quantity = field_of(entries, "quantity");
    const struct text *id = field_of(entries, "id");
    const struct text *ts = field_of(entries, "ts");
    struct dec wanted = event->retract ? DEC_ZERO : dec_from_i64(1);

    assert(tenant != NULL && text_equal(*tenant, event->tenant->name));
    assert(quantity == NULL || dec_parse(quantity->data, quantity->length, &wanted) == 0);
    assert(dec_cmp(wanted, event->quantity) == 0);
    assert(id != NULL ? text_equal(*id, event->id) : event->domain == ID_DEFAULT);
    assert(event->has_ts == (ts != NULL));
    assert(ts != NULL || event->occurred_ms == (int64_t)event->ms);
    assert(event->retract == (field_of(entries, "op") != NULL));
    must_hold_fields(entries, event);
}

/* The order of the fields does not matter. */
static void must_not_depend_on_order(struct event_parser *p, const struct entries *entries,
                                     const struct event *event)
{
    struct entries reversed = {0};
    struct event again;
    struct reject why;

    entries_add(&reversed, entries->list[0].ms, entries->list[0].seq);
    for (uint32_t i = entries->list[0].fields; i > 0; i -= 2) {
        const struct text *strings = entries_fields(entries, 0) + i - 2;
        entries_add_field(&reversed, strings[0], strings[1]);
    }
    if (event_parse(p, &reversed, 0, &again, &why) != 0) {
        assert(event == NULL);
    } else {
        assert(event != NULL && event->tenant == again.tenant && event->metric == again.metric);
        assert(event->domain == again.domain && event->occurred_ms == again.occurred_ms);
        assert(dec_cmp(event->quantity, again.quantity) == 0);
        assert(text_equal(event->id, again.id));
        assert(text_equal(event->fields_json, again.fields_json));
        assert(text_equal(event->dims_json, again.dims_json));
    }
    entries_done(&reversed);
}

static void fuzz_event(const uint8_t *data, size_t size)
{
    struct bytes input = {.at = data, .left = size};
    struct event_parser parser = {.stream = TEXT("usage:events"),
                                  .shards = (int)take_number(&input, 1) % 3};
    struct catalog *catalog = open_catalog();
    struct tenants tenants;
    struct entries entries = {0};
    struct event event;
    struct reject why = {0};

    parser.catalog = catalog;
    parser.tenants = &tenants;
    tenants_init(&tenants, EVENT_KEY);
    entries_add(&entries, take_number(&input, 8), 1);
    while (input.left > 0) {
        struct text name = take_text(&input);
        entries_add_field(&entries, name, take_text(&input));
    }
    if (event_parse(&parser, &entries, 0, &event, &why) == 0) {
        must_be_event(&parser, &entries, &event);
        must_tell(&entries, &event);
        must_not_depend_on_order(&parser, &entries, &event);
    } else {
        must_be_reason(&why);
        must_not_depend_on_order(&parser, &entries, NULL);
    }
    must_be_kept(&entries);
    catalog_free(catalog);
    event_parser_done(&parser);
    tenants_done(&tenants);
    entries_done(&entries);
}

FUZZ_TARGET(fuzz_event)
