/* Writes limits into Redis.
 *
 * The happy path: rows of read_limits.sql, grouped by tenant, become one script call each. The
 * script leaves a hash alone that was written from a younger reading, since an event's worker and
 * the healer read and write side by side, and the slower one must not set the faster one back. The
 * healer has nothing asked of what is known to stand there, has one HMGET look at the others, and
 * only what is not as it should be is written.
 *
 * Failure modes: Redis is away or answers an error: logged, and the healer writes it all again. */
#include "webhookd/limits/limits.h"

#include "common/clock.h"
#include "common/contract.h"
#include "common/digests.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "common/quota_owner.h"
#include "common/str.h"
#include "webhookd/context.h"
#include "webhookd/statement_list.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { WRITE_DEADLINE_MS = 3000 };

/* The words of the command. */

enum { WORDS_KEY_AT = 3, WORDS_READ_AT = 4, WORDS_PAIRS_AT = 6 };

/* EVAL script 1 key read_at_ms n (field value)×n ledger (field that must be gone)… All owned. */
struct limit_words {
    char **list;
    int n;
    int capacity;
    int pairs;
};

/* The columns of read_limits.sql. */
enum limit_columns {
    LIMITS_TENANT,
    LIMITS_STATUS,
    LIMITS_READ_AT_MS,
    LIMITS_METRIC,
    LIMITS_CAP,
    LIMITS_TEXT,
    LIMITS_GRACE_UNTIL_MS,
    LIMITS_LEDGER
};

/* KEYS[1] the hash; ARGV: when it was read (Unix ms), number of pairs, the pairs, our ledger,
 * fields to delete (asked for first, since an HDEL looks like a loss: common/redis/redis_stamp.h).
 * A stored time that is far in the future comes from a clock that was wrong, and does not count.
 * Returns 1, 0 if it was written from a younger reading, or the name of another ledger if the hash
 * is its: then nothing was written. */
static const char WRITE_LIMITS[] = QUOTA_OWNER_LUA
    "local last = 2 + 2 * tonumber(ARGV[2])\n"
    "local theirs = claim(KEYS[1], ARGV[last + 1])\n"
    "if theirs then return theirs end\n"
    "local at, seen = tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], 'refreshed_at'))\n"
    "if seen and seen > at and seen < at + 60000 then return 0 end\n"
    "redis.call('HSET', KEYS[1], 'refreshed_at', ARGV[1])\n"
    "for i = 3, last, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end\n"
    "for i = last + 2, #ARGV do\n"
    "  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then redis.call('HDEL', KEYS[1], ARGV[i]) "
    "end\n"
    "end\n"
    "return 1";

static void add_word(struct limit_words *w, char *word)
{
    if (w->n == w->capacity) {
        w->capacity = w->capacity ? 2 * w->capacity : 32;
        w->list = xrealloc(w->list, (size_t)w->capacity * sizeof *w->list);
    }
    w->list[w->n++] = word;
}

static void limit_words_done(struct limit_words *w)
{
    for (int i = 0; i < w->n; i++)
        free(w->list[i]);
    free(w->list);
}

static void add_pair(struct limit_words *w, char *field, const char *value)
{
    add_word(w, field);
    add_word(w, xstrdup(value));
    w->pairs++;
}

/* Fields with a value. */
static void add_pairs(struct limit_words *w, const PGresult *rows, int first, int end)
{
    add_pair(w, xstrdup("status"), result_text(rows, first, LIMITS_STATUS));
    for (int row = first; row < end; row++) {
        const char *metric = result_text(rows, row, LIMITS_METRIC);
        const char *cap = result_text(rows, row, LIMITS_CAP);
        const char *grace = result_text(rows, row, LIMITS_GRACE_UNTIL_MS);
        if (!metric || !cap)
            continue;
        add_pair(w, xasprintf("%s.limit", metric), result_text(rows, row, LIMITS_TEXT));
        add_pair(w, xasprintf("%s.cap", metric), cap);
        if (grace)
            add_pair(w, xasprintf("%s.grace_until", metric), grace);
    }
}

/* Fields without a value, so that what is gone from the plan is gone from the cache. */
static void add_gone(struct limit_words *w, const PGresult *rows, int first, int end)
{
    for (int row = first; row < end; row++) {
        const char *metric = result_text(rows, row, LIMITS_METRIC);
        if (metric && !result_text(rows, row, LIMITS_GRACE_UNTIL_MS))
            add_word(w, xasprintf("%s.grace_until", metric));
        if (!metric || result_text(rows, row, LIMITS_CAP))
            continue;
        add_word(w, xasprintf("%s.limit", metric));
        add_word(w, xasprintf("%s.cap", metric));
    }
}

