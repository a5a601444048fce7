/* hiredis on the loop: one poll handle, and the hooks on ac->ev that say what to poll for.
 *
 * The happy path: a ready socket is handed to redisAsyncHandleRead (or to redis_raw.c) and to
 * redisAsyncHandleWrite, which call the replies' callbacks; then the machine looks at what has
 * changed.
 *
 * The failure modes: hiredis drops its context by itself (refused, closed by the peer, a reply that
 * is none) and tells it by the cleanup hook alone, so the hook notes the reason, and the machine
 * finds ac to be NULL. libuv stops polling a socket that has an error; hiredis is then made to read
 * it. */
#include "common/redis/redis_internal.h"
#include "common/redis/redis_tls.h"

#include "common/str.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void on_socket(uv_poll_t *poll, int status, int events);

static void poll_for(struct redis_link *link, int events)
{
    if (link->events == events)
        return;
    link->events = events;
    if (events)
        uv_poll_start(&link->poll, events, on_socket);
    else
        uv_poll_stop(&link->poll);
}

static void add_read(void *privdata)
{
    struct redis_link *link = privdata;
    poll_for(link, link->events | UV_READABLE);
}

static void del_read(void *privdata)
{
    struct redis_link *link = privdata;
    poll_for(link, link->events & ~UV_READABLE);
}

static void add_write(void *privdata)
{
    struct redis_link *link = privdata;
    poll_for(link, link->events | UV_WRITABLE);
}

static void del_write(void *privdata)
{
    struct redis_link *link = privdata;
    poll_for(link, link->events & ~UV_WRITABLE);
}

static void on_closed(uv_handle_t *handle)
{
    struct redis_link *link = handle->data;
    struct redis *r = link->redis;
    free(link);
    redis_release_handle(r);
}

/* hiredis 1.x may call it twice. The socket is closed right after it. */
static void cleanup(void *privdata)
{
    struct redis_link *link = privdata;
    if (!link->ac)
        return;
    const char *refusal = link->tls ? redis_tls_refusal(link->tls) : NULL;
    const char *reason = link->ac->c.err ? link->ac->c.errstr : "";
    (void)snprintf(link->reason, sizeof link->reason, "%s", refusal ? refusal : reason);
    link->ac = NULL;
    uv_close((uv_handle_t *)&link->poll, on_closed);
}

static void on_connect(const redisAsyncContext *ac, int status)
{
    struct redis_link *link = ac->ev.data;
    link->connected = status == REDIS_OK;
}

/* Callbacks in here may drop the link; its memory stays until the handle is closed. */
static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct redis_link *link = poll->data;
    struct redis *r = link->redis;
    if (status < 0) {
        link->events = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (redis_is_raw(link) && (events & UV_READABLE))
        redis_raw_read(link);
    else if (events & UV_READABLE)
        redisAsyncHandleRead(link->ac);
    if (link->ac && (events & UV_WRITABLE))
        redisAsyncHandleWrite(link->ac);
    if (r->link == link)
        redis_link_moved(r);
}

static redisAsyncContext *connect_by_hiredis(const struct redis *r, const char *host)
{
    return r->url.path ? redisAsyncConnectUnix(r->url.path)
                       : redisAsyncConnect(host, r->node->port);
}

static int prepare(struct redis_link *link, redisAsyncContext *ac, struct err *e)
{
    const struct redis_url *url = &link->redis->url;
    if (ac->err)
        return err_set(e, ERR_CONNECT, "%s", ac->errstr);
    if (!url->path)
        (void)redisEnableKeepAlive(&ac->c); /* nice to have */
    if (url->tls)
        link->tls = redis_tls_start(&ac->c, link->redis->node->host, e);
    return url->tls && !link->tls ? -1 : 0;
}

static void attach(struct redis_link *link, redisAsyncContext *ac)
{
    link->ac = ac;
    int failed = uv_poll_init(link->redis->loop, &link->poll, ac->c.fd);
    assert(!failed);
    link->poll.data = link;
    link->redis->handles++;
    ac->ev.data = link;
    ac->ev.addRead = add_read;
    ac->ev.delRead = del_read;
    ac->ev.addWrite = add_write;
    ac->ev.delWrite = del_write;
    ac->ev.cleanup = cleanup;
    (void)redisAsyncSetConnectCallback(ac, on_connect); /* this also polls for writing */
}

struct redis_link *redis_link_open(struct redis *r, const char *host, struct err *e)
{
    redisAsyncContext *ac = connect_by_hiredis(r, host);
    if (!ac)
        abort(); /* out of memory */
    struct redis_link *link = xcalloc(1, sizeof *link);
    link->redis = r;
    if (prepare(link, ac, e) != 0) {
        redisAsyncFree(ac);
        free(link);
        return NULL;
    }
    attach(link, ac);
    return link;
}

void redis_link_drop(struct redis_link *link)
{
    if (link->ac)
        redisAsyncFree(link->ac);
}

void redis_poll(struct redis *r)
{
    struct redis_link *link = r->link;
    if (r->state != REDIS_IS_UP || !r->decoder.take)
        return;
    on_socket(&link->poll, 0, UV_READABLE);
    if (r->link == link && (link->events & UV_WRITABLE))
        on_socket(&link->poll, 0, UV_WRITABLE);
}
