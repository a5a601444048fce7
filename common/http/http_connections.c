/* The connections of a server, so that clients that are slow, on purpose or not, keep nobody out.
 *
 * A connection may wait WAIT_MS for a request, and a request must be whole REQUEST_MS after its
 * first line. If there are more connections than it may have, or more bytes of bodies than
 * HELD_MAX_BYTES, the one that has been at it for longest is cut off: a client that sends its
 * request at once is through long before it would be that one. What was handed to the handler is
 * never cut off.
 *
 * libmicrohttpd has no call that ends a connection: its socket is shut down, and libmicrohttpd sees
 * a client that has left. */
#include "common/http/http_server_internal.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/metric_table.h"

#include <stdlib.h>
#include <sys/socket.h>

enum {
    WAIT_MS = 30000,
    REQUEST_MS = 10000,
    HELD_MAX_BYTES = 20 << 20, /* of texts, whose buffers may be twice as large */
    CROWDED_MS = 10000         /* how long it is told after somebody had to go */
};

/* In the list, the one that made no progress for longest comes first. */
static void list_add(struct http_server *s, struct connection *c)
{
    c->since_ms = clock_monotonic_ms();
    c->next = NULL;
    c->previous = s->connections_last;
    if (c->previous)
        c->previous->next = c;
    else
        s->connections = c;
    s->connections_last = c;
}

static void list_remove(struct http_server *s, struct connection *c)
{
    if (c->previous)
        c->previous->next = c->next;
    else
        s->connections = c->next;
    if (c->next)
        c->next->previous = c->previous;
    else
        s->connections_last = c->previous;
}

static void cut(struct http_server *s, struct connection *c, const char *reason)
{
    uint64_t suppressed;
    c->is_cut = true;
    shutdown(c->fd, SHUT_RDWR);
    if (c->exchange) {
        c->exchange->is_dropped = true;
        http_exchange_drop_body(c->exchange);
    }
    metric_count(METRIC_OF_HTTP_CUT, reason);
    if (log_repeat_failed(&s->cut, clock_monotonic_ms(), &suppressed))
        log_warn(connection_cut, LOG_STR("name", s->name), LOG_STR("reason", reason),
                 LOG_I64("connections", s->connections_count), LOG_U64("held_back", suppressed));
}

static bool may_be_cut(const struct connection *c)
{
    return !c->is_cut && !(c->exchange && c->exchange->state != READING);
}

/* The one that has been at it for longest; holding: has a part of a body. */
static struct connection *find_slowest(const struct http_server *s, const struct connection *but,
                                       bool holding)
{
    for (struct connection *c = s->connections; c; c = c->next)
        if (c != but && may_be_cut(c) && (!holding || (c->exchange && c->exchange->body.length)))
            return c;
    return NULL;
}

static void make_place(struct http_server *s, const struct connection *for_this)
{
    struct connection *slowest = NULL;
    if (s->connections_count > s->connections_max && (slowest = find_slowest(s, for_this, false))) {
        s->crowded_ms = clock_monotonic_ms();
        cut(s, slowest, "crowded");
    }
}

bool http_connections_hold(struct http_server *s, const struct connection *for_this, size_t more)
{
    struct connection *slowest;
    while (s->held_bytes + more > HELD_MAX_BYTES && (slowest = find_slowest(s, for_this, true)))
        cut(s, slowest, "memory");
    return s->held_bytes + more <= HELD_MAX_BYTES;
}

bool http_server_is_crowded(const struct http_server *s)
{
    return s->crowded_ms != 0 && clock_monotonic_ms() - s->crowded_ms < CROWDED_MS;
}

void http_connections_look(struct http_server *s)
{
    int64_t now_ms = clock_monotonic_ms();
    for (struct connection *c = s->connections; c && now_ms - c->since_ms > REQUEST_MS; c = c->next)
        if (may_be_cut(c) && (c->is_asking || now_ms - c->since_ms > WAIT_MS))
            cut(s, c, "slow");
}

/* libmicrohttpd's callbacks. */

void http_connections_on_change(void *owner, struct MHD_Connection *connection, void **slot,
                                enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = owner;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct connection *c = xcalloc(1, sizeof *c);
        c->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        list_add(s, c);
        s->connections_count++;
        *slot = c;
        make_place(s, c);
    } else if (*slot) {
        struct connection *c = *slot;
        list_remove(s, c);
        s->connections_count--;
        free(c->target);
        free(c);
        *slot = NULL;
    }
}

struct connection *http_connection_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

void *http_connections_on_line(void *owner, const char *uri, struct MHD_Connection *connection)
{
    struct connection *c = http_connection_of(connection);
    free(c->target);
    c->target = xstrdup(uri);
    list_remove(owner, c);
    list_add(owner, c);
    c->is_asking = true;
    return NULL; /* http_exchange_on_access makes what it needs */
}

void http_connections_on_answered(struct http_server *s, struct connection *c)
{
    list_remove(s, c);
    list_add(s, c);
    c->is_asking = false;
    c->exchange = NULL;
}
