/* Writes limits into Redis.
 *
 * The happy path: rows of read_limits.sql, grouped by tenant, become one script call each. The
 * script leaves a hash alone that was written from a younger reading, since an event's worker and
 * the healer read and write side by side, and the slower one must not set the faster one back.
 *
 * Failure modes: Redis is away or answers an error: logged, and the healer writes it all again. */
#include "webhookd/limits.h"

#include "common/clock.h"
#include "common/contract.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/quota_owner.h"
#include "webhookd/script.h"
#include "webhookd/webhookd.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WRITE_DEADLINE_MS = 3000 };
enum { KEY_AT = 3 }; /* of the words of EVAL */

/* KEYS[1] the hash; ARGV: when it was read (Unix ms), number of pairs, the pairs, our ledger,
 * fields to delete. A stored time that is far in the future comes from a clock that was wrong, and
 * does not count. Returns the name of another ledger if the hash is its: then nothing was written.
 */
static const char WRITE_LIMITS[] = QUOTA_OWNER_LUA
    "local last = 2 + 2 * tonumber(ARGV[2])\n"
    "local theirs = claim(KEYS[1], ARGV[last + 1])\n"
    "if theirs then return theirs end\n"
    "local at, seen = tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], 'refreshed_at'))\n"
    "if seen and seen > at and seen < at + 60000 then return 0 end\n"
    "redis.call('HSET', KEYS[1], 'refreshed_at', ARGV[1])\n"
    "for i = 3, last, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end\n"
    "for i = last + 2, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end\n"
    "return 1";

enum columns { TENANT, STATUS, READ_AT_MS, METRIC, CAP, LIMIT_TEXT, GRACE_UNTIL_MS, LEDGER };

struct limits {
    struct webhookd *d;
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
    int written;

    struct err error;
};

/* Words of one command; all owned. */
struct words {
    char **list;
    int n;
    int capacity;
};

struct limits *limits_new(struct webhookd *d)
{
    struct limits *l = xcalloc(1, sizeof *l);
    l->d = d;
    return l;
}

void limits_free(struct limits *l)
{
    free(l);
}

bool limits_are_idle(const struct limits *l)
{
    return l->in_flight == 0;
}

static void add_word(struct words *w, char *word)
{
    if (w->n == w->capacity) {
        w->capacity = w->capacity ? 2 * w->capacity : 32;
        w->list = xrealloc(w->list, (size_t)w->capacity * sizeof *w->list);
    }
    w->list[w->n++] = word;
}

static void words_done(struct words *w)
{
    for (int i = 0; i < w->n; i++)
        free(w->list[i]);
    free(w->list);
}

static void add_pair(struct words *w, const char *metric, const char *field, const char *value)
{
    add_word(w, xasprintf("%s.%s", metric, field));
    add_word(w, xstrdup(value));
}

/* Fields with a value: from `first` up to `end`, the rows of one tenant. Returns how many pairs. */
static int add_pairs(struct words *w, const PGresult *rows, int first, int end)
{
    int before = w->n;
    add_word(w, xstrdup("status"));
    add_word(w, xstrdup(result_text(rows, first, STATUS)));
    for (int row = first; row < end; row++) {
        const char *metric = result_text(rows, row, METRIC);
        if (!metric || !result_text(rows, row, CAP))
            continue;
        add_pair(w, metric, "limit", result_text(rows, row, LIMIT_TEXT));
        add_pair(w, metric, "cap", result_text(rows, row, CAP));
        if (result_text(rows, row, GRACE_UNTIL_MS))
            add_pair(w, metric, "grace_until", result_text(rows, row, GRACE_UNTIL_MS));
    }
    return (w->n - before) / 2;
}

/* Fields without a value, so that what is gone from the plan is gone from the cache. */
static void add_gone(struct words *w, const PGresult *rows, int first, int end)
{
    for (int row = first; row < end; row++) {
        const char *metric = result_text(rows, row, METRIC);
        if (metric && !result_text(rows, row, GRACE_UNTIL_MS))
            add_word(w, xasprintf("%s.grace_until", metric));
        if (!metric || result_text(rows, row, CAP))
            continue;
        add_word(w, xasprintf("%s.limit", metric));
        add_word(w, xasprintf("%s.cap", metric));
    }
}

