/* Replies for a decoder, beside hiredis' reader: what is read goes straight where the decoder wants
 * it. Connecting, the greeting and writing stay hiredis' own, and with TLS its read function, so
 * that there is one way for both.
 *
 * hiredis is told of no command here, so it has no callback to call and expects no reply.
 *
 * The failure modes: the socket ends or has an error, or the decoder cannot make sense of the
 * bytes: redis_lost. */
#include "common/redis/redis_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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

void redis_raw_read(struct redis_link *link)
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
