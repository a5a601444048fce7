/* A page of rows into Redis, pipelined, tenant by tenant. What stands there already is not written
 * again: it is known from before, or looked at by one HMGET a tenant. */
#include "aggregator/maintenance/quota.h"

#include "common/clock.h"
#include "common/dec.h"
#include "common/log.h"
#include "common/str.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_ROWS = 8192, DEADLINE_MS = 10000, ARGUMENTS_MAX = 4096 };

/* The columns of read_used.sql, fold.sql and fold_left.sql. */
enum { TENANT, METRIC, USED, VERSION, PERIOD_END_MS, USED_AT_MS, AS_OF };
enum { ARGUMENTS = AS_OF }; /* of a metric, from METRIC on */
static_assert(AS_OF + 1 == QUOTA_COLUMNS, "those of a row");

/* Fields asked for, of each metric; whose hash it is comes before them. */
static const char *const FIELDS[] = {"version", "used", "period_end"};
enum { N_FIELDS = sizeof FIELDS / sizeof *FIELDS };

/* Our ledger, then six arguments a metric. An older version never replaces a newer one; the same
 * one may be repeated, and may have a reading of as_of that knows less ("": nothing). Returns the
 * name of another ledger if the hash is its: then nothing was written. */
static const char FUNCTION[] =
    "#!lua name=meterline\n" QUOTA_OWNER_LUA /* claim */
    "local function padded(entry)\n"
    "  return (string.gsub(entry, '%d+', function(n) return string.rep('0', 20 - #n) .. n end))\n"
    "end\n"
    "redis.register_function('meterline_used', function(keys, args)\n"
    "  local theirs = claim(keys[1], args[1])\n"
    "  if theirs then return theirs end\n"
    "  for i = 2, #args, 6 do\n"
    "    local m = args[i]\n"
    "    local known = redis.call('HMGET', keys[1], m .. '.version', m .. '.as_of')\n"
    "    if (tonumber(known[1]) or -1) <= tonumber(args[i + 2]) then\n"
    "      local as_of = known[2] or ''\n"
    "      if padded(as_of) < padded(args[i + 5]) then as_of = args[i + 5] end\n"
    "      redis.call('HSET', keys[1], m .. '.used', args[i + 1], m .. '.version', args[i + 2],\n"
    "                 m .. '.period_end', args[i + 3], m .. '.used_at', args[i + 4],\n"
    "                 m .. '.as_of', as_of)\n"
    "    end\n"
    "  end\n"
    "end)\n";

static void on_loaded(void *owner, const struct err *error, void *reply)
{
    (void)owner;
    (void)reply;
    if (error)
        log_warn(quota_function_failed, LOG_ERR(error));
}

void quota_load_function(struct redis *redis)
{
    redis_commandf(redis, DEADLINE_MS, on_loaded, NULL, "FUNCTION LOAD REPLACE %s", FUNCTION);
}

/* One tenant's rows of the first result in the queue. */
struct tenant_rows {
    struct quota *quota;
    int from;
    int to;
};

static struct tenant_rows *ask_for(struct quota *q, int from, int to)
{
    struct tenant_rows *rows = xmalloc(sizeof *rows);
    *rows = (struct tenant_rows){q, from, to};
    q->replies_left++;
    return rows;
}

/* A reply came, or none was needed. */
static void end_reply(struct quota *q)
{
    if (--q->replies_left > 0)
        return;
    if (!q->failed)
        log_repeat_recovered(&q->refused);
    q->page_done(q);
}

/* Exact, without trailing zeros. Returns its length. */
static size_t format_used(const PGresult *r, int row, char out[DEC_TEXT_SIZE])
{
    struct dec used = DEC_ZERO;
    if (dec_parse(PQgetvalue(r, row, USED), (size_t)PQgetlength(r, row, USED), &used) != 0)
        abort();
    size_t length = dec_format(used, out);
    out[length] = '\0';
    return length;
}

