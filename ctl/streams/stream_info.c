#include "ctl/streams/stream_info.h"

#include "common/contract.h"
#include "ctl/db.h"
#include "ctl/redis_ask.h"
#include "ctl/sql.h"

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

int stream_shards_read(PGconn *conn, int64_t setting, int64_t *shards, struct err *e)
{
    *shards = setting;
    if (setting > 0)
        return 0;
    return db_number(conn, SQL_READ_STREAM_SHARDS, 0, NULL, shards, e) ? err_wrap(e, "postgres")
                                                                       : 0;
}

/* No such stream, or no such group of it. */
static bool is_absent(const struct err *e)
{
    return e->kind == ERR_REFUSED &&
           (strstr(e->text, "no such key") || strncmp(e->text, "NOGROUP", 7) == 0);
}

static void copy_id(char out[ENTRY_ID_SIZE], const redisReply *id)
{
    snprintf(out, ENTRY_ID_SIZE, "%s", id && id->str ? id->str : "");
}

static int parse_info(const redisReply *reply, struct stream_info *out, struct err *e)
{
    const redisReply *added = redis_find(reply, "entries-added");
    const redisReply *length = redis_find(reply, "length");
    const redisReply *first = redis_find(reply, "first-entry");
    if (!added || !length)
        return err_set(e, ERR_INPUT,
                       "Redis does not tell entries-added: Redis 7.0 or later is needed");
    out->exists = true;
    out->added = added->integer;
    out->length = length->integer;
    copy_id(out->last, redis_find(reply, "last-generated-id"));
    if (first && first->elements > 0)
        copy_id(out->first, first->element[0]);
    return 0;
}

int stream_info_read(redisContext *redis, const char *stream, struct stream_info *out,
                     struct err *e)
{
    memset(out, 0, sizeof *out);
    redisReply *reply = redis_ask(redis, REDIS_REPLY_ARRAY, e, "XINFO STREAM %s", stream);
    if (!reply)
        return is_absent(e) ? 0 : err_wrap(e, "redis: XINFO STREAM %s", stream);
    int result = parse_info(reply, out, e);
    freeReplyObject(reply);
    return result ? err_wrap(e, "redis: XINFO STREAM %s", stream) : 0;
}

static redisReply *range_after(redisContext *redis, const char *stream, const char *after,
                               const char *last, int count, struct err *e)
{
    redisReply *page = redis_ask(redis, REDIS_REPLY_ARRAY, e, "XRANGE %s (%s %s COUNT %d", stream,
                                 after, last, count);
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
    /* Redis refuses a range after the greatest possible id, which the last entry may have. */
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
    redisReply *groups = redis_ask(redis, REDIS_REPLY_ARRAY, e, "XINFO GROUPS %s", stream);
    if (!groups)
        return is_absent(e) ? 0 : err_wrap(e, "redis: XINFO GROUPS %s", stream);
    for (size_t i = 0; i < groups->elements; i++) {
        const redisReply *name = redis_find(groups->element[i], "name");
        const redisReply *known = redis_find(groups->element[i], "lag");
        if (name && strcmp(name->str, STREAM_GROUP) == 0 && known &&
            known->type == REDIS_REPLY_INTEGER)
            *lag = known->integer;
    }
    freeReplyObject(groups);
    return 0;
}

static void parse_group(struct stream_group *out, const redisReply *group)
{
    const redisReply *name = redis_find(group, "name");
    const redisReply *last = redis_find(group, "last-delivered-id");
    const redisReply *read = redis_find(group, "entries-read");
    if (!name || !last || strcmp(name->str, STREAM_GROUP) != 0)
        return;
    out->exists = true;
    snprintf(out->last_id, sizeof out->last_id, "%s", last->str);
    out->read = read && read->type == REDIS_REPLY_INTEGER ? read->integer : -1;
}

/* If there is more than one mark, the newest counts. */
static void parse_mark(struct stream_group *out, const redisReply *consumer)
{
    const redisReply *name = redis_find(consumer, "name");
    struct epoch_mark mark;
    if (!name || epoch_mark_parse(name->str, &mark) ||
        (out->marked && mark.epoch < out->mark.epoch))
        return;
    out->marked = true;
    out->mark = mark;
}

int stream_group_read(redisContext *redis, const char *stream, struct stream_group *out,
                      struct err *e)
{
    *out = (struct stream_group){.read = -1};
    redisReply *groups = redis_ask(redis, REDIS_REPLY_ARRAY, e, "XINFO GROUPS %s", stream);
    if (!groups)
        return is_absent(e) ? 0 : err_wrap(e, "redis: XINFO GROUPS %s", stream);
    for (size_t i = 0; i < groups->elements; i++)
        parse_group(out, groups->element[i]);
    freeReplyObject(groups);
    if (!out->exists)
        return 0;
    redisReply *consumers =
        redis_ask(redis, REDIS_REPLY_ARRAY, e, "XINFO CONSUMERS %s %s", stream, STREAM_GROUP);
    if (!consumers)
        return is_absent(e) ? 0 : err_wrap(e, "redis: XINFO CONSUMERS %s", stream);
    for (size_t i = 0; i < consumers->elements; i++)
        parse_mark(out, consumers->element[i]);
    freeReplyObject(consumers);
    return 0;
}

int entry_id_compare(const char *a, const char *b)
{
    uint64_t a_ms = 0, a_seq = 0, b_ms = 0, b_seq = 0;
    sscanf(a, "%" SCNu64 "-%" SCNu64, &a_ms, &a_seq);
    sscanf(b, "%" SCNu64 "-%" SCNu64, &b_ms, &b_seq);
    int by_ms = (a_ms > b_ms) - (a_ms < b_ms);
    return by_ms ? by_ms : (a_seq > b_seq) - (a_seq < b_seq);
}
