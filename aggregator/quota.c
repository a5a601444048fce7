#include "aggregator/quota.h"

#include "aggregator/sql.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/pg_array.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PAGE_TENANTS = 2000,
    HEAL_TENANTS = 500,
    DEADLINE_MS = 10000,
    ARGUMENTS_MAX = 4096,
    RETRY_MS = 1000
};

/* Five arguments a metric. An older version never replaces a newer one; the same one may be
 * repeated. What is no hash or no number was put there by somebody else (one XADD is enough): it
 * goes, or it would hold up the usage of all tenants of its page. */
static const char FUNCTION[] =
    "#!lua name=meterline\n"
    "redis.register_function('meterline_used', function(keys, args)\n"
    "  local kind = redis.call('TYPE', keys[1]).ok\n"
    "  if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', keys[1]) end\n"
    "  for i = 1, #args, 5 do\n"
    "    local m = args[i]\n"
    "    local known = tonumber(redis.call('HGET', keys[1], m .. '.version')) or -1\n"
    "    if known <= tonumber(args[i + 2]) then\n"
    "      redis.call('HSET', keys[1], m .. '.used', args[i + 1], m .. '.version', args[i + 2],\n"
    "                 m .. '.period_end', args[i + 3], m .. '.used_at', args[i + 4])\n"
    "    end\n"
    "  end\n"
    "end)\n";

void quota_init(struct quota *q, const unsigned char key[16])
{
    *q = (struct quota){.busy = false};
    tenants_init(&q->noted, key);
    tenants_init(&q->writing, key);
}

void quota_done(struct quota *q)
{
    tenants_done(&q->noted);
    tenants_done(&q->writing);
}

static void on_loaded(void *owner, const struct err *error, void *reply)
{
    (void)owner;
    (void)reply;
    if (error != NULL)
        log_warn("quota_function_refused", LOG_ERR(error));
}

void quota_load_function(struct redis *redis)
{
    redis_commandf(redis, DEADLINE_MS, on_loaded, NULL, "FUNCTION LOAD REPLACE %s", FUNCTION);
}

void quota_note(struct quota *q, const struct tally *tally, int64_t oldest_ms)
{
    const struct tenant_ref *before = NULL;

    for (uint32_t i = 0; i < tally->count; i++) {
        if (tally->rows[i].tenant != before)
            tenants_intern(&q->noted, tally->rows[i].tenant->name);
        before = tally->rows[i].tenant;
    }
    if (tally->count > 0 && (q->noted_ms == 0 || oldest_ms < q->noted_ms))
        q->noted_ms = oldest_ms;
}

void quota_heal(struct quota *q)
{
    if (q->healing)
        return;
    q->healing = true;
    q->heal_after[0] = '\0';
}

bool quota_has_work(const struct quota *q)
{
    return !q->busy && clock_monotonic_ms() >= q->retry_ms &&
           (q->noted.count > 0 || q->writing.count > 0 || q->healing);
}

static void end_step(struct quota *q)
{
    q->busy = false;
    q->done(q->owner);
}

/* All of `writing` is in the cache. */
static void finish_writing(struct quota *q)
{
    static struct metric *lag;

    if (lag == NULL)
        lag = metric_get("meterline_quota_lag_seconds", "",
                         "Age of the oldest event in the last write of the quota cache",
                         METRIC_GAUGE, METRIC_MS_AS_SECONDS);
    if (q->writing_ms > 0)
        metric_set(lag, clock_unix_ms() - q->writing_ms);
    tenants_trim(&q->writing, 0);
    q->next = 0;
    q->writing_ms = 0;
}

static void finish_page(struct quota *q)
{
    if (q->failed)
        q->retry_ms = clock_monotonic_ms() + RETRY_MS;
    else
        q->next = q->page_end;
    if (q->next >= q->writing.count)
        finish_writing(q);
    end_step(q);
}

static void on_written(void *owner, const struct err *error, void *reply)
{
    struct quota *q = owner;

    (void)reply;
    if (error != NULL && !q->failed) {
        q->failed = true;
        if (error->kind == ERR_REFUSED)
            log_warn("quota_write_refused", LOG_ERR(error));
        if (error->kind == ERR_REFUSED && strstr(error->text, "unction not found") != NULL)
            quota_load_function(q->redis);
    }
    if (--q->replies_left == 0)
        finish_page(q);
}

