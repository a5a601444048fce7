#include "aggregator/shard/history.h"

#include "common/contract.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 5000 };

struct asking {
    struct history history;
    struct redis *redis;
    const char *stream;
    struct entry_id last; /* of our position */
    bool counted;         /* how many entries there are up to it */
    history_done_fn done;
    void *owner;
    struct err error; /* the first failure */
    int left;         /* replies to come */
};

static bool is_text(const redisReply *r, const char *text)
{
    return (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS) &&
           strcmp(r->str, text) == 0;
}

/* The value of a name in a flat list of names and values, or NULL. */
static const redisReply *find_value(const redisReply *map, const char *name)
{
    if (map->type != REDIS_REPLY_ARRAY)
        return NULL;
    for (size_t i = 0; i + 1 < map->elements; i += 2)
        if (is_text(map->element[i], name))
            return map->element[i + 1];
    return NULL;
}

int history_take_stream(struct history *h, const redisReply *reply)
{
    const redisReply *length = find_value(reply, "length");
    const redisReply *added = find_value(reply, "entries-added");
    const redisReply *first = find_value(reply, "first-entry");
    const redisReply *newest = find_value(reply, "last-generated-id");
    if (!length || !added || !newest || !newest->str ||
        entry_id_parse(newest->str, &h->newest) != 0)
        return -1;
    h->stream_exists = true;
    h->length = (uint64_t)length->integer;
    h->added = (uint64_t)added->integer;
    if (first && first->type == REDIS_REPLY_ARRAY && first->elements > 0)
        entry_id_parse(first->element[0]->str, &h->first);
    return 0;
}

static void run_count(struct asking *a);

static void finish_one(struct asking *a, const struct err *error)
{
    const struct history *h = &a->history;
    if (error && a->error.kind == ERR_NONE)
        a->error = *error;
    if (--a->left > 0)
        return;
    if (a->error.kind == ERR_NONE && !h->mark_exists && h->last_exists && !a->counted) {
        run_count(a);
        return;
    }
    if (a->error.kind != ERR_NONE)
        a->done(a->owner, &a->error, NULL);
    else
        a->done(a->owner, NULL, &a->history);
    free(a);
}

/* A refusal that is an answer: no such key, or a command that this user may not use. */
static bool is_refused(const struct err *error)
{
    return error && error->kind == ERR_REFUSED;
}

bool history_is_no_stream(const struct err *error)
{
    return is_refused(error) && strstr(error->text, "no such key");
}

bool history_is_no_group(const struct err *error)
{
    return is_refused(error) && strncmp(error->text, "NOGROUP", 7) == 0;
}

bool history_has_consumer(const redisReply *consumers, const char *name)
{
    for (size_t i = 0; consumers->type == REDIS_REPLY_ARRAY && i < consumers->elements; i++) {
        const redisReply *known = find_value(consumers->element[i], "name");
        if (known && is_text(known, name))
            return true;
    }
    return false;
}

static void take_role(void *owner, const struct err *error, void *reply)
{
    struct asking *a = owner;
    const redisReply *r = reply;
    if (!error && r->type == REDIS_REPLY_ARRAY && r->elements > 0)
        a->history.is_master = is_text(r->element[0], "master");
    /* Where ROLE is forbidden, a replica shows when it refuses to write. */
    if (is_refused(error))
        a->history.is_master = true;
    finish_one(a, is_refused(error) ? NULL : error);
}

static void take_stream(void *owner, const struct err *error, void *reply)
{
    struct asking *a = owner;
    struct err e;
    if (!error && history_take_stream(&a->history, reply) != 0) {
        err_set(&e, ERR_SCHEMA, "XINFO STREAM without entries-added: Redis 7.0 or later is needed");
        finish_one(a, &e);
        return;
    }
    finish_one(a, error && history_is_no_stream(error) ? NULL : error);
}

static void read_group(struct history *h, const redisReply *group)
{
    const redisReply *id = find_value(group, "last-delivered-id");
    const redisReply *read = find_value(group, "entries-read");
    h->group_exists = id && id->str && entry_id_parse(id->str, &h->group) == 0;
    h->read_known = read && read->type == REDIS_REPLY_INTEGER;
    if (h->read_known)
        h->read = (uint64_t)read->integer;
}