/* What is known to stand in the cache. */

/* Of a row: its tenant and metric, and what stands there; not when it was read. */
static void digest_row(const struct quota *q, int row, uint64_t *name, uint64_t *seen)
{
    const PGresult *r = q->queue[0].result;
    char text[TENANT_MAX_BYTES + METRIC_MAX_BYTES + 2];
    int length = snprintf(text, sizeof text, "%s%c%s", PQgetvalue(r, row, TENANT), 0,
                          PQgetvalue(r, row, METRIC));
    *name = digests_of(&q->known, text, (size_t)length);
    char content[128];
    length = snprintf(content, sizeof content, "%s %s %s", PQgetvalue(r, row, USED),
                      PQgetvalue(r, row, VERSION), PQgetvalue(r, row, PERIOD_END_MS));
    *seen = digests_of(&q->known, content, (size_t)length);
}

static void note_known(struct quota *q, int from, int to)
{
    for (int row = from; row < to; row++) {
        uint64_t name, seen;
        digest_row(q, row, &name, &seen);
        digests_note(&q->known, name, seen);
    }
}

static bool is_known(const struct quota *q, int from, int to)
{
    for (int row = from; row < to; row++) {
        uint64_t name, seen;
        digest_row(q, row, &name, &seen);
        if (!digests_know(&q->known, name, seen))
            return false;
    }
    return true;
}

/* Writing. */

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

static void on_written(void *owner, const struct err *error, void *reply)
{
    struct tenant_rows rows = *(struct tenant_rows *)owner;
    struct quota *q = rows.quota;
    const redisReply *theirs = reply;
    free(owner);
    if (!error && theirs->type == REDIS_REPLY_STRING)
        tell_foreign(q, theirs->str);
    else if (!error && q->queue[0].oldest_ms == 0)
        note_known(q, rows.from, rows.to);
    if (error && !q->failed) {
        uint64_t suppressed;
        q->failed = true;
        if (error->kind == ERR_REFUSED &&
            log_repeat_failed(&q->refused, clock_monotonic_ms(), &suppressed))
            log_warn(quota_write_failed, LOG_U64("held_back", suppressed), LOG_ERR(error));
        if (error->kind == ERR_REFUSED && strstr(error->text, "unction not found"))
            redis_router_each_node(q->redis);
    }
    end_reply(q);
}

/* FCALL meterline_used 1 quota:{tenant} ledger metric used version period_end used_at as_of … */
static void write_tenant(struct quota *q, int from, int to)
{
    static const char *argv[ARGUMENTS_MAX + 5];
    static size_t length[ARGUMENTS_MAX + 5];
    const PGresult *r = q->queue[0].result;
    struct buf numbers = {.data = NULL};
    /* Reserved at once: the arguments point into it. */
    buf_reserve(&numbers, (size_t)(to - from) * (DEC_TEXT_SIZE + 48) + TENANT_MAX_BYTES + 64);
    argv[0] = "FCALL", argv[1] = "meterline_used", argv[2] = "1";
    for (int i = 0; i < 3; i++)
        length[i] = strlen(argv[i]);
    argv[3] = numbers.data;
    length[3] = (size_t)snprintf(numbers.data, TENANT_MAX_BYTES + 16, QUOTA_KEY_PREFIX "%s}",
                                 PQgetvalue(r, from, TENANT));
    argv[4] = q->ledger, length[4] = strlen(q->ledger);
    char *at = numbers.data + length[3];
    int argc = 5;
    for (int row = from; row < to; row++) {
        for (int column = METRIC; column <= AS_OF; column++, argc++) {
            argv[argc] = PQgetvalue(r, row, column);
            length[argc] = (size_t)PQgetlength(r, row, column);
            if (column == USED)
                argv[argc] = at, length[argc] = format_used(r, row, at), at += length[argc];
        }
    }
    redis_router_command(q->redis, argv[3], length[3], DEADLINE_MS, on_written,
                         ask_for(q, from, to), argc, argv, length);
    buf_done(&numbers);
}

