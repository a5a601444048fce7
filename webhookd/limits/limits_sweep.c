/* Rounds over all tenants, a page at a time.
 *
 *   RESTING -> COUNTING -> STAMPING -> LISTING -> READING -> CACHING -> PAUSING -> LISTING -> …
 *      ^          |           |           |          |          |
 *      +----------+-----------+-----------+----------+----------+  (failed, or only counted)
 *
 * The happy path: a page of tenants is listed; the quotas of those without any, or of all if the
 * catalog has changed, are brought in line; limits are read, and written into Redis where they
 * differ; a short pause lets events go first. A page is one transaction and locks just the tenants
 * that it brings in line. Between two rounds only the events that wait are counted.
 *
 * Redis is asked nothing about a tenant whose limits are those that we know to stand there, as long
 * as its stamp says that no key was lost. Once in SCRUB_ROUNDS it is asked about all of them, for
 * what no stamp tells.
 *
 * Failure modes: PostgreSQL or Redis is away: the round ends, and one begins a minute later, or as
 * soon as Redis is back. */
#include "webhookd/limits/limits_sweep.h"

#include "common/log.h"
#include "common/metric_table.h"
#include "common/redis/redis_stamp.h"
#include "common/str.h"
#include "webhookd/context.h"
#include "webhookd/limits/limits.h"
#include "webhookd/sql.h"
#include "webhookd/statement_list.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 1000,        /* while PostgreSQL or the schema is not there */
    COUNT_EVERY_MS = 10000, /* what waits is counted between rounds too */
    PAUSE_MS = 20,
    SCRUB_ROUNDS = 10,
    PAGE_TENANTS = 200,
    DEADLINE_MS = 20000
};

enum state { RESTING, COUNTING, STAMPING, LISTING, READING, CACHING, PAUSING };

#define TO(state) (1u << (state))
static const unsigned MAY_GO[] = {
    [RESTING] = TO(COUNTING),
    [COUNTING] = TO(STAMPING) | TO(RESTING),
    [STAMPING] = TO(LISTING) | TO(RESTING),
    [LISTING] = TO(READING) | TO(RESTING),
    [READING] = TO(CACHING) | TO(RESTING),
    [CACHING] = TO(PAUSING) | TO(RESTING),
    [PAUSING] = TO(LISTING) | TO(RESTING),
};

struct healer {
    const struct context *context;
    struct limits *limits;
    struct pg *pg;
    uv_timer_t timer;
    enum state state;
    char *after;             /* the last tenant of the page before; "" at the start of a round */
    int64_t catalog_version; /* that all quotas were last brought in line with; -1: never */
    int64_t round_version;   /* the catalog's when this round began */
    int64_t tenants;         /* of this round */
    uint64_t stamp;          /* of Redis, before the last round that went well; 0: none */
    uint64_t round_stamp;    /* … before this one */
    int rounds;              /* since one that asked about all tenants */
    uint64_t due_ms;         /* when the next round begins, in the loop's time */
    bool round;              /* a round is under way; else, if not resting, only a count */
    bool hurried;
    bool closing;
    int open_parts; /* handles, connections and writes that still point here */
};

static void run_list(struct healer *h);
static void begin_round(struct healer *h);
static void run_count(struct healer *h);
static void part_closed(struct healer *h);

static uint64_t round_ms(const struct healer *h)
{
    return (uint64_t)h->context->config->heal_s * 1000;
}

static void healer_go(struct healer *h, enum state next)
{
    assert(MAY_GO[h->state] & TO(next));
    h->state = next;
}

static bool may_go_on(const struct healer *h)
{
    return !h->closing && !stage_is_draining(h->context->stage) && h->context->schema_ready &&
           pg_is_ready(h->pg);
}

static void on_timer(uv_timer_t *timer)
{
    struct healer *h = timer->data;
    if (h->state == PAUSING)
        run_list(h);
    else if (uv_now(timer->loop) >= h->due_ms || !may_go_on(h))
        begin_round(h);
    else
        run_count(h);
}

