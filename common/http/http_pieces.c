/* An answer in pieces. libmicrohttpd asks for bytes whenever the socket takes some. While there are
 * none, the connection is suspended, and the handler is asked for more once libmicrohttpd has run:
 * what it then does may resume connections, which must not happen inside of that.
 *
 * Failure modes: the client leaves, or takes nothing for so long that libmicrohttpd gives it up:
 * the handler is told, and the exchange is gone. The handler cannot go on: the connection is cut
 * where the answer stands, so that what came is not taken for all. */
#include "common/http/http_server_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE_BYTES = 32 << 10, /* what libmicrohttpd takes at once */
    LOW_BYTES = 64 << 10    /* with less than that waiting, more is wanted */
};

static size_t waiting(const struct exchange *x)
{
    return x->pieces.waiting.length - x->pieces.taken;
}

static void list_add(struct http_server *s, struct exchange *x)
{
    x->previous = NULL;
    x->next = s->begun;
    if (s->begun)
        s->begun->previous = x;
    s->begun = x;
    s->in_flight++;
}

static void list_remove(struct http_server *s, struct exchange *x)
{
    if (x->previous)
        x->previous->next = x->next;
    else
        s->begun = x->next;
    if (x->next)
        x->next->previous = x->previous;
    s->in_flight--;
}

/* libmicrohttpd's callback. */
static ssize_t on_read(void *owner, uint64_t position, char *out, size_t room)
{
    struct exchange *x = owner;
    struct pieces *p = &x->pieces;
    size_t length = waiting(x) < room ? waiting(x) : room;
    (void)position;
    if (length == 0 && p->is_ended)
        return p->is_whole ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
    if (length == 0) {
        x->suspended = true;
        MHD_suspend_connection(x->connection);
        return 0;
    }
    memcpy(out, p->waiting.data + p->taken, length);
    p->taken += length;
    return (ssize_t)length;
}

int http_reply_begin(struct http_exchange *public, int status, const char *content_type,
                     struct http_pieces events)
{
    struct exchange *x = public->internal;
    assert(x->owed && events.on_wanted && events.on_gone);
    if (x->state != HANDED) {
        /* The client has left; or closing answered 503, and the connection is about to end. */
        x->owed = false;
        if (x->state == GONE)
            http_exchange_free(x);
        return -1;
    }
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, on_read, x, NULL);
    assert(r);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    x->pieces.events = events;
    http_exchange_answer(x, status, r);
    list_add(x->server, x);
    http_server_run_soon(x->server);
    return 0;
}

void http_reply_write(struct http_exchange *public, const char *data, size_t length)
{
    struct exchange *x = public->internal;
    struct pieces *p = &x->pieces;
    assert(!p->is_ended);
    if (waiting(x) == 0) {
        buf_clear(&p->waiting);
        p->taken = 0;
    } else if (p->taken > p->waiting.length / 2) {
        memmove(p->waiting.data, p->waiting.data + p->taken, waiting(x));
        p->waiting.length -= p->taken;
        p->taken = 0;
    }
    buf_add(&p->waiting, data, length);
    p->is_wanted = false;
    http_exchange_resume(x);
    http_server_run_soon(x->server);
}

void http_reply_end(struct http_exchange *public, bool is_whole)
{
    struct exchange *x = public->internal;
    x->pieces.is_ended = true;
    x->pieces.is_whole = is_whole;
    x->owed = false; /* what waits is still given */
    http_exchange_resume(x);
}

void http_pieces_leave(struct exchange *x)
{
    if (!x->pieces.events.on_wanted)
        return;
    list_remove(x->server, x);
    if (x->owed)
        x->pieces.events.on_gone(x->pieces.events.owner);
    x->owed = false;
}

/* on_wanted may end or begin others, so the list is gone through anew after each. */
void http_pieces_ask(struct http_server *s)
{
    struct exchange *x = s->begun;
    while (x) {
        struct pieces *p = &x->pieces;
        if (p->is_ended || p->is_wanted || waiting(x) >= LOW_BYTES) {
            x = x->next;
            continue;
        }
        p->is_wanted = true;
        p->events.on_wanted(p->events.owner);
        x = s->begun;
    }
}

void http_pieces_cut_all(struct http_server *s)
{
    for (struct exchange *x = s->begun; x; x = x->next) {
        struct pieces *p = &x->pieces;
        if (p->is_ended)
            continue;
        p->is_ended = true;
        p->is_whole = false;
        buf_clear(&p->waiting);
        p->taken = 0;
        if (x->owed)
            p->events.on_gone(p->events.owner);
        x->owed = false;
        http_exchange_resume(x);
    }
}
