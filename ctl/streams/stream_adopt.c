/* meterctl stream adopt: this ledger takes over streams that another one counted.
 *
 * 1. In PostgreSQL: take the stream's lease, and note the token of the epoch that is to come.
 * 2. In Redis, in one step: the mark names this ledger and that token, and the group stays where
 *    the other ledger had come to.
 * 3. In PostgreSQL, in one transaction: end the epoch that this ledger had, if any, and open the
 *    one of that token, which begins there. Sinks hold.
 * 4. What the other ledger left in the quota cache goes.
 *
 * Cut short after 2, the next aggregator sees the token and does 3; run again, the command does 4.
 */
#include "common/contract.h"
#include "common/quota_owner.h"
#include "common/redis/redis.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/redis_ask.h"
#include "ctl/sql.h"
#include "ctl/streams/stream_lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REDIS_TIMEOUT_MS = 10000, ADOPT_WITHIN_MS = 15000 };

struct adopt {
    const struct ctl_config *config;
    bool yes;
    PGconn *conn;
    redisContext *redis;
    char ledger[EPOCH_TOKEN_SIZE]; /* this one */
    int32_t takeovers;
    int64_t found; /* streams of another ledger */
    struct stream_lease lease;
    struct stream_group group;
    int64_t waiting;
    int64_t read; /* entries-added of the group's last entry */
    int64_t lost; /* entries that the other ledger counted since this one had the stream */
};

static int read_identity(struct adopt *a, struct err *e)
{
    PGresult *r = db_query(a->conn, SQL_READ_IDENTITY, 0, NULL, e);
    if (!r)
        return err_wrap(e, "postgres");
    snprintf(a->ledger, sizeof a->ledger, "%s", db_text(r, 0, 0));
    a->takeovers = (int32_t)db_i64(r, 0, 1);
    PQclear(r);
    return 0;
}

/* *foreign: another ledger has the stream. */
static int look(struct adopt *a, bool *foreign, struct err *e)
{
    const char *stream = a->lease.stream;
    struct stream_info info;
    if (stream_info_read(a->redis, stream, &info, e) ||
        stream_group_read(a->redis, stream, &a->group, e))
        return -1;
    *foreign = a->group.marked && strcmp(a->group.mark.ledger, a->ledger) != 0;
    if (!*foreign)
        return 0;
    if (stream_count_after(a->redis, stream, &info, a->group.last_id, &a->waiting, e))
        return -1;
    a->read = a->group.read >= 0 ? a->group.read : info.added - a->waiting;
    return 0;
}

static int take_lease(struct adopt *a, struct err *e)
{
    char takeovers[16];
    const char *value = takeovers;
    snprintf(takeovers, sizeof takeovers, "%" PRId32, a->group.mark.takeovers);
    if (db_run(a->conn, SQL_ADOPT_TAKEOVER, 1, &value, NULL, e))
        return err_wrap(e, "postgres");
    if (stream_lease_take(&a->lease, a->conn, e))
        return -1;
    a->takeovers = a->lease.takeovers;
    a->lost = a->lease.outcomes > 0 && a->read > a->lease.added ? a->read - a->lease.added : 0;
    return 0;
}

/* In one step, the group is to stand at last_id with so many entries read, with our mark in place
 * of the other ledger's. Refused, with nothing done, if it stands elsewhere, has another mark, or
 * it is too late by Redis' clock. */
static const char ADOPT[] =
    "#!lua flags=allow-oom\n"
    "local time = redis.call('TIME')\n"
    "if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[6]) then\n"
    "  return redis.error_reply('LATE it took too long: try again')\n"
    "end\n"
    "local marked = false\n"
    "for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do\n"
    "  marked = marked or consumer[2] == ARGV[2]\n"
    "end\n"
    "for _, each in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do\n"
    "  local at = {}\n"
    "  for i = 1, #each, 2 do at[each[i]] = each[i + 1] end\n"
    "  if at['name'] == ARGV[1] and at['last-delivered-id'] ~= ARGV[4] then marked = false end\n"
    "end\n"
    "if not marked then\n"
    "  return redis.error_reply('MOVED the other ledger still counts it: stop its aggregators, '\n"
    "                           .. 'then try again')\n"
    "end\n"
    "redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])\n"
    "redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], ARGV[4], 'ENTRIESREAD', ARGV[5])\n"
    "redis.call('XGROUP', 'CREATECONSUMER', KEYS[1], ARGV[1], ARGV[3])\n"
    "return 1";

