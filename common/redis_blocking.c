/* A blocking connection for tools: the same URL, the same greeting. */
#include "common/redis.h"
#include "common/redis_tls.h"

#include <stdlib.h>

static int connection_err(const redisContext *c, struct err *e)
{
    return err_set(e, ERR_CONNECT, "connect to Redis: %s", c ? c->errstr : "out of memory");
}

static int take_reply(redisContext *c, redisReply *reply, struct err *e)
{
    if (!reply)
        return connection_err(c, e);
    int failed = reply->type == REDIS_REPLY_ERROR;
    if (failed)
        err_set(e, ERR_REFUSED, "greet Redis: %s", reply->str);
    freeReplyObject(reply);
    return failed ? -1 : 0;
}

static int send_auth(redisContext *c, const struct redis_url *u, struct err *e)
{
    if (!u->password)
        return 0;
    if (!u->user)
        return take_reply(c, redisCommand(c, "AUTH %s", u->password), e);
    return take_reply(c, redisCommand(c, "AUTH %s %s", u->user, u->password), e);
}

static int greet(redisContext *c, const struct redis_url *u, struct timeval timeout, struct err *e)
{
    if (!c || c->err || redisSetTimeout(c, timeout) != REDIS_OK)
        return connection_err(c, e);
    if (u->tls && !redis_tls_start(c, u->host, e))
        return -1;
    if (send_auth(c, u, e) != 0)
        return -1;
    if (u->database == 0)
        return 0;
    return take_reply(c, redisCommand(c, "SELECT %d", u->database), e);
}

static redisContext *open_context(const struct redis_url *u, struct timeval timeout)
{
    return u->path ? redisConnectUnixWithTimeout(u->path, timeout)
                   : redisConnectWithTimeout(u->host, u->port, timeout);
}

redisContext *redis_connect_blocking(const char *url, int timeout_ms, struct err *e)
{
    struct redis_url u;
    struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000L};
    if (redis_url_parse(url, &u, e) != 0)
        return NULL;
    redisContext *c = open_context(&u, timeout);
    if (greet(c, &u, timeout, e) != 0) {
        redisFree(c);
        c = NULL;
    }
    redis_url_done(&u);
    return c;
}
