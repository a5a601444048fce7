/* Any fields as an entry. The input: one byte of shards, eight of the entry's time, then names and
 * values in turn, each after its length in two bytes. */
#include "aggregator/event.h"
#include "aggregator/reject.h"
#include "aggregator/tally.h"
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
    struct tally tally;
    struct event derived;

    assert(event->tenant->name.length >= 1 && event->tenant->name.length <= TENANT_MAX_BYTES);
    assert(event->id.length >= 1);
    assert(event->occurred_ms >= (int64_t)event->ms - EVENT_AGE_MAX_MS);
    assert(event->occurred_ms <= (int64_t)event->ms + EVENT_FUTURE_MAX_MS);
    must_be_json(event->fields_json.data, event->fields_json.length);
    must_be_json(event->dims_json.data, event->dims_json.length);
    if (event->retract)
        return;
    tally_init(&tally, EVENT_KEY);
    assert(tally_add(&tally, event) == 0);
    if (event_derive(p, entries, event, 1, &derived))
        assert(tally_add(&tally, &derived) == 0);
    tally_sort(&tally);
    tally_done(&tally);
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
    if (event_parse(&parser, &entries, 0, &event, &why) == 0)
        must_be_event(&parser, &entries, &event);
    else
        must_be_reason(&why);
    must_be_kept(&entries);
    catalog_free(catalog);
    event_parser_done(&parser);
    tenants_done(&tenants);
    entries_done(&entries);
}

FUZZ_TARGET(fuzz_event)