static int mark_stream(struct adopt *a, int64_t now_ms, struct err *e)
{
    struct epoch_mark mark = stream_lease_mark(&a->lease, a->lost);
    char old_mark[EPOCH_MARK_SIZE];
    char new_mark[EPOCH_MARK_SIZE];
    struct err ignored;
    mark.base = (uint64_t)a->read;
    epoch_mark_format(&a->group.mark, old_mark);
    epoch_mark_format(&mark, new_mark);
    redisReply *r =
        redis_ask(a->redis, REDIS_REPLY_INTEGER, e, "EVAL %s 1 %s %s %s %s %s %lld %lld", ADOPT,
                  a->lease.stream, STREAM_GROUP, old_mark, new_mark, a->group.last_id,
                  (long long)a->read, (long long)now_ms + ADOPT_WITHIN_MS);
    if (r) {
        freeReplyObject(r);
        return 0;
    }
    redis_strip_code(e);
    stream_lease_release(&a->lease, a->conn, e->kind == ERR_REFUSED, &ignored);
    return err_wrap(e, "redis");
}

static int open_epoch(struct adopt *a, struct err *e)
{
    const struct stream_lease *l = &a->lease;
    char lost[24];
    char base[24];
    const char *values[] = {l->stream,     l->owner, l->epoch,         l->last_id,
                            l->next_token, lost,     a->group.last_id, base};
    struct err ignored;
    snprintf(lost, sizeof lost, "%" PRId64, a->lost);
    snprintf(base, sizeof base, "%" PRId64, a->read);
    if (db_run(a->conn, SQL_ADOPT_END, 8, values, NULL, e) == 0)
        return stream_lease_release(l, a->conn, false, e);
    stream_lease_release(l, a->conn, false, &ignored);
    return err_wrap(e, "postgres: the stream is taken over, but its epoch could not be opened "
                       "here; the next aggregator does that");
}

static int adopt_stream(struct adopt *a, struct err *e)
{
    const char *stream = a->lease.stream;
    int64_t now_ms;
    bool foreign;
    /* Redis' clock first: the lease is taken after it. */
    if (redis_clock_ms(a->redis, &now_ms, e) || look(a, &foreign, e))
        return -1;
    if (!foreign) {
        printf("stream=%s: it belongs to no other ledger, nothing to do\n", stream);
        return 0;
    }
    a->found++;
    printf("stream=%s ledger=%s epoch=%" PRId32 " position=%s waiting=%" PRId64 "\n", stream,
           a->group.mark.ledger, a->group.mark.epoch, a->group.last_id, a->waiting);
    if (!a->yes)
        return 0;
    if (take_lease(a, e) || mark_stream(a, now_ms, e) || open_epoch(a, e))
        return -1;
    printf("stream=%s adopted from=%s lost=%" PRId64 "\n", stream, a->group.last_id, a->lost);
    return 0;
}

static int connect_and_adopt(struct adopt *a, struct err *e)
{
    a->redis = redis_connect_blocking_at(a->config->base.redis_url, a->lease.stream,
                                         REDIS_TIMEOUT_MS, NULL, e);
    int result = a->redis ? adopt_stream(a, e) : -1;
    redisFree(a->redis);
    a->redis = NULL;
    return result ? err_wrap(e, "%s", a->lease.stream) : 0;
}

/* What the other ledger left of a tenant that this one does not know would stay for ever. The
 * script checks whose hash it is and deletes it in one step. */