/* Looking. */

static bool is_text(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

/* A newer version may have been written meanwhile. */
static bool is_row(const PGresult *r, int row, redisReply *const *fields)
{
    const char *text = PQgetvalue(r, row, VERSION);
    int64_t version, wanted;
    if (fields[0]->type != REDIS_REPLY_STRING ||
        str_to_i64(fields[0]->str, fields[0]->len, &version) != 0 ||
        str_to_i64(text, strlen(text), &wanted) != 0 || version < wanted)
        return false;
    char used[DEC_TEXT_SIZE];
    format_used(r, row, used);
    return version > wanted ||
           (is_text(fields[1], used) && is_text(fields[2], PQgetvalue(r, row, PERIOD_END_MS)));
}

static bool is_there(const struct tenant_rows *rows, const redisReply *reply)
{
    const struct quota *q = rows->quota;
    size_t n = (size_t)(rows->to - rows->from);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1 + n * N_FIELDS ||
        !is_text(reply->element[0], q->ledger))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_row(q->queue[0].result, rows->from + (int)i, &reply->element[1 + i * N_FIELDS]))
            return false;
    return true;
}

/* An error reply may be for something in its place that is no hash: writing sees to it. */
static void take_fields(void *owner, const struct err *error, void *reply)
{
    struct tenant_rows rows = *(struct tenant_rows *)owner;
    struct quota *q = rows.quota;
    free(owner);
    if (error && error->kind != ERR_REFUSED)
        q->failed = true;
    else if (!error && is_there(&rows, reply))
        note_known(q, rows.from, rows.to);
    else
        write_tenant(q, rows.from, rows.to);
    end_reply(q);
}

static void ask_fields(struct quota *q, int from, int to)
{
    const PGresult *r = q->queue[0].result;
    int argc = 3 + (to - from) * N_FIELDS;
    char **argv = xcalloc((size_t)argc, sizeof *argv);
    argv[0] = xstrdup("HMGET");
    argv[1] = xasprintf(QUOTA_KEY_PREFIX "%s}", PQgetvalue(r, from, TENANT));
    argv[2] = xstrdup("ledger");
    int n = 3;
    for (int row = from; row < to; row++)
        for (int i = 0; i < N_FIELDS; i++)
            argv[n++] = xasprintf("%s.%s", PQgetvalue(r, row, METRIC), FIELDS[i]);
    redis_router_command(q->redis, argv[1], strlen(argv[1]), DEADLINE_MS, take_fields,
                         ask_for(q, from, to), argc, (const char **)argv, NULL);
    while (n > 0)
        free(argv[--n]);
    free(argv);
}

/* What a fold gave has just changed; all else probably stands there. */
static void refresh_tenant(struct quota *q, int from, int to)
{
    bool kept = q->round_stamp != 0 && q->round_stamp == q->stamp && q->rounds > 0;
    if (q->queue[0].oldest_ms > 0)
        write_tenant(q, from, to);
    else if (!kept || q->queue[0].unsure || !is_known(q, from, to))
        ask_fields(q, from, to);
}

void quota_page_run(struct quota *q, void (*done)(struct quota *q))
{
    const PGresult *r = q->queue[0].result;
    int end = PQntuples(r);
    int from = q->next;
    q->failed = false;
    q->page_done = done;
    /* One more, so that the page cannot end while it is still being sent. */
    q->replies_left = 1;
    while (from < end && from - q->next < PAGE_ROWS) {
        int to = from + 1;
        while (to < end && to - from < ARGUMENTS_MAX / ARGUMENTS &&
               strcmp(PQgetvalue(r, from, TENANT), PQgetvalue(r, to, TENANT)) == 0)
            to++;
        refresh_tenant(q, from, to);
        from = to;
    }
    q->page_end = from;
    end_reply(q);
}
