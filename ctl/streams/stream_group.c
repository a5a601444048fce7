#include "ctl/streams/stream_group.h"

#include "common/contract.h"

#include <stdio.h>
#include <string.h>

static const redisReply *find(const redisReply *list, const char *name)
{
    for (size_t i = 0; list->type == REDIS_REPLY_ARRAY && i + 1 < list->elements; i += 2)
        if (list->element[i]->str && strcmp(list->element[i]->str, name) == 0)
            return list->element[i + 1];
    return NULL;
}

/* NULL with e of ERR_NONE: there is no such stream or group. */
static redisReply *ask(redisContext *redis, const char *command, const char *stream, struct err *e)
{
    redisReply *r = redisCommand(redis, command, stream, STREAM_GROUP);

    e->kind = ERR_NONE;
    if (r != NULL && r->type == REDIS_REPLY_ARRAY)
        return r;
    if (r == NULL)
        err_set(e, ERR_CLOSED, "%s", redis->errstr);
    else if (r->type != REDIS_REPLY_ERROR)
        err_set(e, ERR_INPUT, "an answer of another type than expected");
    else if (strstr(r->str, "no such key") == NULL && strncmp(r->str, "NOGROUP", 7) != 0)
        err_set(e, ERR_REFUSED, "%s", r->str);
    freeReplyObject(r);
    return NULL;
}

static void take_group(struct stream_group *out, const redisReply *group)
{
    const redisReply *name = find(group, "name");
    const redisReply *last = find(group, "last-delivered-id");
    const redisReply *read = find(group, "entries-read");

    if (name == NULL || last == NULL || strcmp(name->str, STREAM_GROUP) != 0)
        return;
    out->exists = true;
    snprintf(out->last_id, sizeof out->last_id, "%s", last->str);
    out->read = read != NULL && read->type == REDIS_REPLY_INTEGER ? read->integer : -1;
}

/* Should there be more than one, the newest. */
static void take_mark(struct stream_group *out, const redisReply *consumer)
{
    const redisReply *name = find(consumer, "name");
    struct epoch_mark mark;

    if (name == NULL || epoch_mark_parse(name->str, &mark) != 0 ||
        (out->marked && mark.epoch < out->mark.epoch))
        return;
    out->marked = true;
    out->mark = mark;
}

int stream_group_read(redisContext *redis, const char *stream, struct stream_group *out,
                      struct err *e)
{
    *out = (struct stream_group){.read = -1};
    redisReply *groups = ask(redis, "XINFO GROUPS %s", stream, e);
    for (size_t i = 0; groups != NULL && i < groups->elements; i++)
        take_group(out, groups->element[i]);
    freeReplyObject(groups);
    if (e->kind != ERR_NONE || !out->exists)
        return e->kind == ERR_NONE ? 0 : err_wrap(e, "redis: XINFO GROUPS %s", stream);
    redisReply *consumers = ask(redis, "XINFO CONSUMERS %s %s", stream, e);
    for (size_t i = 0; consumers != NULL && i < consumers->elements; i++)
        take_mark(out, consumers->element[i]);
    freeReplyObject(consumers);
    return e->kind == ERR_NONE ? 0 : err_wrap(e, "redis: XINFO CONSUMERS %s", stream);
}

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

static int take_answer(const redisReply *r, struct err *e)
{
    const char *text;

    if (r->type == REDIS_REPLY_INTEGER)
        return 0;
    if (r->type != REDIS_REPLY_ERROR)
        return err_set(e, ERR_INPUT, "an answer of another type than expected");
    text = strchr(r->str, ' ');
    return err_set(e, ERR_REFUSED, "%s", text != NULL ? text + 1 : r->str);
}

int stream_group_adopt(redisContext *redis, const char *stream, const struct stream_group *seen,
                       int64_t read, const struct epoch_mark *ours, int64_t until_ms, struct err *e)
{
    char old_mark[EPOCH_MARK_SIZE];
    char new_mark[EPOCH_MARK_SIZE];

    epoch_mark_format(&seen->mark, old_mark);
    epoch_mark_format(ours, new_mark);
    redisReply *r =
        redisCommand(redis, "EVAL %s 1 %s %s %s %s %s %lld %lld", ADOPT, stream, STREAM_GROUP,
                     old_mark, new_mark, seen->last_id, (long long)read, (long long)until_ms);
    int result = r != NULL ? take_answer(r, e) : err_set(e, ERR_CLOSED, "%s", redis->errstr);
    freeReplyObject(r);
    return result;
}
