/* A blocking connection for tools: the same URL, the same greeting, the same way through a
 * cluster as redis_connect.c has. */
#include "common/clock.h"
#include "common/redis/redis.h"
#include "common/redis/redis_map.h"
#include "common/redis/redis_role.h"
#include "common/redis/redis_tls.h"
#include "common/str.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 20 };

static int connect_failed(const redisContext *c, const char *why, struct err *e)
{
    if (c && c->tcp.host)
        return err_set(e, ERR_CONNECT, "connect to %s:%d: %s", c->tcp.host, c->tcp.port, why);
    return err_set(e, ERR_CONNECT, "connect to %s: %s",
                   c && c->unix_sock.path ? c->unix_sock.path : "Redis", why);
}

static int connection_err(const redisContext *c, struct err *e)
{
    return connect_failed(c, c ? c->errstr : "out of memory", e);
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

static int greet(redisContext *c, const struct redis_url *u, const char *host,
                 struct timeval timeout, struct err *e)
{
    if (!c || c->err || redisSetTimeout(c, timeout) != REDIS_OK)
        return connection_err(c, e);
    if (u->tls && !redis_tls_start(c, host, e))
        return -1;
    if (send_auth(c, u, e) != 0)
        return -1;
    if (u->database == 0)
        return 0;
    return take_reply(c, redisCommand(c, "SELECT %d", u->database), e);
}

/* node: NULL for a unix socket. Returns NULL with e. */
static redisContext *open_node(const struct redis_url *u, const struct redis_node *node,
                               int timeout_ms, struct err *e)
{
    struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000L};
    const char *host = node ? node->host : NULL;
    redisContext *c = host ? redisConnectWithTimeout(host, node->port, timeout)
                           : redisConnectUnixWithTimeout(u->path, timeout);
    if (greet(c, u, host, timeout, e) == 0)
        return c;
    redisFree(c);
    return NULL;
}

/* Maps, one a URL, are not given back: the next connection begins with what the last one learned.
 * Any thread may connect. */
static struct kept_map {
    struct kept_map *next;
    char *url;
    struct redis_map *map;
} * kept_maps;
static pthread_mutex_t maps_lock = PTHREAD_MUTEX_INITIALIZER;

static struct redis_map *get_map(const char *url, const struct redis_url *parts)
{
    struct kept_map *k = kept_maps;
    while (k && strcmp(k->url, url) != 0)
        k = k->next;
    if (!k) {
        k = xcalloc(1, sizeof *k);
        *k = (struct kept_map){kept_maps, xstrdup(url), redis_map_new(parts)};
        kept_maps = k;
    }
    return k->map;
}

/* One search for a node. */
struct search {
    struct redis_map *map;
    const char *key;               /* NULL: any node does */
    const struct redis_node *node; /* connected to */
    const struct redis_node *next; /* where a redirection leads, or NULL */
    bool asking;                   /* it was ASK */
    bool is_cluster;               /* the node said so */
};

static void learn_nodes(struct search *s, redisContext *c)
{
    redisReply *reply = redisCommand(c, "CLUSTER SLOTS");
    pthread_mutex_lock(&maps_lock);
    if (reply)
        redis_map_take(s->map, reply, s->node);
    s->is_cluster = redis_map_is_cluster(s->map);
    pthread_mutex_unlock(&maps_lock);
    freeReplyObject(reply);
}

/* Does it serve the key? Returns 0, or -1 with e and perhaps s->next. */
static int look_at_key(struct search *s, redisContext *c, struct err *e)
{
    struct redis_redirect to;
    redisReply *reply = s->asking ? redisCommand(c, "ASKING") : NULL;
    freeReplyObject(reply);
    reply = redisCommand(c, "EXISTS %s", s->key);
    if (!reply)
        return connection_err(c, e);
    /* An ACL may forbid to ask. */
    int failed = reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOPERM", 6) != 0;
    if (failed)
        err_set(e, ERR_REFUSED, "Redis: %s", reply->str);
    if (failed && redis_redirect_parse(reply->str, &to)) {
        pthread_mutex_lock(&maps_lock);
        s->next = redis_map_follow(s->map, &to, s->node);
        pthread_mutex_unlock(&maps_lock);
        s->asking = to.is_ask;
    }
    freeReplyObject(reply);
    return failed ? -1 : 0;
}

