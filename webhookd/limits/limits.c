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
#include "common/str.h"
#include "webhookd/context.h"
#include "webhookd/limits/limit_words.h"
#include "webhookd/work/statement_list.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { WRITE_DEADLINE_MS = 3000 };

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
