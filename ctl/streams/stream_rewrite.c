#include "ctl/streams/stream_rewrite.h"

#include "common/contract.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An entry with more names and values than a Lua call takes is one that is rejected: let an
 * aggregator do that first. */
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

static int take_answer(const redisReply *r, struct stream_rewritten *out, struct err *e)
{
    if (r->type == REDIS_REPLY_ERROR) {
        const char *text = strchr(r->str, ' ');
        return err_set(e, ERR_REFUSED, "%s", text != NULL ? text + 1 : r->str);
    }
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 2)
        return err_set(e, ERR_INPUT, "an answer of another type than expected");
    out->waiting = r->element[0]->integer;
    out->moved = r->element[1]->integer;
    return 0;
}

int stream_rewrite(redisContext *redis, const struct stream_rewrite *what,
                   struct stream_rewritten *out, struct err *e)
{
    char spare[128];
    char mark[EPOCH_MARK_SIZE];

    spare_key(what->stream, spare, sizeof spare);
    epoch_mark_format(what->mark, mark);
    redisReply *r = redisCommand(redis, "EVAL %s 2 %s %s %s %s %s %s %s %lld", REWRITE,
                                 what->stream, spare, STREAM_GROUP, what->last_id, mark,
                                 what->token, GREATEST_ID, (long long)what->until_ms);
    int result = r != NULL ? take_answer(r, out, e) : err_set(e, ERR_CLOSED, "%s", redis->errstr);
    if (r != NULL)
        freeReplyObject(r);
    return result;
}

int stream_clock_ms(redisContext *redis, int64_t *out, struct err *e)
{
    int result = 0;
    redisReply *r = redisCommand(redis, "TIME");

    if (r == NULL)
        return err_set(e, ERR_CLOSED, "%s", redis->errstr);
    if (r->type == REDIS_REPLY_ARRAY && r->elements == 2)
        *out = strtoll(r->element[0]->str, NULL, 10) * 1000 +
               strtoll(r->element[1]->str, NULL, 10) / 1000;
    else
        result = err_set(e, ERR_REFUSED, "TIME: %s", r->type == REDIS_REPLY_ERROR ? r->str : "?");
    freeReplyObject(r);
    return result;
}
