/* The machine of one Redis connection.
 *
 * The happy path: the host's name is looked up, hiredis connects, the greeting is answered, on_up
 * is called, and commands flow until redis_close.
 *
 *      +---> WAITING ---> RESOLVING ---> CONNECTING ---> GREETING ---> UP
 *      |        |             |           ^   |  |          |          |
 *      |        +-------------|-----------+   |  |          |          |
 *      |       a unix socket  |               |  |          |          |
 *      +----------------------+---------------+--+----------+----------+   redis_lost, redis_reset
 *
 *      every state ---> CLOSING (redis_close), and then it is freed
 *
 * In a Redis Cluster the greeting asks for the key, and a node that does not serve it says which
 * one does: then that node is next, without a wait. A command may be answered so, too.
 *
 * The failure modes: the name is unknown, no address answers within 5 s each, the greeting is
 * refused, the server is a replica or becomes one, the socket dies, a command's deadline passes.
 * All of them are redis_lost: the connection is dropped, the commands in flight end, on_down is
 * called, and after a wait the next try begins.
 * These calls are made by the timer `soon`, never from inside a public function. */
#include "common/redis/redis_internal.h"
#include "common/redis/redis_tls.h"

#include "common/str.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { SOON_MS = 1, BACKOFF_FIRST_MS = 50, BACKOFF_MAX_MS = 2000 };
enum { HOPS_MAX = 5 }; /* redirections in a row; more mean that the nodes do not agree yet */

const struct machine REDIS_MACHINE = {
    "redis",
    {[REDIS_IS_WAITING] = {"waiting",
                           TO(REDIS_IS_RESOLVING) | TO(REDIS_IS_CONNECTING) | TO(REDIS_IS_CLOSING)},
     [REDIS_IS_RESOLVING] = {"resolving",
                             TO(REDIS_IS_WAITING) | TO(REDIS_IS_CONNECTING) | TO(REDIS_IS_CLOSING)},
     [REDIS_IS_CONNECTING] = {"connecting",
                              TO(REDIS_IS_WAITING) | TO(REDIS_IS_GREETING) | TO(REDIS_IS_CLOSING)},
     [REDIS_IS_GREETING] = {"greeting",
                            TO(REDIS_IS_WAITING) | TO(REDIS_IS_UP) | TO(REDIS_IS_CLOSING)},
     [REDIS_IS_UP] = {"up", TO(REDIS_IS_WAITING) | TO(REDIS_IS_CLOSING)},
     [REDIS_IS_CLOSING] = {"closing", 0}}};

