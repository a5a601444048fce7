#include "webhookd/limits/limits.h"

#include "common/clock.h"
#include "common/contract.h"
#include "common/digests.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "common/quota_owner.h"
#include "common/str.h"
#include "webhookd/context.h"
#include "webhookd/limits/quota_library.h"
#include "webhookd/statement_list.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { WRITE_DEADLINE_MS = 3000 };
enum { KEY_AT = 3, READ_AT = 4, PAIRS_AT = 6 }; /* positions in the command */

/* The columns of read_limits.sql. */
enum column {
    LIMITS_TENANT,
    LIMITS_STATUS,
    LIMITS_READ_AT_MS,
    LIMITS_METRIC,
    LIMITS_CAP,
    LIMITS_TEXT,
    LIMITS_GRACE_UNTIL_MS,
    LIMITS_LEDGER,
    LIMITS_CATALOG_VERSION,
    LIMITS_PLAN
};

struct limits {
    const struct context *context;
    struct quota_library *library;
    struct digests known; /* each tenant's hash, as this process last wrote or saw it */
    int in_flight;
    struct log_repeat failed;
    struct log_repeat foreign;
};

/* One call of limits_write; freed with the last answer to it. */
struct batch {
    struct limits *limits;
    limits_done_fn done;
    void *owner;
    int open; /* tenants, and 1 until all have begun */
    int tenants;
    int written;
    struct err error;
};

/* EVAL script 1 key read_at_ms n (field value)×n ledger (field to delete)… All owned. */
struct command {
    char **words;
    int n;
    int capacity;
    int pairs;
};

/* One tenant of a batch. */
struct tenant_write {
    struct batch *batch;
    struct command command;
    uint64_t key_digest;
    uint64_t content_digest;
};

/* The command. */

/* KEYS[1] the hash; ARGV: when it was read (Unix ms), number of pairs, the pairs, the ledger,
 * fields to delete. Those are asked for first, since an HDEL would count as a loss of keys
 * (common/redis/redis_stamp.h). A stored time that is far in the future comes from a clock that was
 * wrong, and does not count. Returns 1, or 0 if the hash was written from a newer reading, or the
 * name of the ledger that owns the hash if that is another one; then nothing was written. */
static const char WRITE_LIMITS[] = QUOTA_OWNER_LUA
    "local last = 2 + 2 * tonumber(ARGV[2])\n"
    "local theirs = claim(KEYS[1], ARGV[last + 1])\n"
    "if theirs then return theirs end\n"
    "local at, seen = tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], 'refreshed_at'))\n"
    "if seen and seen > at and seen < at + 60000 then return 0 end\n"
    "redis.call('HSET', KEYS[1], 'refreshed_at', ARGV[1])\n"
    "for i = 3, last, 1000 do\n"
    "  redis.call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + 999, last)))\n"
    "end\n"
    "for i = last + 2, #ARGV do\n"
    "  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then redis.call('HDEL', KEYS[1], ARGV[i]) "
    "end\n"
    "end\n"
    "return 1";

static void add_word(struct command *c, char *word)
{
    if (c->n == c->capacity) {
        c->capacity = c->capacity ? 2 * c->capacity : 32;
        c->words = xrealloc(c->words, (size_t)c->capacity * sizeof *c->words);
    }
    c->words[c->n++] = word;
}

static void add_pair(struct command *c, char *field, const char *value)
{
    add_word(c, field);
    add_word(c, xstrdup(value));
    c->pairs++;
}

static void add_fields_to_set(struct command *c, const PGresult *rows, int first, int end)
{
    add_pair(c, xstrdup("status"), result_text(rows, first, LIMITS_STATUS));
    add_pair(c, xstrdup("plan"), result_text(rows, first, LIMITS_PLAN));
    for (int row = first; row < end; row++) {
        const char *metric = result_text(rows, row, LIMITS_METRIC);
        const char *cap = result_text(rows, row, LIMITS_CAP);
        const char *grace = result_text(rows, row, LIMITS_GRACE_UNTIL_MS);
        if (!metric || !cap)
            continue;
        add_pair(c, xasprintf("%s.limit", metric), result_text(rows, row, LIMITS_TEXT));
        add_pair(c, xasprintf("%s.cap", metric), cap);
        if (grace)
            add_pair(c, xasprintf("%s.grace_until", metric), grace);
    }
}

/* What is gone from the plan must go from the cache. */
static void add_fields_to_delete(struct command *c, const PGresult *rows, int first, int end)
{
    for (int row = first; row < end; row++) {
        const char *metric = result_text(rows, row, LIMITS_METRIC);
        if (metric && !result_text(rows, row, LIMITS_GRACE_UNTIL_MS))
            add_word(c, xasprintf("%s.grace_until", metric));
        if (!metric || result_text(rows, row, LIMITS_CAP))
            continue;
        add_word(c, xasprintf("%s.limit", metric));
        add_word(c, xasprintf("%s.cap", metric));
    }
}