/* Until due_ms, or until it is time to count. */
static void go_on_resting(struct healer *h)
{
    uint64_t now_ms = uv_now(h->timer.loop);
    uint64_t wait_ms = h->due_ms > now_ms ? h->due_ms - now_ms : 0;
    if (h->state != RESTING)
        healer_go(h, RESTING);
    h->round = false;
    if (!h->closing)
        uv_timer_start(&h->timer, on_timer, wait_ms < COUNT_EVERY_MS ? wait_ms : COUNT_EVERY_MS, 0);
    h->context->on_idle(h->context->owner);
}

static void rest(struct healer *h, uint64_t wait_ms)
{
    h->due_ms = uv_now(h->timer.loop) + (h->hurried ? PAUSE_MS : wait_ms);
    go_on_resting(h);
}

static void end_round(struct healer *h)
{
    h->catalog_version = h->round_version;
    h->stamp = h->round_stamp;
    limits_checked(h->limits);
    log_info(limits_rewritten, LOG_I64("tenants", h->tenants),
             LOG_I64("catalog_version", h->catalog_version));
    rest(h, round_ms(h));
}

static void on_cached(void *owner, const struct err *error, int n)
{
    struct healer *h = owner;
    h->tenants += n;
    if (h->closing) {
        part_closed(h);
        return;
    }
    h->open_parts--;
    if (error) {
        rest(h, round_ms(h));
        return;
    }
    healer_go(h, PAUSING);
    uv_timer_start(&h->timer, on_timer, PAUSE_MS, 0);
}

/* No key was lost since a round that left all in line. */
static bool is_kept(const struct healer *h)
{
    return h->round_stamp && h->round_stamp == h->stamp && h->rounds > 0;
}

static bool must_rest(const struct healer *h, const struct err *error)
{
    /* A refusal is a fault of ours or of the schema; nothing else would say so. */
    if (error && error->kind == ERR_REFUSED)
        log_error(healing_refused, LOG_ERR(error));
    return error || h->closing;
}

static void take_read(void *owner, const struct err *error, PGresult **results, int n)
{
    struct healer *h = owner;
    if (must_rest(h, error) || PQntuples(results[n - 1]) == 0) {
        rest(h, round_ms(h));
        return;
    }
    healer_go(h, CACHING);
    h->open_parts++;
    limits_write(h->limits, results[n - 1], is_kept(h) ? LIMITS_KEPT : LIMITS_UNSURE, on_cached, h);
}

static void run_read(struct healer *h, const char *tenants)
{
    struct script s = {0};
    bool all = h->catalog_version != h->round_version;
    healer_go(h, READING);
    script_add(&s, SQL_LOCK_TENANTS);
    script_text(&s, tenants);
    script_bool(&s, all);
    script_add(&s, SQL_REFRESH_PAGE);
    script_text(&s, tenants);
    script_bool(&s, all);
    script_add(&s, SQL_READ_LIMITS);
    script_text(&s, tenants);
    script_run(&s, h->pg, DEADLINE_MS, take_read, h);
}

static void take_list(void *owner, const struct err *error, PGresult **results, int n)
{
    struct healer *h = owner;
    (void)n;
    if (must_rest(h, error)) {
        rest(h, round_ms(h));
        return;
    }
    const PGresult *r = results[0];
    if (!h->after[0])
        h->round_version = result_i64(r, 0, 3);
    if (result_i64(r, 0, 2) == 0) {
        end_round(h);
        return;
    }
    free(h->after);
    h->after = xstrdup(result_text(r, 0, 1));
    run_read(h, result_text(r, 0, 0));
}

static void run_list(struct healer *h)
{
    struct script s = {0};
    if (!may_go_on(h)) {
        rest(h, RETRY_MS);
        return;
    }
    healer_go(h, LISTING);
    script_add(&s, SQL_LIST_TENANTS);
    script_text(&s, h->after);
    script_i64(&s, PAGE_TENANTS);
    script_run(&s, h->pg, DEADLINE_MS, take_list, h);
}

