#include "aggregator/maintenance/quota.h"

#include "aggregator/sql.h"
#include "aggregator/stream/stream_name.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "common/pg/pg_array.h"
#include "common/redis/redis_stamp.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    READ_TENANTS = 500,
    DEADLINE_MS = 10000,
    RETRY_MS = 1000,
    FAILURES_MAX = 5,
    SCRUB_ROUNDS = 10
};

void quota_init(struct quota *q, const unsigned char key[16])
{
    *q = (struct quota){.round_ended_ms = clock_monotonic_ms()};
    tenants_init(&q->noted, key);
    digests_init(&q->known);
}

static void drop_first(struct quota *q)
{
    q->queued_rows -= PQntuples(q->queue[0].result);
    PQclear(q->queue[0].result);
    q->queue_count--;
    memmove(&q->queue[0], &q->queue[1], (size_t)q->queue_count * sizeof q->queue[0]);
    q->next = 0;
}

void quota_done(struct quota *q)
{
    while (q->queue_count > 0)
        drop_first(q);
    tenants_done(&q->noted);
    digests_done(&q->known);
}

/* What waits was read from the ledger that was here before. */
void quota_set_ledger(struct quota *q, const char *id, int32_t takeovers)
{
    char name[LEDGER_NAME_SIZE];
    snprintf(name, sizeof name, "%" PRId32 ":%s", takeovers, id);
    if (strcmp(name, q->ledger) == 0)
        return;
    while (q->queue_count > (q->busy ? 1 : 0)) {
        PGresult *last = q->queue[--q->queue_count].result;
        q->queued_rows -= PQntuples(last);
        PQclear(last);
    }
    snprintf(q->ledger, sizeof q->ledger, "%s", name);
    q->stamp = 0;
    q->complete = false;
    quota_heal(q);
}

void quota_take(struct quota *q, PGresult *rows, int64_t oldest_ms)
{
    int n = PQntuples(rows);
    assert(PQnfields(rows) == QUOTA_COLUMNS);
    if (n == 0 || q->queue_count == QUOTA_RESULTS_MAX || q->queued_rows + n > QUOTA_ROWS_MAX) {
        PQclear(rows);
        q->complete = q->complete && n == 0;
        if (n > 0)
            quota_heal(q);
        return;
    }
    q->queue[q->queue_count++] = (struct quota_rows){.result = rows, .oldest_ms = oldest_ms};
    q->queued_rows += n;
}

void quota_note_rows(struct quota *q, const PGresult *rows)
{
    for (int i = 0; i < PQntuples(rows); i++)
        tenants_intern(&q->noted, (struct text){.data = PQgetvalue(rows, i, 0),
                                                .length = (uint32_t)PQgetlength(rows, i, 0)});
}

void quota_note_unsure(struct quota *q, const PGresult *rows)
{
    quota_note_rows(q, rows);
    q->noted_unsure = q->noted_unsure || PQntuples(rows) > 0;
}

static void begin_round(struct quota *q)
{
    q->healing = q->stamping = true;
    q->ending = q->anew = false;
    q->heal_after[0] = '\0';
}

void quota_heal(struct quota *q)
{
    if (!q->healing)
        begin_round(q);
}

void quota_heal_anew(struct quota *q)
{
    q->anew = q->healing; /* a page of it may be on its way */
    quota_heal(q);
}

bool quota_has_work(const struct quota *q)
{
    return !q->busy && clock_monotonic_ms() >= q->retry_ms && q->ledger[0] != '\0' &&
           (q->queue_count > 0 || q->noted.count > 0 || q->healing || q->ending);
}

bool quota_is_writing(const struct quota *q)
{
    return q->busy || (q->queue_count > 0 && q->failures < FAILURES_MAX);
}

static void end_step(struct quota *q)
{
    q->busy = false;
    q->done(q->owner);
}

static void end_rows(struct quota *q)
{
    if (q->queue[0].oldest_ms > 0) {
        int64_t age_ms = clock_unix_ms() - q->queue[0].oldest_ms;
        metric_set(metric_of(METRIC_OF_QUOTA_LAG, ""), age_ms);
        metric_observe(metric_of(METRIC_OF_QUOTA_AGE, ""), age_ms);
    }
    drop_first(q);
}

void quota_scrape(const struct quota *q, bool writes)
{
    int64_t waiting_ms = 0;
    for (int i = q->queue_count - 1; i >= 0; i--) /* the first with a time is the oldest */
        if (q->queue[i].oldest_ms > 0)
            waiting_ms = clock_unix_ms() - q->queue[i].oldest_ms;
    metric_set(metric_with(METRIC_OF_OLDEST_WAITING, "quota_cache"), waiting_ms);
    if (writes)
        metric_set(metric_of(METRIC_OF_QUOTA_REFRESH, ""),
                   clock_monotonic_ms() - q->round_ended_ms);
    else
        metric_drop(METRIC_OF_QUOTA_REFRESH);
}