static void take_groups(void *owner, const struct err *error, void *reply)
{
    struct asking *a = owner;
    const redisReply *r = reply;
    for (size_t i = 0; !error && r->type == REDIS_REPLY_ARRAY && i < r->elements; i++) {
        const redisReply *name = find_value(r->element[i], "name");
        if (name && is_text(name, STREAM_GROUP))
            read_group(&a->history, r->element[i]);
    }
    finish_one(a, error && history_is_no_stream(error) ? NULL : error);
}

/* Should there be more than one, the newest. */
static void read_mark(struct history *h, const redisReply *name)
{
    struct epoch_mark mark;
    if (!name || name->type != REDIS_REPLY_STRING || epoch_mark_parse(name->str, &mark) != 0 ||
        (h->mark_exists && mark.epoch < h->mark.epoch))
        return;
    h->mark_exists = true;
    h->mark = mark;
}

static void take_consumers(void *owner, const struct err *error, void *reply)
{
    struct asking *a = owner;
    const redisReply *r = reply;
    for (size_t i = 0; !error && r->type == REDIS_REPLY_ARRAY && i < r->elements; i++)
        read_mark(&a->history, find_value(r->element[i], "name"));
    finish_one(a, history_is_no_stream(error) || history_is_no_group(error) ? NULL : error);
}

static void take_last(void *owner, const struct err *error, void *reply)
{
    struct asking *a = owner;
    const redisReply *r = reply;
    if (!error)
        a->history.last_exists = r->type == REDIS_REPLY_ARRAY && r->elements > 0;
    finish_one(a, error);
}

/* A batch and more: what was counted leaves the stream soon, unless it is kept. */
static const char COUNT[] = "#!lua flags=no-writes,allow-oom\n"
                            "return #redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', "
                            "100000)";

static void take_count(void *owner, const struct err *error, void *reply)
{
    struct asking *a = owner;
    const redisReply *r = reply;
    if (!error)
        a->history.upto = (uint64_t)r->integer;
    finish_one(a, error);
}

static void run_count(struct asking *a)
{
    a->counted = true;
    a->left = 1;
    char last[ENTRY_ID_TEXT_SIZE];
    entry_id_format(a->last, last);
    redis_commandf(a->redis, DEADLINE_MS, take_count, a, "EVAL %s 1 %s %s", COUNT, a->stream, last);
}

void history_take_config(struct history *h, const redisReply *reply)
{
    const redisReply *policy = find_value(reply, "maxmemory-policy");
    const redisReply *append_only = find_value(reply, "appendonly");
    const redisReply *fsync = find_value(reply, "appendfsync");
    h->config_known = policy && append_only && fsync;
    if (!h->config_known)
        return;
    h->evicts = !is_text(policy, "noeviction");
    h->append_only = is_text(append_only, "yes");
    h->fsync_always = is_text(fsync, "always");
}

static void take_config(void *owner, const struct err *error, void *reply)
{
    struct asking *a = owner;
    if (!error)
        history_take_config(&a->history, reply);
    finish_one(a, is_refused(error) ? NULL : error);
}

void history_read(struct redis *r, const char *stream, const char *last_id, history_done_fn done,
                  void *owner)
{
    struct asking *a = xcalloc(1, sizeof *a);
    *a = (struct asking){.redis = r,
                         .stream = stream,
                         .last = entry_id_of(last_id),
                         .done = done,
                         .owner = owner,
                         .left = 6};
    redis_commandf(r, DEADLINE_MS, take_role, a, "ROLE");
    redis_commandf(r, DEADLINE_MS, take_config, a, HISTORY_CONFIG);
    redis_commandf(r, DEADLINE_MS, take_stream, a, "XINFO STREAM %s", stream);
    redis_commandf(r, DEADLINE_MS, take_groups, a, "XINFO GROUPS %s", stream);
    redis_commandf(r, DEADLINE_MS, take_consumers, a, "XINFO CONSUMERS %s %s", stream,
                   STREAM_GROUP);
    redis_commandf(r, DEADLINE_MS, take_last, a, "XRANGE %s %s %s COUNT 1", stream, last_id,
                   last_id);
}
