/* Events of a request into the stream, as any other client adds them, and what became of each.
 *
 * The happy path: the catalog's metrics are read, so that an unknown one is told at once; the body
 * is read whole; each event is added to the tenant's stream; when Redis has answered all of them,
 * so do we.
 *
 * Failure modes: the body cannot be read as what it says it is: 400, and nothing was added. Redis
 * does not answer in time: those events are failed, and nobody knows whether they are there. They
 * have ids, so that sending them again counts once; and the answer is not kept, so that the same
 * Idempotency-Key tries again. */
#include "api/request.h"
#include "api/sql.h"
#include "api/usage/usage_handlers.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/events/format.h"
#include "common/str.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVENTS_MAX = 10000,
    ADD_DEADLINE_MS = 5000,
    ID_BYTES = 16,
    ARGUMENTS_MAX = 3 + 2 * (EVENT_KNOWN + DIMENSIONS_MAX + 1)
};

#define TYPE_JSON  "application/json"
#define TYPE_LINES "application/x-ndjson"
#define TYPE_CSV   "text/csv"

const char *const INGEST_TYPES[] = {TYPE_JSON, TYPE_LINES, TYPE_CSV, NULL};

static const char *const STATUSES[] = {"accepted", "rejected", "failed", NULL};

static const struct api_field ERROR[] = {
    {.name = "code", .type = API_TEXT, .what = "such as invalid_event"},
    {.name = "message", .type = API_TEXT, .what = "what is wrong"},
    API_FIELDS_END};

static const struct api_field EVENT[] = {
    {.name = "index", .type = API_WHOLE, .what = "its place in the request, from 0"},
    {.name = "status", .type = API_CHOICE, .choices = STATUSES, .what = "what became of it"},
    {.name = "id", .type = API_TEXT, .optional = true, .what = "of the event, given or made"},
    {.name = "entry", .type = API_TEXT, .optional = true, .what = "of the stream, if accepted"},
    {.name = "error",
     .type = API_OBJECT,
     .optional = true,
     .fields = ERROR,
     .what = "if it was not"},
    API_FIELDS_END};

const struct api_field INGEST_FIELDS[] = {
    {.name = "accepted", .type = API_WHOLE, .what = "how many are in the stream"},
    {.name = "rejected", .type = API_WHOLE, .what = "how many are no events"},
    {.name = "failed", .type = API_WHOLE, .what = "of how many nobody knows"},
    {.name = "events",
     .type = API_LIST,
     .fields = EVENT,
     .what = "each, in the order of the request"},
    API_FIELDS_END};

/* One event of the request. */
struct item {
    struct ingest *ingest;
    char *id;   /* NULL: it was rejected … */
    char *text; /* … for this reason; else of the stream, or why it failed */
    bool is_added;
};

struct ingest {
    struct api_request *request;
    struct item *items;
    size_t count;
    size_t capacity;
    int waiting; /* for Redis */
    char stream[64];
    char prefix[2 * ID_BYTES + 8]; /* of ids that are made; "": they are random */
    char *backfill;                /* its id; NULL: these are events of now */
    int64_t from_ms;               /* of the backfill, Unix */
    int64_t until_ms;
    const PGresult *metrics; /* while the body is read */
    struct buf arguments;    /* of all events: names and values, each with a NUL … */
    struct buf sizes;        /* … and their lengths; 0xffffffff ends an event */
};

static void ingest_free(void *state)
{
    struct ingest *g = state;
    for (size_t i = 0; i < g->count; i++) {
        free(g->items[i].id);
        free(g->items[i].text);
    }
    buf_done(&g->arguments);
    buf_done(&g->sizes);
    free(g->backfill);
    free(g->items);
    free(g);
}

/* Reading the body. */

static void add_argument(struct ingest *g, const char *data, size_t length)
{
    uint32_t size = (uint32_t)length;
    buf_add(&g->arguments, data, length);
    buf_add(&g->sizes, &size, sizeof size);
}

static void add_pair(struct ingest *g, const char *name, size_t name_length, const char *value,
                     size_t length)
{
    add_argument(g, name, name_length);
    add_argument(g, value, length);
}

