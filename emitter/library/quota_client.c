#include "emitter/library/quota_client.h"

#include "common/redis/redis.h"
#include "common/redis/redis_map.h"
#include "common/str.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NODES_MAX = 64, IDLE_MAX = 64, TRIES = 4 };

struct quota_client {
    redisContext *nodes[NODES_MAX];     /* NULL: not connected */
    unsigned char of_slot[REDIS_SLOTS]; /* which of them serves it, as it was told; first 0 */
    struct quota_client *next;
};

struct quota_pool {
    char *url;
    int64_t timeout_ms;
    pthread_mutex_t lock; /* of what follows */
    struct quota_client *idle;
    int idle_count;
};

struct quota_pool *quota_pool_new(const char *url, int64_t timeout_ms)
{
    struct quota_pool *p = xcalloc(1, sizeof *p);
    p->url = xstrdup(url);
    p->timeout_ms = timeout_ms;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

static void drop_connections(struct quota_client *c)
{
    for (int i = 0; i < NODES_MAX; i++) {
        if (c->nodes[i])
            redisFree(c->nodes[i]);
        c->nodes[i] = NULL;
    }
    memset(c->of_slot, 0, sizeof c->of_slot);
}

static void client_free(struct quota_client *c)
{
    drop_connections(c);
    free(c);
}

void quota_pool_free(struct quota_pool *p)
{
    while (p->idle) {
        struct quota_client *next = p->idle->next;
        client_free(p->idle);
        p->idle = next;
    }
    pthread_mutex_destroy(&p->lock);
    free(p->url);
    free(p);
}

static struct quota_client *take_client(struct quota_pool *p)
{
    pthread_mutex_lock(&p->lock);
    struct quota_client *c = p->idle;
    if (c) {
        p->idle = c->next;
        p->idle_count--;
    }
    pthread_mutex_unlock(&p->lock);
    return c ? c : xcalloc(1, sizeof *c);
}

static void give_back(struct quota_pool *p, struct quota_client *c)
{
    pthread_mutex_lock(&p->lock);
    bool is_kept = p->idle_count < IDLE_MAX;
    if (is_kept) {
        c->next = p->idle;
        p->idle = c;
        p->idle_count++;
    }
    pthread_mutex_unlock(&p->lock);
    if (!is_kept)
        client_free(c);
}

/* To whoever serves the key now. Returns its number, or -1 with e. */
static int connect_at(const struct quota_pool *p, struct quota_client *c, const char *key,
                      struct err *e)
{
    int at = 0;
    redisContext *made = redis_connect_blocking_at(p->url, key, (int)p->timeout_ms, NULL, e);
    if (!made)
        return -1;
    while (at < NODES_MAX - 1 && c->nodes[at])
        at++;
    if (c->nodes[at])
        redisFree(c->nodes[at]);
    c->nodes[at] = made;
    return at;
}

static int find_node(const struct quota_client *c, const struct redis_redirect *to)
{
    for (int i = 0; i < NODES_MAX; i++)
        if (c->nodes[i] && c->nodes[i]->tcp.host && c->nodes[i]->tcp.port == to->port &&
            !strcmp(c->nodes[i]->tcp.host, to->host))
            return i;
    return -1;
}

/* Is it of a server that is none for us, or not now? Another connection finds a better one. */
static bool is_of_wrong_server(const redisReply *reply)
{
    static const char *const WORDS[] = {"READONLY ",    "MASTERDOWN ", "LOADING ",
                                        "CLUSTERDOWN ", "ASK ",        "TRYAGAIN "};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (!strncmp(reply->str, WORDS[i], strlen(WORDS[i])))
            return true;
    return false;
}

/* Returns 1 with a reply, 0 to try again, or -1: each with e but the first. */
static int try_once(const struct quota_pool *p, struct quota_client *c, const char *key, int argc,
                    const char **argv, const size_t *lengths, redisReply **out, struct err *e)
{
    struct redis_redirect to;
    int slot = redis_slot_of(key, strlen(key));
    int at = c->of_slot[slot];
    if (!c->nodes[at] && (at = connect_at(p, c, key, e)) < 0)
        return -1;
    c->of_slot[slot] = (unsigned char)at;
    redisReply *reply = redisCommandArgv(c->nodes[at], argc, argv, lengths);
    if (!reply) {
        err_set(e, ERR_CLOSED, "Redis: %s", c->nodes[at]->errstr);
        drop_connections(c);
        return 0;
    }
    if (reply->type == REDIS_REPLY_ERROR && redis_redirect_parse(reply->str, &to) && !to.is_ask) {
        int there = find_node(c, &to);
        there = there < 0 ? connect_at(p, c, key, e) : there;
        c->of_slot[slot] = (unsigned char)(there < 0 ? 0 : there);
        err_set(e, ERR_REFUSED, "Redis: %s", reply->str);
        freeReplyObject(reply);
        return there < 0 ? -1 : 0;
    }
    if (reply->type == REDIS_REPLY_ERROR && is_of_wrong_server(reply)) {
        err_set(e, ERR_REFUSED, "Redis: %s", reply->str);
        freeReplyObject(reply);
        drop_connections(c);
        return 0;
    }
    *out = reply;
    return 1;
}

/* hiredis writes to connections that Redis may have closed, and the service is not to die of it. */
struct quiet {
    sigset_t before;
    bool was_pending;
};

static void begin_quiet(struct quiet *q)
{
    sigset_t pipe;
    sigset_t pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    q->was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe, &q->before);
}

static void end_quiet(const struct quiet *q)
{
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    while (!q->was_pending && sigtimedwait(&pipe, NULL, &(struct timespec){0}) == SIGPIPE)
        continue;
    pthread_sigmask(SIG_SETMASK, &q->before, NULL);
}

redisReply *quota_pool_call(struct quota_pool *p, const char *key, int argc, const char **argv,
                            const size_t *lengths, struct err *e)
{
    struct quiet quiet;
    struct quota_client *c = take_client(p);
    redisReply *reply = NULL;
    int result = 0;
    begin_quiet(&quiet);
    for (int i = 0; i < TRIES && result == 0; i++) {
        result = try_once(p, c, key, argc, argv, lengths, &reply, e);
        /* What was silent for as long as a call may take is not asked again. */
        if (result == 0 && e->kind == ERR_CLOSED && i > 0)
            break;
    }
    end_quiet(&quiet);
    give_back(p, c);
    return reply;
}