/* A plain server that is a replica is none that we can work with. An ACL may forbid to ask. */
static int look_at_role(const struct search *s, redisContext *c, struct err *e)
{
    redisReply *reply = s->is_cluster ? NULL : redisCommand(c, "ROLE");
    bool is_replica = reply && redis_role_is(reply, "slave");
    freeReplyObject(reply);
    return is_replica ? connect_failed(c, REDIS_REPLICA, e) : 0;
}

static redisContext *try_node(struct search *s, const struct redis_url *u, int timeout_ms,
                              struct err *e)
{
    redisContext *c = open_node(u, s->node, timeout_ms, e);
    if (c && s->node)
        learn_nodes(s, c);
    if (!c || ((!s->key || look_at_key(s, c, e) == 0) && look_at_role(s, c, e) == 0))
        return c;
    redisFree(c);
    return NULL;
}

/* Until one takes us, every node was tried, or the time is over. */
static redisContext *find_node(struct search *s, const struct redis_url *u, int timeout_ms,
                               struct err *e)
{
    int64_t end_ms = clock_monotonic_ms() + timeout_ms;
    int slot = s->key ? redis_slot_of(s->key, strlen(s->key)) : -1;
    redisContext *c = NULL;
    for (unsigned i = 0; !c && i < TRIES && (i == 0 || clock_monotonic_ms() < end_ms); i++) {
        bool is_led = s->next != NULL;
        pthread_mutex_lock(&maps_lock);
        s->node = is_led ? s->next : redis_map_pick(s->map, slot, i);
        pthread_mutex_unlock(&maps_lock);
        s->asking = is_led && s->asking;
        s->next = NULL;
        c = try_node(s, u, timeout_ms, e);
        pthread_mutex_lock(&maps_lock);
        bool is_only = redis_map_is_only(s->map);
        pthread_mutex_unlock(&maps_lock);
        if (!c && !s->next && is_only)
            break;
    }
    return c;
}

redisContext *redis_connect_blocking_at(const char *url, const char *key, int timeout_ms,
                                        bool *asking, struct err *e)
{
    struct redis_url u;
    if (redis_url_parse(url, &u, e) != 0)
        return NULL;
    pthread_mutex_lock(&maps_lock);
    struct search s = {.map = get_map(url, &u), .key = key};
    pthread_mutex_unlock(&maps_lock);
    redisContext *c = find_node(&s, &u, timeout_ms, e);
    if (c && s.asking && !asking) {
        redisFree(c);
        c = NULL;
        err_set(e, ERR_REFUSED, "%s is being moved to another node of the cluster: try again", key);
        e->retry = true;
    }
    if (asking)
        *asking = s.asking;
    redis_url_done(&u);
    return c;
}

redisContext *redis_connect_blocking(const char *url, int timeout_ms, struct err *e)
{
    return redis_connect_blocking_at(url, NULL, timeout_ms, NULL, e);
}

redisContext *redis_connect_blocking_master(const char *url, int i, int timeout_ms, struct err *e)
{
    struct redis_url u;
    if (i == 0) { /* any node, which tells of all */
        redisContext *c = redis_connect_blocking(url, timeout_ms, e);
        if (!c)
            return NULL;
        redisFree(c);
    }
    if (redis_url_parse(url, &u, e) != 0)
        return NULL;
    pthread_mutex_lock(&maps_lock);
    struct redis_map *map = get_map(url, &u);
    const struct redis_node *node =
        redis_map_is_cluster(map) ? redis_map_master(map, i) : redis_map_pick(map, -1, 0);
    bool is_behind = redis_map_is_cluster(map) ? !node : i > 0;
    pthread_mutex_unlock(&maps_lock);
    *e = (struct err){0};
    redisContext *c = is_behind ? NULL : open_node(&u, node, timeout_ms, e);
    redis_url_done(&u);
    return c;
}