static bool is_metric(const struct ingest *g, struct slice name)
{
    for (int i = 0; i < PQntuples(g->metrics); i++)
        if ((size_t)PQgetlength(g->metrics, i, 0) == name.length &&
            memcmp(PQgetvalue(g->metrics, i, 0), name.data, name.length) == 0)
            return true;
    return false;
}

static char *make_id(const struct ingest *g, int64_t now_ms)
{
    char random[UUID_TEXT_SIZE];
    if (*g->prefix)
        return xasprintf("%s:%zu", g->prefix, g->count - 1);
    uuid_v7(now_ms, random);
    return xstrdup(random);
}

/* A retraction has the id of what it takes back, and needs no time. */
static void add_event(struct ingest *g, struct item *item, const struct event_line *e)
{
    static const uint32_t END = UINT32_MAX;
    char ts[24];
    int64_t now_ms = clock_unix_ms();
    item->id = e->given[EVENT_ID] ? xstrndup(e->known[EVENT_ID].data, e->known[EVENT_ID].length)
                                  : make_id(g, now_ms);
    for (int i = 0; i < EVENT_KNOWN; i++)
        if (e->given[i] && i != EVENT_ID)
            add_pair(g, EVENT_NAMES[i], strlen(EVENT_NAMES[i]), e->known[i].data,
                     e->known[i].length);
    add_pair(g, FIELD_ID, sizeof FIELD_ID - 1, item->id, strlen(item->id));
    if (!e->given[EVENT_TS] && !e->given[EVENT_OP]) {
        snprintf(ts, sizeof ts, "%" PRId64, now_ms);
        add_pair(g, FIELD_TS, sizeof FIELD_TS - 1, ts, strlen(ts));
    }
    for (int i = 0; i < e->dimensions_count; i++)
        add_pair(g, e->dimensions[i].name.data, e->dimensions[i].name.length,
                 e->dimensions[i].value.data, e->dimensions[i].value.length);
    if (g->backfill)
        add_pair(g, FIELD_BACKFILL, sizeof FIELD_BACKFILL - 1, g->backfill, strlen(g->backfill));
    buf_add(&g->sizes, &END, sizeof END);
}

/* Each must say when it was, within the time that is let in, and leave us a dimension. */
static const char *fault_of_backfill(const struct ingest *g, const struct event_line *e)
{
    static const struct slice BACKFILL = {FIELD_BACKFILL, sizeof FIELD_BACKFILL - 1};
    int64_t ms = 0;
    if (!e->given[EVENT_TS])
        return "ts: is missing: when was it?";
    (void)str_to_i64(e->known[EVENT_TS].data, e->known[EVENT_TS].length, &ms);
    if (ms < g->from_ms || ms >= g->until_ms)
        return "ts: is not between from and until";
    if (e->dimensions_count == DIMENSIONS_MAX)
        return "an event of a backfill may have 15 dimensions: one more names the backfill";
    for (int i = 0; i < e->dimensions_count; i++)
        if (slice_equals(e->dimensions[i].name, BACKFILL))
            return "backfill: is set by the API";
    return NULL;
}

/* NULL: none. */
static const char *fault_of(const struct ingest *g, const struct event_line *e)
{
    if (e->given[EVENT_METRIC] && !is_metric(g, e->known[EVENT_METRIC]))
        return "metric: is not in the catalog";
    return g->backfill ? fault_of_backfill(g, e) : NULL;
}

static void take_event(void *owner, const struct event_line *e, const char *why)
{
    struct ingest *g = owner;
    if (g->count >= EVENTS_MAX) {
        g->count = EVENTS_MAX + 1;
        return;
    }
    if (g->count == g->capacity) {
        g->capacity = g->capacity ? 2 * g->capacity : 16;
        g->items = xrealloc(g->items, g->capacity * sizeof *g->items);
    }
    struct item *item = &g->items[g->count++];
    *item = (struct item){.ingest = g};
    if (e)
        why = fault_of(g, e);
    if (e && !why)
        add_event(g, item, e);
    else
        item->text = xstrdup(why);
}