/* Not again at once: the next step would follow without a rest. */
static void read_failed(struct quota *q, const struct err *error)
{
    if (error->kind == ERR_REFUSED)
        log_warn("quota_read_refused", LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    q->retry_ms = clock_monotonic_ms() + RETRY_MS;
    end_step(q);
}

/* FCALL meterline_used 1 quota:{tenant} metric used version period_end used_at … for one tenant's
 * rows. */
static void send_tenant(struct quota *q, const PGresult *r, int from, int to)
{
    static const char *argv[ARGUMENTS_MAX + 4];
    static size_t length[ARGUMENTS_MAX + 4];
    struct buf numbers = {.data = NULL};
    int argc = 3;

    /* Reserved at once: the arguments point into it. */
    buf_reserve(&numbers, (size_t)(to - from) * (DEC_TEXT_SIZE + 48) + TENANT_MAX_BYTES + 64);
    argv[0] = "FCALL", argv[1] = "meterline_used", argv[2] = "1";
    argv[3] = numbers.data;
    length[3] = (size_t)snprintf(numbers.data, TENANT_MAX_BYTES + 16, QUOTA_KEY_PREFIX "%s}",
                                 PQgetvalue(r, from, 0));
    numbers.length = length[3];
    argc = 4;
    for (int row = from; row < to && argc + 5 <= ARGUMENTS_MAX; row++) {
        struct dec used = DEC_ZERO;
        char *at = numbers.data + numbers.length;
        size_t n;

        if (dec_parse(PQgetvalue(r, row, 2), (size_t)PQgetlength(r, row, 2), &used) != 0)
            abort();
        n = dec_format(used, at);
        argv[argc] = PQgetvalue(r, row, 1), length[argc++] = (size_t)PQgetlength(r, row, 1);
        argv[argc] = at, length[argc++] = n;
        argv[argc] = PQgetvalue(r, row, 3), length[argc++] = (size_t)PQgetlength(r, row, 3);
        argv[argc] = PQgetvalue(r, row, 4), length[argc++] = (size_t)PQgetlength(r, row, 4);
        argv[argc] = PQgetvalue(r, row, 5), length[argc++] = (size_t)PQgetlength(r, row, 5);
        numbers.length += n;
    }
    for (int i = 0; i < 3; i++)
        length[i] = strlen(argv[i]);
    q->replies_left++;
    redis_command(q->redis, DEADLINE_MS, on_written, q, argc, argv, length);
    buf_done(&numbers);
}

static void take_used(void *owner, const struct err *error, PGresult **results, int n)
{
    struct quota *q = owner;
    const PGresult *r;
    int from = 0;

    (void)n;
    if (error != NULL) {
        read_failed(q, error);
        return;
    }
    r = results[0];
    q->failed = false;
    /* One more, so that the page cannot end while it is still being sent. */
    q->replies_left = 1;
    for (int row = 1; row <= PQntuples(r); row++) {
        if (row < PQntuples(r) && strcmp(PQgetvalue(r, row, 0), PQgetvalue(r, from, 0)) == 0)
            continue;
        send_tenant(q, r, from, row);
        from = row;
    }
    if (--q->replies_left == 0)
        finish_page(q);
}

static void write_page(struct quota *q)
{
    struct pg_array tenants;
    struct pg_statement s;

    q->page_end = q->next + PAGE_TENANTS;
    if (q->page_end > q->writing.count)
        q->page_end = q->writing.count;
    pg_array_init(&tenants, PG_TEXT);
    for (uint32_t i = q->next; i < q->page_end; i++)
        pg_array_add(&tenants, q->writing.list[i]->name.data, q->writing.list[i]->name.length);
    pg_statement_init(&s, SQL_READ_USED);
    pg_add_array(&s, &tenants);
    pg_run(q->pg, &s, 1, DEADLINE_MS, take_used, q);
    pg_array_done(&tenants);
}

static void take_tenants(void *owner, const struct err *error, PGresult **results, int n)
{
    struct quota *q = owner;
    int rows;

    (void)n;
    if (error != NULL) {
        read_failed(q, error);
        return;
    }
    rows = PQntuples(results[0]);
    for (int row = 0; row < rows; row++)
        tenants_intern(&q->noted,
                       (struct text){.data = PQgetvalue(results[0], row, 0),
                                     .length = (uint32_t)PQgetlength(results[0], row, 0)});
    if (rows > 0)
        snprintf(q->heal_after, sizeof q->heal_after, "%s", PQgetvalue(results[0], rows - 1, 0));
    if (rows < HEAL_TENANTS)
        q->healing = false;
    end_step(q);
}

static void read_heal_page(struct quota *q)
{
    struct pg_statement s;
    char count[16];

    snprintf(count, sizeof count, "%d", HEAL_TENANTS);
    pg_statement_init(&s, SQL_READ_TENANTS);
    pg_add_text(&s, q->heal_after);
    pg_add_text(&s, count);
    pg_run(q->pg, &s, 1, DEADLINE_MS, take_tenants, q);
}

void quota_run(struct quota *q, struct pg *pg, struct redis *redis, void (*done)(void *owner),
               void *owner)
{
    struct tenants empty = q->writing;

    assert(quota_has_work(q));
    q->pg = pg;
    q->redis = redis;
    q->done = done;
    q->owner = owner;
    q->busy = true;
    if (q->writing.count == 0 && q->noted.count > 0) {
        q->writing = q->noted;
        q->writing_ms = q->noted_ms;
        q->noted = empty;
        q->noted_ms = 0;
        q->next = 0;
    }
    if (q->writing.count > 0)
        write_page(q);
    else
        read_heal_page(q);
}
