/* hiredis on the loop: one poll handle, and the hooks on ac->ev that say what to poll for.
 *
 * The happy path: a ready socket is handed to redisAsyncHandleRead (or to a decoder) and to
 * redisAsyncHandleWrite, which call the replies' callbacks; then the machine looks at what has
 * changed.
 *
 * The failure modes: hiredis drops its context by itself (refused, closed by the peer, a reply that
 * is none) and tells it by the cleanup hook alone, so the hook notes the reason, and the machine
 * finds ac to be NULL. libuv stops polling a socket that has an error; hiredis is then made to read
 * it. A decoder that cannot make sense of the bytes is redis_lost. */
#include "common/redis/redis_internal.h"
#include "common/redis/redis_tls.h"

#include "common/str.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Replies for a decoder, beside hiredis' reader: what is read goes straight where the decoder wants
 * it. Connecting, the greeting and writing stay hiredis' own, and with TLS its read function, so
 * that there is one way for both. hiredis is told of no command here, so it has no callback to call
 * and expects no reply. */

bool redis_is_raw(const struct redis_link *link)
{
    const struct redis *r = link->redis;
    return r->link == link && r->state == REDIS_IS_UP && r->decoder.take && !r->role_asked;
}

bool redis_raw_send(struct redis_link *link, const char *bytes, size_t length)
{
    if (redisAppendFormattedCommand(&link->ac->c, bytes, length) != REDIS_OK)
        return false;
    link->ac->ev.addWrite(link);
    return true;
}

/* 0: nothing is there now. -1 with why: it is over. */
#if HIREDIS_MAJOR >= 1
static ssize_t read_some(redisContext *c, char *to, size_t size, const char **why)
{
    ssize_t n = c->funcs->read(c, to, size);
    *why = c->errstr;
    return n;
}
#else
static ssize_t read_some(redisContext *c, char *to, size_t size, const char **why)
{
    ssize_t n = read(c->fd, to, size);
    if (n > 0)
        return n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    *why = n == 0 ? "Server closed the connection" : strerror(errno);
    return -1;
}
#endif

static void lose(struct redis *r, const char *why)
{
    struct err e;
    err_set(&e, ERR_CLOSED, "Redis: %s", why);
    redis_lost(r, &e, INT64_MIN);
}

/* Every reply that these n bytes complete. Returns false if the link is no more what it was. */
static bool take_replies(struct redis_link *link, size_t n)
{
    struct redis *r = link->redis;
    struct err e = {0};
    int ended;
    while ((ended = r->decoder.take(r->decoder.owner, n, &e)) == 1) {
        if (r->sent.n == 0) {
            lose(r, "a reply that nobody asked for");
            return false;
        }
        redis_end_first(r, e.kind != ERR_NONE ? &e : NULL, NULL);
        if (!redis_is_raw(link))
            return false;
        n = 0;
    }
    if (ended < 0)
        lose(r, e.text);
    return ended == 0;
}

static void raw_read(struct redis_link *link)
{
    const struct redis_decoder *decoder = &link->redis->decoder;
    const char *why = "";
    size_t size;
    ssize_t n;
    do {
        char *room = decoder->reserve(decoder->owner, &size);
        n = read_some(&link->ac->c, room, size, &why);
        if (n < 0)
            lose(link->redis, why);
        if (n <= 0 || !take_replies(link, (size_t)n))
            return;
        /* TLS holds bytes that no poll tells of: it is read until it has none. */
    } while (link->tls || (size_t)n == size);
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
        raw_read(link);
    else if (events & UV_READABLE)
        redisAsyncHandleRead(link->ac);
    if (link->ac && (events & UV_WRITABLE))
        redisAsyncHandleWrite(link->ac);
    if (r->link == link)
        redis_link_moved(r);
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
    redisAsyncContext *ac =
        r->url.path ? redisAsyncConnectUnix(r->url.path) : redisAsyncConnect(host, r->node->port);
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