static int read_body(struct ingest *g, struct err *e)
{
    const struct api_request *r = g->request;
    struct format f = {.now_ms = clock_unix_ms(),
                       .tenant = {r->tenant, strlen(r->tenant)},
                       .is_bound = true,
                       .take = take_event,
                       .owner = g,
                       .event = {.oldest_ms = g->from_ms}};
    int result =
        strcmp(r->content_type, TYPE_CSV) == 0 ? format_csv(&f, r->body, r->body_length, NULL, e)
        : strcmp(r->content_type, TYPE_LINES) == 0 ? format_lines(&f, r->body, r->body_length, e)
                                                   : format_json(&f, r->body, r->body_length, e);
    format_done(&f);
    return result;
}

/* Answering. */

static void add_outcome(json_t *list, const struct item *item, int64_t index)
{
    bool is_rejected = !item->id;
    json_t *told = json_pack("{s:I,s:s,s:s*}", "index", (json_int_t)index, "status",
                             is_rejected      ? "rejected"
                             : item->is_added ? "accepted"
                                              : "failed",
                             "id", item->id);
    if (item->is_added)
        json_object_set_new(told, "entry", json_string(item->text));
    else
        json_object_set_new(told, "error",
                            json_pack("{s:s,s:s}", "code",
                                      is_rejected ? "invalid_event" : "unavailable", "message",
                                      item->text));
    json_array_append_new(list, told);
}

static void answer(struct ingest *g)
{
    json_int_t accepted = 0, rejected = 0;
    json_t *list = json_array();
    for (size_t i = 0; i < g->count; i++) {
        accepted += g->items[i].is_added;
        rejected += !g->items[i].id;
        add_outcome(list, &g->items[i], (int64_t)i);
    }
    json_int_t failed = (json_int_t)g->count - accepted - rejected;
    if (g->backfill)
        api_note(g->request, g->backfill, NULL,
                 json_pack("{s:s,s:s,s:s,s:I,s:I,s:I}", "from", api_text(g->request, "from"),
                           "until", api_text(g->request, "until"), "reason",
                           api_text(g->request, "reason"), "accepted", accepted, "rejected",
                           rejected, "failed", failed));
    if (failed > 0)
        api_keep_open(g->request);
    api_answer(g->request, json_pack("{s:I,s:I,s:I,s:o}", "accepted", accepted, "rejected",
                                     rejected, "failed", failed, "events", list));
}

/* Adding. */

static void take_added(void *owner, const struct err *error, void *reply)
{
    struct item *item = owner;
    struct ingest *g = item->ingest;
    const redisReply *entry = reply;
    item->is_added = !error && entry && entry->type == REDIS_REPLY_STRING;
    item->text = xstrdup(item->is_added ? entry->str
                         : error && error->kind == ERR_REFUSED
                             ? "Redis takes nothing now: send it again under the same id"
                             : "Redis did not answer in time: send it again under the same id");
    if (--g->waiting == 0)
        answer(g);
}

/* data and sizes: where this event's begin; returns where the next one's do. */
static void run_add(struct item *item, const char **data, const uint32_t **sizes)
{
    struct ingest *g = item->ingest;
    const char *argv[ARGUMENTS_MAX] = {"XADD", g->stream, "*"};
    size_t lengths[ARGUMENTS_MAX] = {4, strlen(g->stream), 1};
    int argc = 3;
    for (; **sizes != UINT32_MAX; ++*sizes) {
        argv[argc] = *data;
        lengths[argc++] = **sizes;
        *data += **sizes;
    }
    ++*sizes;
    redis_router_command(g->request->context->redis, g->stream, lengths[1], ADD_DEADLINE_MS,
                         take_added, item, argc, argv, lengths);
}

static void run_all(struct ingest *g)
{
    const char *data = g->arguments.data;
    const uint32_t *sizes = (const uint32_t *)(const void *)g->sizes.data;
    g->waiting = 1; /* until all were sent */
    for (size_t i = 0; i < g->count; i++) {
        if (!g->items[i].id)
            continue;
        g->waiting++;
        run_add(&g->items[i], &data, &sizes);
    }
    if (--g->waiting == 0)
        answer(g);
}