static const char FORGET[] = QUOTA_OWNER_LUA
    "if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return 0 end\n"
    "local before = redis.call('HGET', KEYS[1], 'ledger')\n"
    "if not before or before == ARGV[1] or claim(KEYS[1], ARGV[1]) then return 0 end\n"
    "if redis.call('HLEN', KEYS[1]) == 1 then redis.call('DEL', KEYS[1]) return 1 end\n"
    "return 0";

static int forget_quota(redisContext *redis, const redisReply *key, const char *ledger,
                        int64_t *count, struct err *e)
{
    redisReply *r = redis_ask(redis, REDIS_REPLY_INTEGER, e, "EVAL %s 1 %b %s", FORGET, key->str,
                              key->len, ledger);
    if (!r)
        return -1;
    *count += r->integer;
    freeReplyObject(r);
    return 0;
}

static int forget_quotas_on(redisContext *redis, const char *ledger, int64_t *count, struct err *e)
{
    char cursor[REDIS_CURSOR_SIZE] = "0";
    int result = 0;
    do {
        redisReply *page = redis_scan_quotas(redis, cursor, e);
        if (!page)
            return -1;
        const redisReply *keys = page->element[1];
        for (size_t i = 0; result == 0 && i < keys->elements; i++)
            result = forget_quota(redis, keys->element[i], ledger, count, e);
        freeReplyObject(page);
    } while (result == 0 && strcmp(cursor, "0") != 0);
    return result;
}

/* On every master of a cluster. Streams that a run that was cut short has taken over are this
 * ledger's by now, and what the other one left in the quota cache goes all the same. */
static int forget_quotas(struct adopt *a, struct err *e)
{
    char ledger[LEDGER_NAME_SIZE];
    redisContext *redis;
    int64_t count = 0;
    int failed = 0;
    snprintf(ledger, sizeof ledger, "%" PRId32 ":%s", a->takeovers, a->ledger);
    for (int i = 0; !failed && (redis = redis_connect_blocking_master(a->config->base.redis_url, i,
                                                                      REDIS_TIMEOUT_MS, e));
         i++) {
        failed = forget_quotas_on(redis, ledger, &count, e);
        redisFree(redis);
    }
    if (failed || e->kind != ERR_NONE)
        return err_wrap(e, "redis: quota cache");
    printf("quota cache: %" PRId64 " tenants of the other ledger are gone\n", count);
    return 0;
}

static int adopt_all(struct adopt *a, struct err *e)
{
    int64_t shards;
    if (read_identity(a, e) ||
        stream_shards_read(a->conn, a->config->base.stream_shards, &shards, e))
        return -1;
    for (int64_t i = 0; i < shards; i++) {
        stream_name(shards, i, a->lease.stream);
        if (connect_and_adopt(a, e))
            return -1;
    }
    return a->yes ? forget_quotas(a, e) : 0;
}

static int tell_what_happens(const struct adopt *a)
{
    if (a->found == 0)
        return CTL_DONE;
    return ctl_fail(
        CTL_FAILED,
        "nothing was done. Stop the aggregators and webhookd of the other ledger first. `meterctl "
        "stream adopt --yes` then lets this ledger (%s) count these streams from those positions "
        "on. What was counted before stays in the other ledger alone, and what this one had "
        "counted "
        "itself stays here. The other ledger's hashes are deleted from the quota cache. Sinks hold "
        "until `meterctl restore accept`, since this ledger does not know what the other one sent",
        a->ledger);
}

static int run(PGconn *conn, void *owner)
{
    struct adopt *a = owner;
    struct err e;
    a->conn = conn;
    if (adopt_all(a, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    if (!a->yes)
        return tell_what_happens(a);
    if (a->found > 0)
        puts("sinks hold until you run: meterctl restore accept");
    return CTL_DONE;
}

int stream_adopt_run(const struct ctl_config *config, int argc, char **argv)
{
    struct adopt a = {.config = config};
    const struct args_option options[] = {{"--yes", NULL, &a.yes}, {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options))
        return CTL_USAGE;
    lease_owner_name(CTL_PROGRAM, a.lease.owner);
    return ctl_with_database(config, CTL_FAILED, run, &a);
}
