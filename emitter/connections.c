#include "emitter/connections.h"

#include "common/conf_reload.h"
#include "common/contract.h"
#include "common/redis/redis.h"
#include "common/str.h"

#include <stdlib.h>

enum { ANSWER_TIMEOUT_MS = 5000 };

static const char ASKING[] = "*1\r\n$6\r\nASKING\r\n";

void connections_init(struct connections *all, struct emitter_config *config,
                      struct conf_reload *files)
{
    int64_t shards = config->base.stream_shards;
    *all = (struct connections){.config = config, .files = files, .n = shards};
    all->keys = xcalloc((size_t)shards, sizeof *all->keys);
    all->list = xcalloc((size_t)shards, sizeof *all->list);
    for (int64_t i = 0; i < shards; i++)
        all->keys[i] = shards == 1 ? xstrdup(STREAM_KEY) : xasprintf(STREAM_SHARD_KEY, (int)i);
}

void connections_drop(struct connections *all)
{
    for (int64_t i = 0; i < all->n; i++) {
        redisFree(all->list[i].redis);
        all->list[i].redis = NULL;
    }
}

void connections_done(struct connections *all)
{
    connections_drop(all);
    conf_reload_free(all->files);
    for (int64_t i = 0; i < all->n; i++)
        free(all->keys[i]);
    free(all->keys);
    free(all->list);
}

static int write_err(const struct connection *c, struct err *e)
{
    return err_set(e, ERR_CLOSED, "write to Redis: %s", c->redis->errstr);
}

int connections_add(struct connections *all, int64_t shard, const char *command, size_t length,
                    struct err *e)
{
    struct connection *c = &all->list[shard];
    if (!c->redis) {
        /* The last connection may have failed because the password was changed. */
        conf_reload_changed(all->files);
        c->redis = redis_connect_blocking_at(all->config->base.redis_url, all->keys[shard],
                                             ANSWER_TIMEOUT_MS, &c->asking, e);
    }
    if (!c->redis)
        return -1;
    if (c->asking && redisAppendFormattedCommand(c->redis, ASKING, sizeof ASKING - 1) != REDIS_OK)
        return write_err(c, e);
    if (redisAppendFormattedCommand(c->redis, command, length) != REDIS_OK)
        return write_err(c, e);
    return 0;
}

int connections_write(struct connections *all, struct err *e)
{
    for (int64_t i = 0; i < all->n; i++) {
        int written = !all->list[i].redis;
        while (!written)
            if (redisBufferWrite(all->list[i].redis, &written) != REDIS_OK)
                return write_err(&all->list[i], e);
    }
    return 0;
}

static redisReply *read_reply(struct connection *c, struct err *e)
{
    redisReply *reply = NULL;
    if (redisGetReply(c->redis, (void **)&reply) == REDIS_OK)
        return reply;
    err_set(e, ERR_CLOSED, "read from Redis: %s", c->redis->errstr);
    return NULL;
}

redisReply *connections_answer(struct connections *all, int64_t shard, struct err *e)
{
    struct connection *c = &all->list[shard];
    redisReply *asked = c->asking ? read_reply(c, e) : NULL;
    if (c->asking && !asked)
        return NULL;
    freeReplyObject(asked);
    return read_reply(c, e);
}
