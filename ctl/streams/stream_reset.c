/* meterctl stream reset: a stream that an entry with an id of its own drove into the future gives
 * ids of the present again.
 *
 * 1. In PostgreSQL: take the stream's lease, so that nobody counts it, and note the token of the
 *    epoch that is to come.
 * 2. In Redis, in one step: make the key anew, with what waits and that token in its mark.
 * 3. In PostgreSQL, in one transaction: end the epoch with its balance, open the one of that token.
 *
 * Cut short after 2, the next aggregator sees the token and does 3. So that 2 is never done when
 * the lease has gone to somebody else, Redis refuses it by its own clock well before. */
#include "common/contract.h"
#include "common/redis/redis.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/redis_ask.h"
#include "ctl/sql.h"
#include "ctl/streams/stream_lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In so short a time it does not matter that clocks run at slightly different speeds. */
enum { REDIS_TIMEOUT_MS = 600000, REWRITE_WITHIN_MS = 15000, AHEAD_MS = 60000 };

struct reset {
    const struct ctl_config *config;
    PGconn *conn;
    redisContext *redis;
    struct stream_lease lease;
    int64_t waiting; /* entries that were kept … */
    int64_t moved;   /* … those of them that had ids in the future, and got new ones */
};

/* The key anew, in one step. Entries that wait stay, in their order: those whose ids are not in the
 * future with their ids, the others with ids of now. A stream that was rewritten already, by its
 * mark, is left as it is. Refused, with nothing done, if the stream is another than the one that
 * was counted, if PostgreSQL lost commits of it, or if it is too late by Redis' clock.
 *
 * An entry with more names and values than a Lua call takes is refused too: an aggregator is to
 * reject it first. */
static const char REWRITE[] =
    "local stream, spare, group, last = KEYS[1], KEYS[2], ARGV[1], ARGV[2]\n"
    "local function number(id)\n"
    "  local ms, seq = string.match(id, '^(%d+)-(%d+)$')\n"
    "  return string.rep('0', 20 - #ms) .. ms .. string.rep('0', 20 - #seq) .. seq\n"
    "end\n"
    "local time = redis.call('TIME')\n"
    "local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "if now_ms > tonumber(ARGV[6]) then\n"
    "  return redis.error_reply('LATE it took too long: try again')\n"
    "end\n"
    "local marked = ARGV[4] == ''\n"
    "local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)\n"
    "for _, consumer in ipairs(consumers) do\n"
    "  if consumer[2] == ARGV[3] then return {redis.call('XLEN', stream), 0} end\n"
    "  if string.find(consumer[2], ARGV[4], 1, true) then marked = true end\n"
    "end\n"
    "if not marked then\n"
    "  return redis.error_reply('MARK the stream is not the one that was counted: let an '\n"
    "                           .. 'aggregator look at it first, then try again')\n"
    "end\n"
    "for _, each in ipairs(redis.call('XINFO', 'GROUPS', stream)) do\n"
    "  local at = {}\n"
    "  for i = 1, #each, 2 do at[each[i]] = each[i + 1] end\n"
    "  if at['name'] == group and number(at['last-delivered-id']) > number(last) then\n"
    "    return redis.error_reply('BEHIND PostgreSQL lost commits of this stream: let an '\n"
    "                             .. 'aggregator book them first, then try again')\n"
    "  end\n"
    "end\n"
    "redis.call('DEL', spare)\n"
    "redis.call('XGROUP', 'CREATE', spare, group, '0', 'MKSTREAM')\n"
    "redis.call('XGROUP', 'SETID', spare, group, '0', 'ENTRIESREAD', '0')\n"
    "redis.call('XGROUP', 'CREATECONSUMER', spare, group, ARGV[3])\n"
    "local present = number(string.format('%.0f-18446744073709551615', now_ms))\n"
    "local waiting, moved = 0, 0\n"
    "while last ~= ARGV[5] do\n"
    "  local page = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 500)\n"
    "  if #page == 0 then break end\n"
    "  for _, entry in ipairs(page) do\n"
    "    local id = entry[1]\n"
    "    if #entry[2] > 7000 then\n"
    "      redis.call('DEL', spare)\n"
    "      return redis.error_reply('LARGE entry ' .. id .. ' has too many fields to be moved: let "
    "'\n"
    "                               .. 'an aggregator reject it first, then try again')\n"
    "    end\n"
    "    if number(id) > present then id = '*' moved = moved + 1 end\n"
    "    redis.call('XADD', spare, id, unpack(entry[2]))\n"
    "    waiting = waiting + 1\n"
    "    last = entry[1]\n"
    "  end\n"
    "end\n"
    "redis.call('UNLINK', stream)\n"
    "redis.call('RENAME', spare, stream)\n"
    "return {waiting, moved}";

#define GREATEST_ID "18446744073709551615-18446744073709551615"