static void end_page(struct quota *q)
{
    q->failures = q->failed ? q->failures + 1 : 0;
    if (q->failed)
        q->retry_ms = clock_monotonic_ms() + RETRY_MS;
    else
        q->next = q->page_end;
    if (q->next >= PQntuples(q->queue[0].result))
        end_rows(q);
    end_step(q);
}

/* Not again at once: the next step would follow without a rest. */
static void read_failed(struct quota *q, const struct err *error)
{
    if (error->kind == ERR_REFUSED)
        log_warn(quota_read_failed, LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    q->retry_ms = clock_monotonic_ms() + RETRY_MS;
    end_step(q);
}

static void take_used(void *owner, const struct err *error, PGresult **results, int n)
{
    struct quota *q = owner;
    if (error) {
        read_failed(q, error);
        return;
    }
    tenants_trim(&q->noted, 0);
    int before = q->queue_count;
    quota_take(q, results[n - 1], 0);
    results[n - 1] = NULL; /* ours now */
    if (q->queue_count > before)
        q->queue[before].unsure = q->noted_unsure;
    q->noted_unsure = false;
    end_step(q);
}

static void read_noted(struct quota *q)
{
    struct pg_array tenants, streams;
    pg_array_init(&tenants, PG_TEXT);
    pg_array_init(&streams, PG_TEXT);
    for (uint32_t i = 0; i < q->noted.count; i++) {
        const struct tenant_ref *tenant = q->noted.list[i];
        char stream[STREAM_NAME_SIZE];
        stream_name(tenant->crc16 % q->shards, q->shards, stream);
        pg_array_add(&tenants, tenant->name.data, tenant->name.length);
        pg_array_add_text(&streams, stream);
    }
    struct pg_statement s[2];
    pg_statement_init(&s[0], SQL_OPEN_WINDOWS);
    pg_add_array(&s[0], &tenants);
    pg_statement_init(&s[1], SQL_READ_USED);
    pg_add_array(&s[1], &tenants);
    pg_add_array(&s[1], &streams);
    pg_run(q->pg, s, 2, DEADLINE_MS, take_used, q);
    pg_array_done(&tenants);
    pg_array_done(&streams);
}

static void take_tenants(void *owner, const struct err *error, PGresult **results, int n)
{
    struct quota *q = owner;
    (void)n;
    if (error) {
        read_failed(q, error);
        return;
    }
    int rows = PQntuples(results[0]);
    quota_note_rows(q, results[0]);
    if (rows > 0)
        snprintf(q->heal_after, sizeof q->heal_after, "%s", PQgetvalue(results[0], rows - 1, 0));
    if (q->anew) {
        begin_round(q);
    } else if (rows < READ_TENANTS) {
        q->healing = false;
        q->ending = true;
    }
    end_step(q);
}

static void read_heal_page(struct quota *q)
{
    char count[16];
    snprintf(count, sizeof count, "%d", READ_TENANTS);
    struct pg_statement s;
    pg_statement_init(&s, SQL_READ_TENANTS);
    pg_add_text(&s, q->heal_after);
    pg_add_text(&s, count);
    pg_run(q->pg, &s, 1, DEADLINE_MS, take_tenants, q);
}

static void take_stamp(void *owner, uint64_t stamp)
{
    struct quota *q = owner;
    q->round_stamp = stamp;
    q->stamping = false;
    q->complete = true;
    q->rounds = (q->rounds + 1) % SCRUB_ROUNDS;
    end_step(q);
}

static void on_checked_noted(void *owner, const struct err *error, void *reply)
{
    (void)error;
    (void)reply;
    end_step(owner);
}

/* All usage was gone over: tell when. */
static void end_round(struct quota *q)
{
    char now[24];
    const char *argv[] = {"HSET", QUOTA_CHECKED, CHECKED_USED, now};
    q->ending = false;
    q->stamp = q->complete ? q->round_stamp : 0;
    q->round_ended_ms = clock_monotonic_ms();
    snprintf(now, sizeof now, "%" PRId64, clock_unix_ms());
    redis_router_command(q->redis, QUOTA_CHECKED, strlen(QUOTA_CHECKED), DEADLINE_MS,
                         on_checked_noted, q, 4, argv, NULL);
}

void quota_run(struct quota *q, struct pg *pg, struct redis_router *redis,
               void (*done)(void *owner), void *owner)
{
    assert(quota_has_work(q));
    q->pg = pg;
    q->redis = redis;
    q->done = done;
    q->owner = owner;
    q->busy = true;
    if (q->queue_count > 0)
        quota_page_run(q, end_page);
    else if (q->noted.count > 0)
        read_noted(q);
    else if (q->ending)
        end_round(q);
    else if (q->stamping)
        redis_stamp_ask(redis, REDIS_STAMP_ANY, take_stamp, q);
    else
        read_heal_page(q);
}
