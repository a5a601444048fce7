/* Rows into Redis: one call of our function a tenant, a page of them pipelined. */
#include "aggregator/maintenance/quota.h"

#include "common/clock.h"
#include "common/dec.h"
#include "common/log.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_ROWS = 8192, DEADLINE_MS = 10000, ARGUMENTS_MAX = 4096 };

/* Our ledger, then five arguments a metric. An older version never replaces a newer one; the same
 * one may be repeated. Returns the name of another ledger if the hash is its: then nothing was
 * written. */
static const char FUNCTION[] =
    "#!lua name=meterline\n" QUOTA_OWNER_LUA
    "redis.register_function('meterline_used', function(keys, args)\n"
    "  local theirs = claim(keys[1], args[1])\n"
    "  if theirs then return theirs end\n"
    "  for i = 2, #args, 5 do\n"
    "    local m = args[i]\n"
    "    local known = tonumber(redis.call('HGET', keys[1], m .. '.version')) or -1\n"
    "    if known <= tonumber(args[i + 2]) then\n"
    "      redis.call('HSET', keys[1], m .. '.used', args[i + 1], m .. '.version', args[i + 2],\n"
    "                 m .. '.period_end', args[i + 3], m .. '.used_at', args[i + 4])\n"
    "    end\n"
    "  end\n"
    "end)\n";

static void on_loaded(void *owner, const struct err *error, void *reply)
{
    (void)owner;
    (void)reply;
    if (error != NULL)
        log_warn(quota_function_refused, LOG_ERR(error));
}

void quota_load_function(struct redis *redis)
{
    redis_commandf(redis, DEADLINE_MS, on_loaded, NULL, "FUNCTION LOAD REPLACE %s", FUNCTION);
}

/* Not tried again and again: what is written next of that tenant is. */
static void tell_foreign(struct quota *q, const char *theirs)
{
    uint64_t suppressed;

    if (log_repeat_failed(&q->foreign, clock_monotonic_ms(), &suppressed))
        log_error(quota_foreign, LOG_STR("ledger", theirs), LOG_STR("own_ledger", q->ledger),
                  LOG_U64("held_back", suppressed),
                  LOG_MSG("hashes of the quota cache belong to another ledger, and are left as "
                          "they are: only one ledger may use this Redis; meterctl stream adopt "
                          "takes them over"));
}

struct write {
    struct quota *quota;
    int from; /* rows of the first result in line */
    int to;
};

void quota_end_reply(struct quota *q)
{
    if (--q->replies_left > 0)
        return;
    if (!q->failed)
        log_repeat_recovered(&q->refused);
    quota_end_page(q);
}

static void on_written(void *owner, const struct err *error, void *reply)
{
    struct write w = *(struct write *)owner;
    struct quota *q = w.quota;
    const redisReply *theirs = reply;
    uint64_t suppressed;

    free(owner);
    if (error == NULL && theirs->type == REDIS_REPLY_STRING)
        tell_foreign(q, theirs->str);
    else if (error == NULL && q->line[0].oldest_ms == 0)
        quota_know(q, w.from, w.to);
    if (error != NULL && !q->failed) {
        q->failed = true;
        if (error->kind == ERR_REFUSED &&
            log_repeat_failed(&q->refused, clock_monotonic_ms(), &suppressed))
            log_warn(quota_write_refused, LOG_U64("held_back", suppressed), LOG_ERR(error));
        if (error->kind == ERR_REFUSED && strstr(error->text, "unction not found") != NULL)
            redis_router_each_node(q->redis);
    }
    quota_end_reply(q);
}

/* FCALL meterline_used 1 quota:{tenant} ledger metric used version period_end used_at … for one
 * tenant's rows. */
void quota_send_tenant(struct quota *q, int from, int to)
{
    const PGresult *r = q->line[0].result;
    struct write *w = xmalloc(sizeof *w);
    static const char *argv[ARGUMENTS_MAX + 5];
    static size_t length[ARGUMENTS_MAX + 5];
    struct buf numbers = {.data = NULL};
    int argc = 3;

    /* Reserved at once: the arguments point into it. */
    buf_reserve(&numbers, (size_t)(to - from) * (DEC_TEXT_SIZE + 48) + TENANT_MAX_BYTES + 64);
    argv[0] = "FCALL", argv[1] = "meterline_used", argv[2] = "1";
    argv[3] = numbers.data;
    length[3] = (size_t)snprintf(numbers.data, TENANT_MAX_BYTES + 16, QUOTA_KEY_PREFIX "%s}",
                                 PQgetvalue(r, from, 0));
    numbers.length = length[3];
    argv[4] = q->ledger, length[4] = strlen(q->ledger);
    argc = 5;
    for (int row = from; row < to; row++) {
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
    *w = (struct write){q, from, to};
    q->replies_left++;
    redis_router_command(q->redis, argv[3], length[3], DEADLINE_MS, on_written, w, argc, argv,
                         length);
    buf_done(&numbers);
}

static bool same_tenant(const PGresult *r, int a, int b)
{
    return strcmp(PQgetvalue(r, a, 0), PQgetvalue(r, b, 0)) == 0;
}

void quota_write_page(struct quota *q)
{
    const PGresult *r = q->line[0].result;
    int end = PQntuples(r);
    int from = q->next;

    q->failed = false;
    /* One more, so that the page cannot end while it is still being sent. */
    q->replies_left = 1;
    while (from < end && from - q->next < PAGE_ROWS) {
        int to = from + 1;

        while (to < end && to - from < ARGUMENTS_MAX / 5 && same_tenant(r, from, to))
            to++;
        if (q->line[0].oldest_ms > 0) /* of a fold: it has just changed */
            quota_send_tenant(q, from, to);
        else
            quota_check_tenant(q, from, to);
        from = to;
    }
    q->page_end = from;
    quota_end_reply(q);
}
