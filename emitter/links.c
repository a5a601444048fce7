#include "emitter/links.h"

#include "common/conf_reload.h"
#include "common/contract.h"
#include "common/redis/redis.h"
#include "common/str.h"

#include <stdlib.h>

enum { ANSWER_TIMEOUT_MS = 5000 };

static const char ASKING[] = "*1\r\n$6\r\nASKING\r\n";

static char *key_of(int64_t shards, int64_t i)
{
    return shards == 1 ? xstrdup(STREAM_KEY) : xasprintf(STREAM_SHARD_KEY, (int)i);
}

void links_init(struct links *l, struct emitter_config *config)
{
    int64_t shards = config->base.stream_shards;
    *l = (struct links){.config = config, .files = emitter_config_files(config), .n = shards};
    l->keys = xcalloc((size_t)shards, sizeof *l->keys);
    l->list = xcalloc((size_t)shards, sizeof *l->list);
    for (int64_t i = 0; i < shards; i++)
        l->keys[i] = key_of(shards, i);
}

void links_drop(struct links *l)
{
    for (int64_t i = 0; i < l->n; i++) {
        redisFree(l->list[i].redis);
        l->list[i].redis = NULL;
    }
}

void links_done(struct links *l)
{
    links_drop(l);
    conf_reload_free(l->files);
    for (int64_t i = 0; i < l->n; i++)
        free(l->keys[i]);
    free(l->keys);
    free(l->list);
}

static int write_err(const struct link *link, struct err *e)
{
    return err_set(e, ERR_CLOSED, "write to Redis: %s", link->redis->errstr);
}

int links_add(struct links *l, int64_t shard, const char *command, size_t length, struct err *e)
{
    struct link *link = &l->list[shard];

    if (!link->redis) {
        /* What made the last one fail may be a password that was rolled. */
        conf_reload_changed(l->files);
        link->redis = redis_connect_blocking_at(l->config->base.redis_url, l->keys[shard],
                                                ANSWER_TIMEOUT_MS, &link->asking, e);
    }
    if (!link->redis)
        return -1;
    if (link->asking &&
        redisAppendFormattedCommand(link->redis, ASKING, sizeof ASKING - 1) != REDIS_OK)
        return write_err(link, e);
    if (redisAppendFormattedCommand(link->redis, command, length) != REDIS_OK)
        return write_err(link, e);
    return 0;
}

int links_write(struct links *l, struct err *e)
{
    for (int64_t i = 0; i < l->n; i++) {
        int written = !l->list[i].redis;
        while (!written)
            if (redisBufferWrite(l->list[i].redis, &written) != REDIS_OK)
                return write_err(&l->list[i], e);
    }
    return 0;
}

static redisReply *read_reply(struct link *link, struct err *e)
{
    redisReply *reply = NULL;

    if (redisGetReply(link->redis, (void **)&reply) == REDIS_OK)
        return reply;
    err_set(e, ERR_CLOSED, "read from Redis: %s", link->redis->errstr);
    return NULL;
}

redisReply *links_answer(struct links *l, int64_t shard, struct err *e)
{
    struct link *link = &l->list[shard];
    redisReply *asked = link->asking ? read_reply(link, e) : NULL;

    if (link->asking && !asked)
        return NULL;
    freeReplyObject(asked);
    return read_reply(link, e);
}
