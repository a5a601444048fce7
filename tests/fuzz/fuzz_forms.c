/* Any bytes as the body of a request with events. The input: one byte chooses the form, the rest is
 * the body. What is taken is an event by the rules of the stream, and fits into the spool. */
#include "common/clock.h"
#include "emitter/format/ai_feeds.h"
#include "emitter/format/cloud_event.h"
#include "emitter/spool/segment.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

#define FORMS_NOW_MS 1796000000000LL

static void check_taken(void *owner, const struct event_line *event, const char *why)
{
    static struct buf command;
    struct event_line again;
    (void)owner;
    if (!event) {
        assert(why[0] && strlen(why) < sizeof again.why);
        return;
    }
    again = *event;
    assert(!why && event_line_check(&again, FORMS_NOW_MS, NULL) == 0);
    for (int i = 0; i < EVENT_KNOWN; i++)
        assert(!event->given[i] || str_is_utf8(event->known[i].data, event->known[i].length));
    for (int i = 0; i < event->dimensions_count; i++)
        assert(str_is_utf8(event->dimensions[i].value.data, event->dimensions[i].value.length));
    buf_clear(&command);
    event_line_add_command(event, "usage:events", "id", "1796000000000", &command);
    assert(command.length <= SEGMENT_RECORD_MAX);
}

static const struct ai_table *forms_table(void)
{
    static struct ai_table *table;
    struct err e;
    if (!table)
        table = ai_table_load("tests/fuzz/gateway_usage.json", &e);
    assert(table);
    return table;
}

static int read_form(struct format *f, int form, const char *body, size_t length, struct err *e)
{
    static const char *const HEADERS[CLOUD_ATTRIBUTES] = {"1.0",       "%41%",      "/s%zz",
                                                          "api_calls", "ac%C3%BCe", NULL};
    switch (form) {
    case 0:
        return format_json(f, body, length, e);
    case 1:
        return format_lines(f, body, length, e);
    case 2:
        return format_csv(f, body, length, NULL, e);
    case 3:
        return format_csv(f, body, length, "a=tenant,b=metric,c=", e);
    case 4:
        return format_cloud_event(f, body, length, e);
    case 5:
        return format_cloud_batch(f, body, length, e);
    case 6:
        return format_cloud_binary(f, HEADERS, body, length, e);
    case 7:
        return ai_feed_openai(f, forms_table(), body, length, e);
    case 8:
        return ai_feed_litellm(f, forms_table(), body, length, e);
    default:
        return ai_feed_otlp(f, forms_table(), body, length, e);
    }
}

static void fuzz_forms(const uint8_t *data, size_t size)
{
    struct err e = {.kind = ERR_NONE};
    struct format f = {.now_ms = FORMS_NOW_MS, .take = check_taken};
    if (size == 0)
        return;
    f.tenant = (struct slice){"acme", data[0] & 0x80 ? 4 : 0};
    f.is_bound = (data[0] & 0x40) != 0;
    if (read_form(&f, data[0] % 10, (const char *)data + 1, size - 1, &e))
        assert(e.kind == ERR_INPUT || e.kind == ERR_USAGE);
    format_done(&f);
}

FUZZ_TARGET(fuzz_forms)