static void limit_words_make(struct limit_words *w, const PGresult *rows, int first, int end)
{
    *w = (struct limit_words){.list = NULL};
    add_word(w, xstrdup("EVAL"));
    add_word(w, xstrdup(WRITE_LIMITS));
    add_word(w, xstrdup("1"));
    assert(w->n == WORDS_KEY_AT);
    add_word(w, xasprintf(QUOTA_KEY_PREFIX "%s}", result_text(rows, first, LIMITS_TENANT)));
    add_word(w, xstrdup(result_text(rows, first, LIMITS_READ_AT_MS)));
    int count_at = w->n;
    add_word(w, NULL);
    assert(w->n == WORDS_PAIRS_AT);
    add_pairs(w, rows, first, end);
    w->list[count_at] = xasprintf("%d", w->pairs);
    add_word(w, xstrdup(result_text(rows, first, LIMITS_LEDGER)));
    add_gone(w, rows, first, end);
}

static int ledger_at(const struct limit_words *w)
{
    return WORDS_PAIRS_AT + 2 * w->pairs;
}

static const char **limit_words_ask(const struct limit_words *w, int *argc)
{
    int n = 0;
    const char **argv = xcalloc((size_t)w->n, sizeof *argv);
    argv[n++] = "HMGET";
    argv[n++] = w->list[WORDS_KEY_AT];
    argv[n++] = "ledger";
    for (int i = 0; i < w->pairs; i++)
        argv[n++] = w->list[WORDS_PAIRS_AT + 2 * i];
    for (int i = ledger_at(w) + 1; i < w->n; i++)
        argv[n++] = w->list[i];
    *argc = n;
    return argv;
}

static bool is_text(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && !strcmp(reply->str, text);
}

static bool limit_words_match(const struct limit_words *w, const redisReply *answer)
{
    size_t gone = (size_t)(w->n - ledger_at(w) - 1);
    if (answer->type != REDIS_REPLY_ARRAY || answer->elements != 1 + (size_t)w->pairs + gone ||
        !is_text(answer->element[0], w->list[ledger_at(w)]))
        return false;
    for (int i = 0; i < w->pairs; i++)
        if (!is_text(answer->element[1 + i], w->list[WORDS_PAIRS_AT + 2 * i + 1]))
            return false;
    for (size_t i = 1 + (size_t)w->pairs; i < answer->elements; i++)
        if (answer->element[i]->type != REDIS_REPLY_NIL)
            return false;
    return true;
}

struct limits {
    const struct context *context;
    struct digests known; /* what stands in each tenant's hash, as we wrote or saw it */
    int in_flight;
    struct log_repeat failed;
    struct log_repeat foreign;
};

/* Of one limits_write; freed with its last answer. */
struct round {
    struct limits *limits;
    limits_done_fn done;
    void *owner;
    int left;
    int tenants;
    int written;
    struct err error;
};

/* One tenant's, in flight. */
struct task {
    struct round *round;
    struct limit_words words;
    uint64_t name; /* of the tenant, and … */
    uint64_t seen; /* … of what is to stand there: digests */
};

struct limits *limits_new(const struct context *context)
{
    struct limits *l = xcalloc(1, sizeof *l);
    l->context = context;
    digests_init(&l->known);
    return l;
}

void limits_free(struct limits *l)
{
    digests_done(&l->known);
    free(l);
}

bool limits_are_idle(const struct limits *l)
{
    return l->in_flight == 0;
}

static void report(struct limits *l, const struct err *error, int written)
{
    uint64_t held;
    metric_add(metric_of(METRIC_OF_QUOTA_WRITES, ""), written);
    if (error->kind == ERR_NONE) {
        if (written > 0 && log_repeat_recovered(&l->failed))
            log_info(limits_cached_again, LOG_I64("tenants", written));
        return;
    }
    if (error->kind != ERR_CANCELED && log_repeat_failed(&l->failed, clock_monotonic_ms(), &held))
        log_warn(limits_not_cached, LOG_U64("held_back", held), LOG_ERR(error));
}

/* The round, and its end. */

static void end_round(struct round *r)
{
    struct round end = *r;
    if (r->left > 0)
        return;
    free(r);
    report(end.limits, &end.error, end.written);
    if (end.done)
        end.done(end.owner, end.error.kind == ERR_NONE ? NULL : &end.error, end.tenants);
    end.limits->context->on_idle(end.limits->context->owner);
}