/* In the same slot of a cluster: {stream}, or the braces that the stream's name has. */
static void spare_key(const char *stream, char *out, size_t size)
{
    if (strchr(stream, '{') != NULL)
        snprintf(out, size, "%s:reset", stream);
    else
        snprintf(out, size, "{%s}:reset", stream);
}

static int rewrite(struct reset *s, int64_t now_ms, struct err *e)
{
    const struct stream_lease *l = &s->lease;
    struct epoch_mark mark = stream_lease_mark(l, 0);
    char mark_text[EPOCH_MARK_SIZE];
    char spare[128];
    struct err ignored;
    epoch_mark_format(&mark, mark_text);
    spare_key(l->stream, spare, sizeof spare);
    redisReply *r = redis_ask(s->redis, REDIS_REPLY_ARRAY, e, "EVAL %s 2 %s %s %s %s %s %s %s %lld",
                              REWRITE, l->stream, spare, STREAM_GROUP, l->last_id, mark_text,
                              l->outcomes > 0 ? l->token : "", GREATEST_ID,
                              (long long)now_ms + REWRITE_WITHIN_MS);
    if (!r) {
        redis_strip_code(e);
        stream_lease_release(l, s->conn, e->kind == ERR_REFUSED, &ignored);
        return err_wrap(e, "redis");
    }
    s->waiting = r->element[0]->integer;
    s->moved = r->element[1]->integer;
    freeReplyObject(r);
    return 0;
}

static int open_epoch(const struct reset *s, struct err *e)
{
    const struct stream_lease *l = &s->lease;
    const char *values[] = {l->stream, l->owner, l->epoch, l->last_id, l->next_token};
    struct err ignored;
    if (db_run(s->conn, SQL_RESET_END, 5, values, NULL, e) == 0)
        return stream_lease_release(l, s->conn, false, e);
    /* An aggregator finishes it. */
    stream_lease_release(l, s->conn, false, &ignored);
    return err_wrap(e, "postgres: the stream is repaired, but its epoch could not be ended here; "
                       "the next aggregator does that");
}

static int run_reset(struct reset *s, int64_t now_ms, struct err *e)
{
    if (stream_lease_take(&s->lease, s->conn, e) || rewrite(s, now_ms, e) || open_epoch(s, e))
        return -1;
    printf("stream=%s ended_epoch=%s waiting=%" PRId64 " moved=%" PRId64 "\n", s->lease.stream,
           s->lease.epoch, s->waiting, s->moved);
    return 0;
}

/* Redis' clock first: the lease is taken after it. */
static int look(struct reset *s, int64_t *now_ms, bool *ahead, struct err *e)
{
    struct stream_info info;
    if (redis_clock_ms(s->redis, now_ms, e) ||
        stream_info_read(s->redis, s->lease.stream, &info, e))
        return -1;
    *ahead = info.exists && strtoull(info.last, NULL, 10) > (uint64_t)(*now_ms + AHEAD_MS);
    return 0;
}

/* Twice, in case an earlier run was interrupted and another such entry was added since. */
static int reset_stream(struct reset *s, struct err *e)
{
    int64_t now_ms;
    bool ahead;
    if (look(s, &now_ms, &ahead, e))
        return -1;
    if (!ahead)
        printf("stream=%s: its newest id is not in the future, nothing to do\n", s->lease.stream);
    for (int i = 0; ahead && i < 2; i++)
        if (run_reset(s, now_ms, e) || look(s, &now_ms, &ahead, e))
            return -1;
    return 0;
}

/* In a cluster each stream has a server of its own. */
static int connect_and_reset(struct reset *s, struct err *e)
{
    const char *stream = s->lease.stream;
    s->redis =
        redis_connect_blocking_at(s->config->base.redis_url, stream, REDIS_TIMEOUT_MS, NULL, e);
    int result = s->redis ? reset_stream(s, e) : -1;
    redisFree(s->redis);
    s->redis = NULL;
    return result ? err_wrap(e, "%s", stream) : 0;
}

static int run(PGconn *conn, void *owner)
{
    struct reset *s = owner;
    int64_t shards;
    struct err e;
    s->conn = conn;
    int failed = stream_shards_read(conn, s->config->base.stream_shards, &shards, &e);
    for (int64_t i = 0; !failed && i < shards; i++) {
        stream_name(shards, i, s->lease.stream);
        failed = connect_and_reset(s, &e);
    }
    return failed ? ctl_fail_err(CTL_FAILED, &e) : CTL_DONE;
}

int stream_reset_run(const struct ctl_config *config, int argc, char **argv)
{
    struct reset s = {.config = config};
    if (args_parse_options(argc, argv, NULL))
        return CTL_USAGE;
    lease_owner_name(CTL_PROGRAM, s.lease.owner);
    return ctl_with_database(config, CTL_FAILED, run, &s);
}
