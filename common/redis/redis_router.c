/* There is one connection to any node (`home`), which serves everything if it is a plain server. In
 * a cluster there is one more to each master that is needed.
 *
 * The happy path: home is up and has learned the map; a command goes to the connection of the node
 * that serves its slot. If that one is still being made, the command waits in its node's list.
 *
 * The failure modes: if the node says MOVED or ASK, the command goes where that leads. If the node
 * cannot be reached, the commands that wait for it go to home, which says who has taken over, or
 * that nobody has. Commands in flight end, and their outcome is unknown. */
#include "common/redis/redis_router.h"

#include "common/clock.h"
#include "common/redis/redis_internal.h"
#include "common/str.h"

#include <assert.h>
#include <stdlib.h>

enum { HOPS_MAX = 5, REFRESH_DEADLINE_MS = 5000 };

/* A command, which may be redirected. */
struct request {
    struct redis_router *router;
    struct request *next; /* of those that wait for the same node */
    char *bytes;          /* owned by hiredis */
    size_t length;
    int hops;
    bool asking;         /* it needs ASKING before it */
    int64_t deadline_ms; /* monotonic */
    redis_done_fn done;
    void *owner;
    struct node *at; /* sent there; NULL: to home */
};

struct node {
    struct redis_router *router;
    const struct redis_node *address;
    struct redis *redis;
    struct request *first; /* waiting for the connection, in order */
    struct request **last;
    int in_flight;
    struct node *next;
};

struct redis_router {
    uv_loop_t *loop;
    char *url;
    struct redis_router_events events;
    struct redis_map *map;
    struct redis *home;
    struct node *nodes;
    bool refreshing;
    bool closing;
    int open; /* connections */
    void (*closed)(void *owner);
    void *closed_owner;
};

/* One request. */

static void end_request(struct request *q, const struct err *error, void *reply)
{
    if (q->done)
        q->done(q->owner, error, reply);
    redisFreeCommand(q->bytes);
    free(q);
}

static void on_answer(void *owner, const struct err *error, void *reply);

/* at: NULL for home. Without a connection the command ends with ERR_CLOSED, from the loop. */
static void post(struct request *q, struct node *at)
{
    struct redis *redis = at ? at->redis : q->router->home;
    int64_t left_ms = q->deadline_ms - clock_monotonic_ms();
    uint64_t deadline_ms = left_ms > 0 ? (uint64_t)left_ms : 0;
    q->at = at;
    if (at)
        at->in_flight++;
    if (q->asking)
        redis_commandf(redis, deadline_ms, NULL, NULL, "ASKING");
    redis_send(redis, deadline_ms, on_answer, q, q->bytes, q->length);
}

static struct node *get_node(struct redis_router *router, const struct redis_node *address);

static void send_to(struct request *q, const struct redis_node *address)
{
    struct node *n = address ? get_node(q->router, address) : NULL;
    if (!n || redis_is_up(n->redis)) {
        post(q, n);
        return;
    }
    q->next = NULL;
    *n->last = q;
    n->last = &q->next;
}

/* Ask home for CLUSTER SLOTS: the redirection told about one slot, and others may have moved. */
static void refresh(struct redis_router *router);

static bool follow(struct request *q, const struct err *error)
{
    struct redis_router *router = q->router;
    struct redis_redirect to;
    if (error->kind != ERR_REFUSED || router->closing || q->hops == HOPS_MAX ||
        !redis_redirect_parse(error->text, &to))
        return false;
    const struct redis_node *from = q->at ? q->at->address : router->home->node;
    const struct redis_node *address = redis_map_follow(router->map, &to, from);
    redis_redirect_count(&to);
    q->hops++;
    q->asking = to.is_ask;
    refresh(router);
    send_to(q, address);
    return true;
}

static void on_answer(void *owner, const struct err *error, void *reply)
{
    struct request *q = owner;
    if (q->at)
        q->at->in_flight--;
    if (!error || !follow(q, error))
        end_request(q, error, reply);
}

/* Nodes. */

static struct request *pop_waiting(struct node *n)
{
    struct request *first = n->first;
    n->first = NULL;
    n->last = &n->first;
    return first;
}

static void on_node_up(void *owner)
{
    struct node *n = owner;
    struct redis_router *router = n->router;
    if (router->events.on_node)
        router->events.on_node(router->events.owner, n->redis);
    for (struct request *q = pop_waiting(n), *next; q; q = next) {
        next = q->next;
        post(q, n);
    }
}

/* Home knows who has taken over, or says that nobody has. */
static void send_home(struct request *q)
{
    q->asking = false;
    q->hops = q->hops < HOPS_MAX ? q->hops + 1 : HOPS_MAX;
    post(q, NULL);
}

static void on_node_down(void *owner, const struct err *error)
{
    struct node *n = owner;
    (void)error;
    refresh(n->router);
    for (struct request *q = pop_waiting(n), *next; q; q = next) {
        next = q->next;
        send_home(q);
    }
}

static struct node *get_node(struct redis_router *router, const struct redis_node *address)
{
    struct err e;
    for (struct node *n = router->nodes; n; n = n->next)
        if (n->address == address)
            return n;
    struct node *n = xcalloc(1, sizeof *n);
    *n = (struct node){.router = router, .address = address, .next = router->nodes};
    n->last = &n->first;
    n->redis = redis_open_node(router->loop, router->url, address,
                               (struct redis_events){on_node_up, on_node_down, n}, &e);
    assert(n->redis); /* the URL served home */
    router->nodes = n;
    router->open++;
    return n;
}