static void end_task(struct task *t, const struct err *error)
{
    struct round *r = t->round;
    limit_words_done(&t->words);
    free(t);
    r->left--;
    r->limits->in_flight--;
    if (error)
        r->error = *error;
    else
        r->tenants++;
    end_round(r);
}

static void tell_foreign(struct limits *l, const char *theirs)
{
    uint64_t held;
    if (log_repeat_failed(&l->foreign, clock_monotonic_ms(), &held))
        log_error(quota_foreign, LOG_STR("ledger", theirs), LOG_U64("held_back", held),
                  LOG_MSG("hashes of the quota cache belong to another ledger, and are left as "
                          "they are: set DATABASE_URL or REDIS_URL right, or take them over: "
                          "meterctl stream adopt"));
}

static void on_written(void *owner, const struct err *error, void *reply)
{
    struct task *t = owner;
    struct limits *l = t->round->limits;
    const redisReply *answer = reply;
    if (!error && answer->type == REDIS_REPLY_STRING)
        tell_foreign(l, answer->str);
    else if (!error && answer->integer == 1)
        digests_note(&l->known, t->name, t->seen);
    t->round->written += error ? 0 : 1;
    end_task(t, error);
}

static void run_write(struct task *t)
{
    const char *key = t->words.list[WORDS_KEY_AT];
    redis_router_command(t->round->limits->context->redis, key, strlen(key), WRITE_DEADLINE_MS,
                         on_written, t, t->words.n, (const char **)t->words.list, NULL);
}

/* An error reply may be for something in its place that is no hash: the script sees to it. */
static void on_asked(void *owner, const struct err *error, void *reply)
{
    struct task *t = owner;
    if (error && error->kind != ERR_REFUSED) {
        end_task(t, error);
    } else if (!error && limit_words_match(&t->words, reply)) {
        digests_note(&t->round->limits->known, t->name, t->seen);
        end_task(t, NULL);
    } else {
        run_write(t);
    }
}

static void run_ask(struct task *t)
{
    int argc;
    const char *key = t->words.list[WORDS_KEY_AT];
    const char **argv = limit_words_ask(&t->words, &argc);
    redis_router_command(t->round->limits->context->redis, key, strlen(key), WRITE_DEADLINE_MS,
                         on_asked, t, argc, argv, NULL);
    free(argv);
}

/* Of all words but the script and the time of reading. */
static uint64_t sum_words(const struct limits *l, const struct limit_words *w)
{
    struct buf all = {0};
    for (int i = WORDS_READ_AT + 1; i < w->n; i++)
        buf_add(&all, w->list[i], strlen(w->list[i]) + 1);
    uint64_t sum = digests_of(&l->known, all.data, all.length);
    buf_done(&all);
    return sum;
}

static void begin_task(struct round *r, const PGresult *rows, int first, int end,
                       enum limits_trust trust)
{
    struct limits *l = r->limits;
    struct task *t = xcalloc(1, sizeof *t);
    t->round = r;
    limit_words_make(&t->words, rows, first, end);
    const char *key = t->words.list[WORDS_KEY_AT];
    t->name = digests_of(&l->known, key, strlen(key));
    t->seen = sum_words(l, &t->words);
    r->left++;
    l->in_flight++;
    if (trust == LIMITS_CHANGED)
        run_write(t);
    else if (trust == LIMITS_KEPT && digests_know(&l->known, t->name, t->seen))
        end_task(t, NULL);
    else
        run_ask(t);
}

static int end_of_tenant(const PGresult *rows, int first)
{
    int end = first + 1;
    const char *tenant = result_text(rows, first, LIMITS_TENANT);
    while (end < PQntuples(rows) && !strcmp(result_text(rows, end, LIMITS_TENANT), tenant))
        end++;
    return end;
}

void limits_write(struct limits *l, const PGresult *rows, enum limits_trust trust,
                  limits_done_fn done, void *owner)
{
    struct round *r = xcalloc(1, sizeof *r);
    *r = (struct round){.limits = l, .done = done, .owner = owner, .left = 1};
    for (int row = 0; row < PQntuples(rows);) {
        int end = end_of_tenant(rows, row);
        begin_task(r, rows, row, end, trust);
        row = end;
    }
    r->left--;
    end_round(r);
}

void limits_checked(struct limits *l)
{
    char now[24];
    (void)snprintf(now, sizeof now, "%" PRId64, clock_unix_ms());
    const char *argv[] = {"HSET", QUOTA_CHECKED, CHECKED_LIMITS, now};
    redis_router_command(l->context->redis, QUOTA_CHECKED, strlen(QUOTA_CHECKED), WRITE_DEADLINE_MS,
                         NULL, NULL, 4, argv, NULL);
}