/* From the rows of one tenant: first up to end. */
static void build_command(struct command *c, const PGresult *rows, int first, int end)
{
    add_word(c, xstrdup("EVAL"));
    add_word(c, xstrdup(WRITE_LIMITS));
    add_word(c, xstrdup("1"));
    assert(c->n == KEY_AT);
    add_word(c, xasprintf(QUOTA_KEY_PREFIX "%s}", result_text(rows, first, LIMITS_TENANT)));
    assert(c->n == READ_AT);
    add_word(c, xstrdup(result_text(rows, first, LIMITS_READ_AT_MS)));
    int count_at = c->n;
    add_word(c, NULL);
    assert(c->n == PAIRS_AT);
    add_fields_to_set(c, rows, first, end);
    c->words[count_at] = xasprintf("%d", c->pairs);
    add_word(c, xstrdup(result_text(rows, first, LIMITS_LEDGER)));
    add_fields_to_delete(c, rows, first, end);
}

static int ledger_at(const struct command *c)
{
    return PAIRS_AT + 2 * c->pairs;
}

/* HMGET of the ledger and of all fields that the command sets or deletes, in its order: arguments
 * to be freed, which point into the command. */
static const char **build_query(const struct command *c, int *argc)
{
    int n = 0;
    const char **argv = xcalloc((size_t)c->n, sizeof *argv);
    argv[n++] = "HMGET";
    argv[n++] = c->words[KEY_AT];
    argv[n++] = "ledger";
    for (int i = 0; i < c->pairs; i++)
        argv[n++] = c->words[PAIRS_AT + 2 * i];
    for (int i = ledger_at(c) + 1; i < c->n; i++)
        argv[n++] = c->words[i];
    *argc = n;
    return argv;
}

static bool is_text(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && !strcmp(reply->str, text);
}

/* Whether the answer to the query is what the command would write. */
static bool is_up_to_date(const struct command *c, const redisReply *answer)
{
    size_t to_delete = (size_t)(c->n - ledger_at(c) - 1);
    if (answer->type != REDIS_REPLY_ARRAY || answer->elements != 1 + (size_t)c->pairs + to_delete ||
        !is_text(answer->element[0], c->words[ledger_at(c)]))
        return false;
    for (int i = 0; i < c->pairs; i++)
        if (!is_text(answer->element[1 + i], c->words[PAIRS_AT + 2 * i + 1]))
            return false;
    for (size_t i = 1 + (size_t)c->pairs; i < answer->elements; i++)
        if (answer->element[i]->type != REDIS_REPLY_NIL)
            return false;
    return true;
}

/* Of all that the command sets or deletes. */
static uint64_t digest_content(const struct limits *l, const struct command *c)
{
    struct buf all = {0};
    for (int i = READ_AT + 1; i < c->n; i++)
        buf_add(&all, c->words[i], strlen(c->words[i]) + 1);
    uint64_t digest = digests_of(&l->known, all.data, all.length);
    buf_done(&all);
    return digest;
}

/* The end of a tenant, and of its batch. */

static void report(struct limits *l, const struct err *error, int written)
{
    uint64_t suppressed;
    metric_add(metric_of(METRIC_OF_QUOTA_WRITES, ""), written);
    if (error->kind == ERR_NONE) {
        if (written > 0 && log_repeat_recovered(&l->failed))
            log_info(limits_cached_again, LOG_I64("tenants", written));
        return;
    }
    if (error->kind != ERR_CANCELED &&
        log_repeat_failed(&l->failed, clock_monotonic_ms(), &suppressed))
        log_warn(limits_not_cached, LOG_U64("held_back", suppressed), LOG_ERR(error));
}

static void close_one(struct batch *b)
{
    if (--b->open > 0)
        return;
    struct batch last = *b;
    free(b);
    report(last.limits, &last.error, last.written);
    if (last.done)
        last.done(last.owner, last.error.kind == ERR_NONE ? NULL : &last.error, last.tenants);
    last.limits->context->on_idle(last.limits->context->owner);
}

static void free_tenant(struct tenant_write *w)
{
    for (int i = 0; i < w->command.n; i++)
        free(w->command.words[i]);
    free(w->command.words);
    free(w);
}

static void end_tenant(struct tenant_write *w, const struct err *error)
{
    struct batch *b = w->batch;
    free_tenant(w);
    b->limits->in_flight--;
    if (error)
        b->error = *error;
    else
        b->tenants++;
    close_one(b);
}

/* Asking and writing. */

static void log_foreign(struct limits *l, const char *theirs)
{
    uint64_t suppressed;
    if (log_repeat_failed(&l->foreign, clock_monotonic_ms(), &suppressed))
        log_error(quota_foreign, LOG_STR("ledger", theirs), LOG_U64("held_back", suppressed),
                  LOG_MSG("hashes of the quota cache belong to another database and are left "
                          "alone: correct DATABASE_URL or REDIS_URL, or take the hashes over with "
                          "`meterctl stream adopt`"));
}