static void release_connection(void *owner)
{
    struct redis_router *router = owner;
    struct redis_router last = *router;
    if (--router->open > 0)
        return;
    redis_map_release(router->map);
    free(router->url);
    free(router);
    if (last.closed)
        last.closed(last.closed_owner);
}

static void on_node_closed(void *owner)
{
    struct node *n = owner;
    struct redis_router *router = n->router;
    free(n);
    release_connection(router);
}

/* Takes the node out of the list. Commands that wait for it end with ERR_CLOSED. */
static void close_node(struct node **at)
{
    struct node *n = *at;
    *at = n->next;
    for (struct request *q = pop_waiting(n), *next; q; q = next) {
        next = q->next;
        post(q, n);
    }
    redis_close(n->redis, on_node_closed, n);
}

/* A master that was replaced, or that left the cluster. */
static bool is_retired(const struct node *n)
{
    return n->in_flight == 0 && !n->first && !redis_map_is_owner(n->router->map, n->address);
}

static void on_slots(void *owner, const struct err *error, void *reply)
{
    struct redis_router *router = owner;
    router->refreshing = false;
    if (error || router->closing)
        return;
    redis_map_take(router->map, reply, router->home->node);
    for (struct node **at = &router->nodes; *at;)
        if (is_retired(*at))
            close_node(at);
        else
            at = &(*at)->next;
}

static void refresh(struct redis_router *router)
{
    if (router->refreshing || router->closing || !redis_is_up(router->home))
        return;
    router->refreshing = true;
    redis_commandf(router->home, REFRESH_DEADLINE_MS, on_slots, router, "CLUSTER SLOTS");
}

/* The whole. */

static void on_home_up(void *owner)
{
    struct redis_router *router = owner;
    if (router->events.on_node && !redis_map_is_cluster(router->map))
        router->events.on_node(router->events.owner, router->home);
    if (router->events.on_up)
        router->events.on_up(router->events.owner);
}

static void on_home_down(void *owner, const struct err *error)
{
    struct redis_router *router = owner;
    if (router->events.on_down)
        router->events.on_down(router->events.owner, error);
}

struct redis_router *redis_router_open(uv_loop_t *loop, const char *url,
                                       struct redis_router_events events, struct err *e)
{
    struct redis_router *router = xcalloc(1, sizeof *router);
    *router = (struct redis_router){.loop = loop, .events = events, .open = 1};
    router->home =
        redis_open(loop, url, (struct redis_events){on_home_up, on_home_down, router}, e);
    if (!router->home) {
        free(router);
        return NULL;
    }
    router->url = xstrdup(url);
    router->map = redis_map_get(url, &router->home->url);
    return router;
}

bool redis_router_is_up(const struct redis_router *router)
{
    return redis_is_up(router->home);
}

void redis_router_command(struct redis_router *router, const char *key, size_t key_length,
                          uint64_t deadline_ms, redis_done_fn done, void *owner, int argc,
                          const char **argv, const size_t *argv_length)
{
    if (!redis_map_is_cluster(router->map)) {
        redis_command(router->home, deadline_ms, done, owner, argc, argv, argv_length);
        return;
    }
    struct request *q = xcalloc(1, sizeof *q);
    *q = (struct request){.router = router,
                          .deadline_ms = clock_monotonic_ms() + (int64_t)deadline_ms,
                          .done = done,
                          .owner = owner};
    long long length = redisFormatCommandArgv(&q->bytes, argc, argv, argv_length);
    assert(length > 0);
    q->length = (size_t)length;
    send_to(q,
            router->closing ? NULL : redis_map_owner(router->map, redis_slot_of(key, key_length)));
}

int redis_router_command_all(struct redis_router *router, uint64_t deadline_ms, redis_done_fn done,
                             void *owner, int argc, const char **argv)
{
    int n = 0;
    assert(!router->closing);
    for (struct node *node = router->nodes; node; node = node->next, n++)
        redis_command(node->redis, deadline_ms, done, owner, argc, argv, NULL);
    if (n > 0)
        return n;
    redis_command(router->home, deadline_ms, done, owner, argc, argv, NULL);
    return 1;
}

void redis_router_reach_masters(struct redis_router *router)
{
    const struct redis_node *master;
    if (!redis_map_is_cluster(router->map) || router->closing)
        return;
    for (int i = 0; (master = redis_map_master(router->map, i)); i++)
        get_node(router, master);
}

void redis_router_each_node(struct redis_router *router)
{
    if (!router->events.on_node)
        return;
    if (!redis_map_is_cluster(router->map) && redis_is_up(router->home))
        router->events.on_node(router->events.owner, router->home);
    for (struct node *n = router->nodes; n; n = n->next)
        if (redis_is_up(n->redis))
            router->events.on_node(router->events.owner, n->redis);
}

void redis_router_close(struct redis_router *router, void (*closed)(void *owner), void *owner)
{
    router->closing = true;
    router->closed = closed;
    router->closed_owner = owner;
    while (router->nodes)
        close_node(&router->nodes);
    redis_close(router->home, release_connection, router);
}
