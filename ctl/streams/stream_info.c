/* What Redis says of a stream. */
#include "ctl/streams/stream_info.h"

#include "common/contract.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void stream_name(int64_t shards, int64_t i, char out[STREAM_NAME_SIZE])
{
    if (shards == 1)
        snprintf(out, STREAM_NAME_SIZE, "%s", STREAM_KEY);
    else
        snprintf(out, STREAM_NAME_SIZE, STREAM_SHARD_KEY, (int)i);
}

/* The reply if it is of that type, else NULL with e. */
static redisReply *expect(redisContext *redis, redisReply *reply, int type, struct err *e)
{
    if (reply && reply->type == type)
        return reply;
    if (!reply)
        err_set(e, ERR_CLOSED, "%s", redis->errstr);
    else if (reply->type == REDIS_REPLY_ERROR)
        err_set(e, ERR_REFUSED, "%s", reply->str);
    else
        err_set(e, ERR_INPUT, "an answer of another type than expected");
    freeReplyObject(reply);
    return NULL;
}

static bool is_absent(const struct err *e)
{
    return e->kind == ERR_REFUSED && strstr(e->text, "no such key");
}

/* The value behind a name in a flat list of names and values, or NULL. */
static const redisReply *find(const redisReply *list, const char *name)
{
    for (size_t i = 0; i + 1 < list->elements; i += 2)
        if (list->element[i]->str && strcmp(list->element[i]->str, name) == 0)
            return list->element[i + 1];
    return NULL;
}

static void copy_id(char out[ENTRY_ID_SIZE], const redisReply *id)
{
    snprintf(out, ENTRY_ID_SIZE, "%s", id && id->str ? id->str : "");
}

static int take_info(const redisReply *reply, struct stream_info *out, struct err *e)
{
    const redisReply *added = find(reply, "entries-added");
    const redisReply *length = find(reply, "length");
    const redisReply *first = find(reply, "first-entry");

    if (!added || !length)
        return err_set(e, ERR_INPUT, "no entries-added: Redis 7.0 or later is needed");
    out->exists = true;
    out->added = added->integer;
    out->length = length->integer;
    copy_id(out->last, find(reply, "last-generated-id"));
    if (first && first->elements > 0)
        copy_id(out->first, first->element[0]);
    return 0;
}

int stream_info_read(redisContext *redis, const char *stream, struct stream_info *out,
                     struct err *e)
{
    memset(out, 0, sizeof *out);
    redisReply *reply =
        expect(redis, redisCommand(redis, "XINFO STREAM %s", stream), REDIS_REPLY_ARRAY, e);
    if (!reply)
        return is_absent(e) ? 0 : err_wrap(e, "redis: XINFO STREAM %s", stream);
    int result = take_info(reply, out, e);
    freeReplyObject(reply);
    return result ? err_wrap(e, "redis: XINFO STREAM %s", stream) : 0;
}

static redisReply *range_after(redisContext *redis, const char *stream, const char *after,
                               const char *last, int count, struct err *e)
{
    redisReply *page =
        expect(redis, redisCommand(redis, "XRANGE %s (%s %s COUNT %d", stream, after, last, count),
               REDIS_REPLY_ARRAY, e);
    if (!page)
        err_wrap(e, "redis: XRANGE %s", stream);
    return page;
}

int stream_count_after(redisContext *redis, const char *stream, const struct stream_info *info,
                       const char *id, int64_t *out, struct err *e)
{
    char after[ENTRY_ID_SIZE];
    size_t found = 1000;

    /* The usual case: what is counted has been trimmed, so all that is there waits. */
    *out = info->length;
    if (info->length == 0 || entry_id_compare(info->first, id) > 0)
        return 0;
    *out = 0;
    snprintf(after, sizeof after, "%s", id);
    /* Redis refuses to look behind the greatest id there is, which may be the last one. */
    while (found == 1000 && entry_id_compare(after, info->last) < 0) {
        redisReply *page = range_after(redis, stream, after, info->last, 1000, e);
        if (!page)
            return -1;
        found = page->elements;
        *out += (int64_t)found;
        if (found > 0)
            copy_id(after, page->element[found - 1]->element[0]);
        freeReplyObject(page);
    }
    return 0;
}

int stream_oldest_after(redisContext *redis, const char *stream, const char *id, int64_t *unix_ms,
                        struct err *e)
{
    redisReply *page = range_after(redis, stream, id, "+", 1, e);
    if (!page)
        return -1;
    *unix_ms = page->elements ? strtoimax(page->element[0]->element[0]->str, NULL, 10) : 0;
    freeReplyObject(page);
    return 0;
}

int stream_group_lag(redisContext *redis, const char *stream, int64_t *lag, struct err *e)
{
    *lag = -1;
    redisReply *groups =
        expect(redis, redisCommand(redis, "XINFO GROUPS %s", stream), REDIS_REPLY_ARRAY, e);
    if (!groups)
        return is_absent(e) ? 0 : err_wrap(e, "redis: XINFO GROUPS %s", stream);
    for (size_t i = 0; i < groups->elements; i++) {
        const redisReply *name = find(groups->element[i], "name");
        const redisReply *known = find(groups->element[i], "lag");
        if (name && strcmp(name->str, STREAM_GROUP) == 0 && known &&
            known->type == REDIS_REPLY_INTEGER)
            *lag = known->integer;
    }
    freeReplyObject(groups);
    return 0;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int entry_id_compare(const char *a, const char *b)
{
    uint64_t a_ms = 0, a_seq = 0, b_ms = 0, b_seq = 0;

    sscanf(a, "%" SCNu64 "-%" SCNu64, &a_ms, &a_seq);
    sscanf(b, "%" SCNu64 "-%" SCNu64, &b_ms, &b_seq);
    int by_ms = compare_numbers(a_ms, b_ms);
    return by_ms ? by_ms : compare_numbers(a_seq, b_seq);
}