static void take_stamp(void *owner, uint64_t stamp)
{
    struct healer *h = owner;
    if (h->closing) {
        part_closed(h);
        return;
    }
    h->open_parts--;
    h->round_stamp = stamp;
    run_list(h);
}

static void run_stamp(struct healer *h)
{
    if (!may_go_on(h)) {
        rest(h, RETRY_MS);
        return;
    }
    healer_go(h, STAMPING);
    h->open_parts++;
    redis_stamp_ask(h->context->redis, take_stamp, h);
}

/* counts: rows of state, number of events, age of the oldest in s, as count_events.sql and
 * count_waiting.sql give them. */
static void gauges_set(const PGresult *counts)
{
    for (int row = 0; row < PQntuples(counts); row++) {
        const char *state = result_text(counts, row, 0);
        metric_set(metric_with(METRIC_OF_WEBHOOKS, state), result_i64(counts, row, 1));
        if (!strcmp(state, "received"))
            metric_set(metric_with(METRIC_OF_OLDEST_WAITING, "webhooks"),
                       result_i64(counts, row, 2) * 1000);
    }
}

static void take_count(void *owner, const struct err *error, PGresult **results, int n)
{
    struct healer *h = owner;
    (void)n;
    if (must_rest(h, error)) {
        rest(h, RETRY_MS);
        return;
    }
    gauges_set(results[0]);
    if (h->round)
        run_stamp(h);
    else if (h->hurried)
        rest(h, 0);
    else
        go_on_resting(h);
}

static void run_count(struct healer *h)
{
    struct script s = {0};
    healer_go(h, COUNTING);
    script_add(&s, h->round ? SQL_COUNT_EVENTS : SQL_COUNT_WAITING);
    if (h->round) {
        script_add(&s, SQL_FORGET_PAYLOADS);
        script_i64(&s, h->context->config->payload_keep_days);
    }
    script_run(&s, h->pg, DEADLINE_MS, take_count, h);
}

static void begin_round(struct healer *h)
{
    uv_timer_stop(&h->timer);
    if (!may_go_on(h)) {
        rest(h, RETRY_MS);
        return;
    }
    h->hurried = false;
    h->round = true;
    h->tenants = 0;
    h->rounds = (h->rounds + 1) % SCRUB_ROUNDS;
    free(h->after);
    h->after = xstrdup("");
    run_count(h);
}

void healer_hurry(struct healer *h)
{
    h->hurried = true;
    if (h->state == RESTING && !h->closing)
        begin_round(h);
}

void healer_tell_catalog(struct healer *h, int64_t version)
{
    bool is_to_read = h->round && !h->after[0];
    if (!is_to_read && version != h->round_version)
        healer_hurry(h);
}

static void on_up(void *owner)
{
    struct healer *h = owner;
    if (h->state == RESTING && !h->closing)
        begin_round(h);
}

struct healer *healer_open(const struct context *context, struct limits *limits)
{
    struct healer *h = xcalloc(1, sizeof *h);
    h->context = context;
    h->limits = limits;
    h->after = xstrdup("");
    h->catalog_version = -1;
    h->open_parts = 2;
    uv_timer_init(stage_loop(context->stage), &h->timer);
    h->timer.data = h;
    h->pg = pg_open(stage_loop(context->stage), context->config->base.database_url,
                    "meterline_webhookd", "meterline-webhookd-healer",
                    (struct pg_events){.on_up = on_up, .owner = h});
    return h;
}

bool healer_is_idle(const struct healer *h)
{
    return h->state == RESTING || h->state == PAUSING;
}

static void part_closed(struct healer *h)
{
    if (--h->open_parts > 0)
        return;
    free(h->after);
    free(h);
}

static void on_pg_closed(void *owner)
{
    part_closed(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

void healer_close(struct healer *h)
{
    h->closing = true;
    pg_close(h->pg, on_pg_closed, h);
    uv_close((uv_handle_t *)&h->timer, on_timer_closed);
}