void redis_release_handle(struct redis *r)
{
    if (--r->handles > 0)
        return;
    void (*closed)(void *) = r->closed;
    void *owner = r->closed_owner;
    redis_url_done(&r->url);
    redis_map_release(r->map);
    free(r->key);
    free(r->sent.items);
    free(r->ended.items);
    buf_done(&r->delayed);
    free(r);
    if (closed)
        closed(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    redis_release_handle(handle->data);
}

static void drop_link(struct redis *r)
{
    uv_timer_stop(&r->timer);
    uv_timer_stop(&r->deadline);
    r->deadline_at_ms = INT64_MAX;
    redis_connect_done(r);
    redis_role_forget(r);
    struct redis_link *link = r->link;
    r->link = NULL;
    if (link)
        redis_link_drop(link);
}

/* on_down will be called. Returns after how many ms the next try begins. */
static uint64_t begin_anew(struct redis *r, const struct err *error, int64_t overdue_ms)
{
    r->down = *error;
    drop_link(r);
    machine_go(&REDIS_MACHINE, r->state, REDIS_IS_WAITING);
    redis_end_sent(r, ERR_CLOSED, overdue_ms);
    bool at_once = r->next && r->hops++ < HOPS_MAX;
    uint64_t wait_ms = at_once ? 0 : backoff_next_ms(&r->backoff, backoff_random());
    redis_start_timer(r, wait_ms);
    r->tell_down = true;
    redis_start_soon(r);
    return wait_ms;
}

void redis_lost(struct redis *r, const struct err *error, int64_t overdue_ms)
{
    uint64_t wait_ms = begin_anew(r, error, overdue_ms);
    peer_link_lost(&r->peer, &r->down, wait_ms);
}

bool redis_note_redirect(struct redis *r, const char *text)
{
    struct redis_redirect to;
    if (!r->key || !redis_redirect_parse(text, &to))
        return false;
    r->next = redis_map_follow(r->map, &to, r->node);
    r->next_asking = to.is_ask;
    redis_redirect_count(&to);
    if (r->next != r->told)
        redis_redirect_log(&to, r->key);
    r->told = r->next;
    return true;
}

void redis_follow(struct redis *r)
{
    struct err e;
    err_set(&e, ERR_CLOSED, "the key is on another node of the cluster: %s:%d", r->next->host,
            r->next->port);
    begin_anew(r, &e, INT64_MIN);
    peer_link_closed(&r->peer);
}

static void lost_link(struct redis *r)
{
    struct err e;
    err_set(&e, ERR_CLOSED, "Redis: %s",
            *r->link->reason ? r->link->reason : "the connection was lost");
    redis_lost(r, &e, INT64_MIN);
}

static void come_up(struct redis *r)
{
    machine_go(&REDIS_MACHINE, r->state, REDIS_IS_UP);
    uv_timer_stop(&r->timer);
    if (r->decoder.take)
        r->decoder.restart(r->decoder.owner);
    redis_role_start(r);
    peer_link_up(&r->peer);
    if (r->events.on_up)
        r->events.on_up(r->events.owner);
}

static void move_greeting(struct redis *r)
{
    if (!r->link->ac)
        lost_link(r);
    else if (r->next)
        redis_follow(r);
    else if (r->refused.kind != ERR_NONE)
        redis_lost(r, &r->refused, INT64_MIN);
    else if (r->greetings_left == 0)
        come_up(r);
}

void redis_link_moved(struct redis *r)
{
    switch (r->state) {
    case REDIS_IS_CONNECTING:
        if (!r->link->ac)
            redis_connect_failed(r, r->link->reason);
        else if (r->link->connected)
            redis_greet(r);
        break;
    case REDIS_IS_GREETING:
        move_greeting(r);
        break;
    case REDIS_IS_UP:
        if (!r->link->ac)
            lost_link(r);
        break;
    case REDIS_IS_WAITING:
    case REDIS_IS_RESOLVING:
    case REDIS_IS_CLOSING:
        assert(0 && "there is no link in such a state");
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct redis *r = timer->data;
    struct err e;
    switch (r->state) {
    case REDIS_IS_WAITING:
        redis_connect_start(r);
        break;
    case REDIS_IS_CONNECTING:
        redis_connect_failed(r, "no answer in time");
        break;
    case REDIS_IS_GREETING:
        err_set(&e, ERR_TIMEOUT, "greet Redis: no answer in time");
        redis_lost(r, &e, INT64_MIN);
        break;
    case REDIS_IS_UP:
        redis_role_ask(r);
        break;
    case REDIS_IS_RESOLVING:
    case REDIS_IS_CLOSING:
        assert(0 && "the timer runs in no such state");
    }
}

void redis_start_timer(struct redis *r, uint64_t wait_ms)
{
    uv_update_time(r->loop);
    uv_timer_start(&r->timer, on_timer, wait_ms, 0);
}

/* Each callback may close or reset r, so the state is looked at again after each. */
static void on_soon(uv_timer_t *timer)
{
    struct redis *r = timer->data;
    redis_deliver_ended(r);
    if (r->tell_down && r->state != REDIS_IS_CLOSING) {
        struct err down = r->down;
        r->tell_down = false;
        if (r->events.on_down)
            r->events.on_down(r->events.owner, &down);
    }
    if (r->state == REDIS_IS_CLOSING && r->ended.n == 0) {
        uv_close((uv_handle_t *)&r->timer, on_timer_closed);
        uv_close((uv_handle_t *)&r->deadline, on_timer_closed);
        uv_close((uv_handle_t *)&r->soon, on_timer_closed);
    }
}

void redis_start_soon(struct redis *r)
{
    uv_update_time(r->loop);
    uv_timer_start(&r->soon, on_soon, SOON_MS, 0);
}

static void init_timer(struct redis *r, uv_timer_t *timer)
{
    uv_timer_init(r->loop, timer);
    timer->data = r;
    r->handles++;
}

/* hiredis writes without MSG_NOSIGNAL, so a server that closes the connection would kill the
 * process by SIGPIPE. If the program has set a handler, that stays. */
static void ignore_sigpipe(void)
{
    struct sigaction now;
    sigaction(SIGPIPE, NULL, &now);
    if (now.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN);
}

static int parse_url(struct redis *r, const char *url, struct err *e)
{
    if (redis_url_parse(url, &r->url, e) != 0)
        return -1;
    if (!r->url.tls || redis_tls_check(e) == 0)
        return 0;
    redis_url_done(&r->url);
    return -1;
}

static struct redis *start_redis(uv_loop_t *loop, const char *url, const char *key,
                                 const struct redis_node *fixed, struct redis_events events,
                                 struct err *e)
{
    struct redis *r = xcalloc(1, sizeof *r);
    if (parse_url(r, url, e) != 0) {
        free(r);
        return NULL;
    }
    ignore_sigpipe();
    r->map = redis_map_get(url, &r->url);
    r->key = key ? xstrdup(key) : NULL;
    r->slot = key ? redis_slot_of(key, strlen(key)) : -1;
    r->fixed = fixed;
    r->loop = loop;
    r->events = events;
    r->deadline_at_ms = INT64_MAX;
    r->backoff = BACKOFF(BACKOFF_FIRST_MS, BACKOFF_MAX_MS);
    peer_link_init(&r->peer, PEER_REDIS);
    init_timer(r, &r->timer);
    init_timer(r, &r->deadline);
    init_timer(r, &r->soon);
    redis_connect_start(r);
    return r;
}

struct redis *redis_open(uv_loop_t *loop, const char *url, struct redis_events events,
                         struct err *e)
{
    return start_redis(loop, url, NULL, NULL, events, e);
}

struct redis *redis_open_at(uv_loop_t *loop, const char *url, const char *key,
                            struct redis_events events, struct err *e)
{
    return start_redis(loop, url, key, NULL, events, e);
}

struct redis *redis_open_node(uv_loop_t *loop, const char *url, const struct redis_node *node,
                              struct redis_events events, struct err *e)
{
    return start_redis(loop, url, NULL, node, events, e);
}

void redis_set_decoder(struct redis *r, struct redis_decoder decoder)
{
    assert(r->state != REDIS_IS_UP);
    r->decoder = decoder;
}

bool redis_is_up(const struct redis *r)
{
    return r->state == REDIS_IS_UP;
}

void redis_reset(struct redis *r)
{
    if (!r->link)
        return;
    struct err e;
    err_set(&e, ERR_CLOSED, "connection dropped to begin anew");
    begin_anew(r, &e, INT64_MIN);
    /* We did it ourselves: the peer was not lost. */
    peer_link_closed(&r->peer);
}

void redis_close(struct redis *r, void (*closed)(void *owner), void *owner)
{
    if (r->state == REDIS_IS_RESOLVING)
        uv_cancel((uv_req_t *)&r->lookup); /* its callback comes in any case */
    drop_link(r);
    peer_link_closed(&r->peer);
    machine_go(&REDIS_MACHINE, r->state, REDIS_IS_CLOSING);
    redis_end_sent(r, ERR_CANCELED, INT64_MIN);
    r->closed = closed;
    r->closed_owner = owner;
    redis_start_soon(r);
}