static void take_write(void *owner, const struct err *error, void *reply)
{
    struct tenant_write *w = owner;
    const redisReply *answer = reply;
    if (!error && answer->type == REDIS_REPLY_STRING)
        log_foreign(w->batch->limits, answer->str);
    else if (!error && answer->integer == 1)
        digests_note(&w->batch->limits->known, w->key_digest, w->content_digest);
    w->batch->written += error ? 0 : 1;
    end_tenant(w, error);
}

static void run_write(struct tenant_write *w)
{
    const char *key = w->command.words[KEY_AT];
    redis_router_command(w->batch->limits->context->redis, key, strlen(key), WRITE_DEADLINE_MS,
                         take_write, w, w->command.n, (const char **)w->command.words, NULL);
}

static void take_query(void *owner, const struct err *error, void *reply)
{
    struct tenant_write *w = owner;
    /* A refusal may mean that the key is no hash: the script deals with that. */
    if (error && error->kind != ERR_REFUSED) {
        end_tenant(w, error);
    } else if (!error && is_up_to_date(&w->command, reply)) {
        digests_note(&w->batch->limits->known, w->key_digest, w->content_digest);
        end_tenant(w, NULL);
    } else {
        run_write(w);
    }
}

static void run_query(struct tenant_write *w)
{
    int argc;
    const char *key = w->command.words[KEY_AT];
    const char **argv = build_query(&w->command, &argc);
    redis_router_command(w->batch->limits->context->redis, key, strlen(key), WRITE_DEADLINE_MS,
                         take_query, w, argc, argv, NULL);
    free(argv);
}

static void begin_tenant(struct batch *b, const PGresult *rows, int first, int end,
                         enum limits_mode mode)
{
    struct limits *l = b->limits;
    struct tenant_write *w = xcalloc(1, sizeof *w);
    w->batch = b;
    build_command(&w->command, rows, first, end);
    const char *key = w->command.words[KEY_AT];
    w->key_digest = digests_of(&l->known, key, strlen(key));
    w->content_digest = digest_content(l, &w->command);
    if (mode == LIMITS_VERIFY_UNKNOWN &&
        digests_know(&l->known, w->key_digest, w->content_digest)) {
        free_tenant(w);
        b->tenants++;
        return;
    }
    b->open++;
    l->in_flight++;
    if (mode == LIMITS_WRITE)
        run_write(w);
    else
        run_query(w);
}

/* The rows of the tenant "" are the plan free. */
static void note_free(const struct limits *l, const PGresult *rows, int first, int end)
{
    struct free_limit *limits = xcalloc((size_t)(end - first), sizeof *limits);
    int n = 0;
    for (int row = first; row < end; row++)
        if (result_text(rows, row, LIMITS_CAP))
            limits[n++] = (struct free_limit){.metric = result_text(rows, row, LIMITS_METRIC),
                                              .limit = result_text(rows, row, LIMITS_TEXT),
                                              .cap = result_text(rows, row, LIMITS_CAP)};
    quota_library_set_free(l->library, result_text(rows, first, LIMITS_LEDGER),
                           result_text(rows, first, LIMITS_CATALOG_VERSION), limits, n);
    free(limits);
}

static int end_of_tenant(const PGresult *rows, int first)
{
    int end = first + 1;
    const char *tenant = result_text(rows, first, LIMITS_TENANT);
    while (end < PQntuples(rows) && !strcmp(result_text(rows, end, LIMITS_TENANT), tenant))
        end++;
    return end;
}

void limits_write(struct limits *l, const PGresult *rows, enum limits_mode mode,
                  limits_done_fn done, void *owner)
{
    struct batch *b = xcalloc(1, sizeof *b);
    *b = (struct batch){.limits = l, .done = done, .owner = owner, .open = 1};
    for (int row = 0; row < PQntuples(rows);) {
        int end = end_of_tenant(rows, row);
        if (!*result_text(rows, row, LIMITS_TENANT))
            note_free(l, rows, row, end);
        begin_tenant(b, rows, row, end, mode);
        row = end;
    }
    close_one(b);
}

void limits_note_verified(struct limits *l)
{
    char now[24];
    (void)snprintf(now, sizeof now, "%" PRId64, clock_unix_ms());
    const char *argv[] = {"HSET", QUOTA_CHECKED, CHECKED_LIMITS, now};
    redis_router_command(l->context->redis, QUOTA_CHECKED, strlen(QUOTA_CHECKED), WRITE_DEADLINE_MS,
                         NULL, NULL, 4, argv, NULL);
}

void limits_see_node(struct limits *l, struct redis *node)
{
    quota_library_see_node(l->library, node);
}

struct limits *limits_new(const struct context *context)
{
    struct limits *l = xcalloc(1, sizeof *l);
    l->context = context;
    digests_init(&l->known);
    l->library = quota_library_open(context);
    return l;
}

bool limits_are_idle(const struct limits *l)
{
    return l->in_flight == 0;
}

void limits_free(struct limits *l)
{
    quota_library_close(l->library);
    digests_done(&l->known);
    free(l);
}