static void choose_stream(struct ingest *g)
{
    const struct api_request *r = g->request;
    int64_t shards = r->context->shards;
    int shard = shards > 1 ? (int)(str_crc16(r->tenant, strlen(r->tenant)) % shards) : 0;
    if (shards > 1)
        snprintf(g->stream, sizeof g->stream, STREAM_SHARD_KEY, shard);
    else
        snprintf(g->stream, sizeof g->stream, "%s", STREAM_KEY);
}

static void hash_id(const struct api_request *r, unsigned char hash[ID_BYTES])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, ID_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)r->tenant, strlen(r->tenant) + 1);
    crypto_generichash_update(&state, (const unsigned char *)r->id, strlen(r->id));
    crypto_generichash_final(&state, hash, ID_BYTES);
}

/* So that the same request makes the same ids. */
static void choose_prefix(struct ingest *g)
{
    unsigned char hash[ID_BYTES];
    if (!api_has_idempotency_key(g->request))
        return;
    hash_id(g->request, hash);
    memcpy(g->prefix, "api:", 4);
    sodium_bin2hex(g->prefix + 4, sizeof g->prefix - 4, hash, sizeof hash);
}

static void take_metrics(struct api_request *r, PGresult **results, int n)
{
    struct ingest *g = r->state;
    struct err e;
    (void)n;
    g->metrics = results[0];
    int failed = read_body(g, &e);
    g->metrics = NULL;
    if (failed) {
        api_fail(r, 400, "bad_events", NULL, "%s", e.text);
    } else if (g->count > EVENTS_MAX) {
        g->count = EVENTS_MAX;
        api_fail(r, 400, "too_many_events", NULL, "a request may have at most %d events",
                 EVENTS_MAX);
    } else {
        run_all(g);
    }
}

static struct ingest *begin(struct api_request *r)
{
    struct ingest *g = xcalloc(1, sizeof *g);
    g->request = r;
    r->state = g;
    r->release = ingest_free;
    choose_stream(g);
    choose_prefix(g);
    return g;
}

static void read_metrics(struct api_request *r)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_LIST_METRICS);
    api_sql(r, &s, 1, take_metrics);
}

void usage_ingest(struct api_request *r)
{
    begin(r);
    read_metrics(r);
}

/* Of long ago. */

const struct api_param BACKFILL_PARAMS[] = {{.place = API_QUERY,
                                             .name = "from",
                                             .type = API_TIME,
                                             .required = true,
                                             .what = "when the usage was: from then …"},
                                            {.place = API_QUERY,
                                             .name = "until",
                                             .type = API_TIME,
                                             .required = true,
                                             .what = "… until then"},
                                            {.place = API_QUERY,
                                             .name = "reason",
                                             .type = API_TEXT,
                                             .required = true,
                                             .min = 1,
                                             .max = 500,
                                             .what = "why; the history has it"},
                                            API_PARAMS_END};

/* What is let in is committed before the first event is added: see open_usage_backfill. */
static void take_opened(struct api_request *r, PGresult **results, int n)
{
    struct ingest *g = r->state;
    (void)n;
    (void)str_to_i64(PQgetvalue(results[0], 0, 1), strcspn(PQgetvalue(results[0], 0, 1), "."),
                     &g->from_ms);
    (void)str_to_i64(PQgetvalue(results[0], 0, 2), strcspn(PQgetvalue(results[0], 0, 2), "."),
                     &g->until_ms);
    read_metrics(r);
}

/* Its id follows from the request's, since the events of a repetition must be the same. */
void usage_backfill(struct api_request *r)
{
    struct ingest *g = begin(r);
    unsigned char hash[ID_BYTES];
    char id[2 * ID_BYTES + 1];
    struct pg_statement s;
    hash_id(r, hash);
    sodium_bin2hex(id, sizeof id, hash, sizeof hash);
    g->backfill = xasprintf("bf_%s", id);
    pg_statement_init(&s, SQL_OPEN_BACKFILL);
    pg_add_text(&s, g->backfill);
    pg_add_text(&s, r->tenant);
    pg_add_text(&s, api_text(r, "from"));
    pg_add_text(&s, api_text(r, "until"));
    pg_add_text(&s, api_text(r, "reason"));
    pg_add_text(&s, r->caller.name);
    api_blame(r, "until");
    api_sql(r, &s, 1, take_opened);
}