static void make_command(struct words *w, const PGresult *rows, int first, int end)
{
    add_word(w, xstrdup("EVAL"));
    add_word(w, xstrdup(WRITE_LIMITS));
    add_word(w, xstrdup("1"));
    assert(w->n == KEY_AT);
    add_word(w, xasprintf(QUOTA_KEY_PREFIX "%s}", result_text(rows, first, TENANT)));
    add_word(w, xstrdup(result_text(rows, first, READ_AT_MS)));
    int count_at = w->n;
    add_word(w, NULL);
    int pairs = add_pairs(w, rows, first, end);
    w->list[count_at] = xasprintf("%d", pairs);
    add_word(w, xstrdup(result_text(rows, first, LEDGER)));
    add_gone(w, rows, first, end);
}

static void report(struct limits *l, const struct err *error, int written)
{
    uint64_t held;
    metric_add(metric_get("meterline_quota_writes_total", "",
                          "Tenants whose limits were written into the quota cache.", METRIC_COUNTER,
                          METRIC_PLAIN),
               written);
    if (error->kind == ERR_NONE) {
        if (written > 0 && log_repeat_recovered(&l->failed))
            log_info("limits_cached_again", LOG_I64("tenants", written));
        return;
    }
    if (error->kind != ERR_CANCELED && log_repeat_failed(&l->failed, clock_monotonic_ms(), &held))
        log_warn("limits_not_cached", LOG_U64("held_back", held), LOG_ERR(error));
}

static void end_round(struct round *r)
{
    struct round end = *r;
    if (r->left > 0)
        return;
    free(r);
    report(end.limits, &end.error, end.written);
    if (end.done)
        end.done(end.owner, end.error.kind == ERR_NONE ? NULL : &end.error, end.written);
    webhookd_check_drained(end.limits->d);
}

static void tell_foreign(struct limits *l, const char *theirs)
{
    uint64_t held;
    if (log_repeat_failed(&l->foreign, clock_monotonic_ms(), &held))
        log_error("quota_foreign", LOG_STR("ledger", theirs), LOG_U64("held_back", held),
                  LOG_MSG("hashes of the quota cache belong to another ledger, and are left as "
                          "they are: set DATABASE_URL or REDIS_URL right, or take them over: "
                          "meterctl stream adopt"));
}

static void on_written(void *owner, const struct err *error, void *reply)
{
    struct round *r = owner;
    const redisReply *theirs = reply;
    if (!error && theirs->type == REDIS_REPLY_STRING)
        tell_foreign(r->limits, theirs->str);
    r->left--;
    r->limits->in_flight--;
    if (error)
        r->error = *error;
    else
        r->written++;
    end_round(r);
}

static void send_tenant(struct round *r, const PGresult *rows, int first, int end)
{
    struct words w = {0};
    make_command(&w, rows, first, end);
    r->left++;
    r->limits->in_flight++;
    const char **argv = xcalloc((size_t)w.n, sizeof *argv);
    for (int i = 0; i < w.n; i++)
        argv[i] = w.list[i];
    redis_router_command(r->limits->d->redis, w.list[KEY_AT], strlen(w.list[KEY_AT]),
                         WRITE_DEADLINE_MS, on_written, r, w.n, argv, NULL);
    free(argv);
    words_done(&w);
}

static int end_of_tenant(const PGresult *rows, int first)
{
    int end = first + 1;
    const char *tenant = result_text(rows, first, TENANT);
    while (end < PQntuples(rows) && !strcmp(result_text(rows, end, TENANT), tenant))
        end++;
    return end;
}

void limits_write(struct limits *l, const PGresult *rows, limits_done_fn done, void *owner)
{
    struct round *r = xcalloc(1, sizeof *r);
    *r = (struct round){.limits = l, .done = done, .owner = owner};
    for (int row = 0; row < PQntuples(rows);) {
        int end = end_of_tenant(rows, row);
        send_tenant(r, rows, row, end);
        row = end;
    }
    assert(r->left > 0); /* callers have at least one row */
}
