/* An HTTP server under libuv by libmicrohttpd.
 *
 * libmicrohttpd keeps its sockets in one epoll descriptor, which the loop polls. It has no thread
 * of its own: all it does happens inside MHD_run, and it asks to be run again through
 * MHD_get_timeout, so the timer is armed anew after every run (else a large body waits for the next
 * packet for ever).
 *
 *      READING -> HANDED -> ANSWERED -> QUEUED
 *         |          |          |
 *         +----------+----------+--> GONE (the client left, or the server was closed)
 *
 * The happy path: the body is read whole, the handler gets the exchange, the connection is
 * suspended unless the answer is there already, http_reply resumes it, and the next MHD_run queues
 * the answer.
 *
 * Failure modes: the client leaves before the body is whole: the handler never hears of it. The
 * client leaves before the answer: http_reply is then a no-op that frees the exchange. The body is
 * too large: it is read and dropped up to a bound, so that the client reads our 413 rather than a
 * reset. */
#include "common/http_server.h"

#include "common/conf.h"
#include "common/http_listen.h"
#include "common/log.h"
#include "common/str.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    IDLE_TIMEOUT_S = 30,
    CONNECTION_LIMIT = 1000,
    REPLY_HEADERS_MAX = 4,
    DISCARD_MAX_BYTES = 8 << 20, /* of a body that is too large, before the connection is cut */
    FLUSH_RUNS = 8 /* MHD_run calls that let last answers out before the daemon stops */
};

enum state { READING, HANDED, ANSWERED, QUEUED, GONE };

static const bool MAY_GO[5][5] = {
    [READING] = {[HANDED] = true, [GONE] = true},
    [HANDED] = {[ANSWERED] = true, [GONE] = true},
    [ANSWERED] = {[QUEUED] = true, [GONE] = true},
    [QUEUED] = {[GONE] = true},
};

struct http_server {
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer;
    size_t max_body_bytes;
    http_handler_fn handler;
    void *owner;
    struct exchange *handed; /* list of those without an answer */
    int in_flight;           /* its length */
    bool quiesced;
    bool resumed; /* since the last MHD_run */
    bool closing;
    int open_handles;
    void (*closed)(void *owner);
    void *closed_owner;
};

/* Held by the connection until it is done, and by the handler until http_reply: freed after both.
 */
struct exchange {
    struct http_exchange public;
    struct http_server *server;        /* not to be used once GONE */
    struct MHD_Connection *connection; /* NULL once GONE */
    struct exchange *next;
    struct exchange *previous;
    struct buf body;
    size_t discarded_bytes;
    char *path;
    char *method;
    enum state state;
    bool suspended;
    bool owed; /* the handler has it and has not replied */
    struct MHD_Response *response;
    int status;
    char *header_names[REPLY_HEADERS_MAX];
    char *header_values[REPLY_HEADERS_MAX];
    int headers;
};

static void exchange_go(struct exchange *x, enum state next)
{
    assert(MAY_GO[x->state][next]);
    x->state = next;
}

static void exchange_free(struct exchange *x)
{
    for (int i = 0; i < x->headers; i++) {
        free(x->header_names[i]);
        free(x->header_values[i]);
    }
    if (x->response)
        MHD_destroy_response(x->response);
    buf_done(&x->body);
    free(x->path);
    free(x->method);
    free(x);
}

static void list_add(struct http_server *s, struct exchange *x)
{
    x->previous = NULL;
    x->next = s->handed;
    if (s->handed)
        s->handed->previous = x;
    s->handed = x;
    s->in_flight++;
}

static void list_remove(struct http_server *s, struct exchange *x)
{
    if (x->previous)
        x->previous->next = x->next;
    else
        s->handed = x->next;
    if (x->next)
        x->next->previous = x->previous;
    s->in_flight--;
}

static struct exchange *exchange_new(struct http_server *s, struct MHD_Connection *connection,
                                     const char *method, const char *path)
{
    struct exchange *x = xcalloc(1, sizeof *x);
    x->server = s;
    x->connection = connection;
    x->method = xstrdup(method);
    x->path = xstrdup(path);
    x->public.method = x->method;
    x->public.path = x->path;
    x->public.internal = x;
    return x;
}

static enum MHD_Result take_body(struct exchange *x, const char *data, size_t length)
{
    if (!x->public.too_large && x->body.length + length <= x->server->max_body_bytes) {
        buf_add(&x->body, data, length);
        return MHD_YES;
    }
    x->public.too_large = true;
    buf_done(&x->body);
    x->discarded_bytes += length;
    return x->discarded_bytes > DISCARD_MAX_BYTES ? MHD_NO : MHD_YES;
}

static void on_timer(uv_timer_t *timer);
static void on_close_turn(uv_timer_t *timer);

static struct MHD_Response *make_response(const char *content_type, const char *body, size_t length)
{
    /* libmicrohttpd only reads a buffer that it copies, yet asks for a pointer to non-const. */
    union {
        const char *text;
        void *any;
    } bytes = {.text = length > 0 ? body : ""};
    struct MHD_Response *r =
        MHD_create_response_from_buffer(length, bytes.any, MHD_RESPMEM_MUST_COPY);
    assert(r);
    if (content_type)
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    return r;
}

static void resume(struct exchange *x)
{
    if (!x->suspended)
        return;
    x->suspended = false;
    x->server->resumed = true;
    MHD_resume_connection(x->connection);
    /* From the loop: http_reply may have been called from inside MHD_run, for another exchange. */
    uv_timer_start(&x->server->timer, on_timer, 0, 0);
}

static struct MHD_Response *make_stopping(void)
{
    static const char BODY[] = "stopping\n";
    return make_response("text/plain", BODY, sizeof BODY - 1);
}

static void answer(struct exchange *x, int status, struct MHD_Response *response)
{
    x->status = status;
    x->response = response;
    exchange_go(x, ANSWERED);
    list_remove(x->server, x);
    resume(x);
}

static enum MHD_Result queue_answer(struct exchange *x)
{
    for (int i = 0; i < x->headers; i++)
        MHD_add_response_header(x->response, x->header_names[i], x->header_values[i]);
    if (x->server->quiesced || x->server->closing)
        MHD_add_response_header(x->response, MHD_HTTP_HEADER_CONNECTION, "close");
    exchange_go(x, QUEUED);
    return MHD_queue_response(x->connection, (unsigned)x->status, x->response);
}

/* The body is whole: hand the exchange over. If the answer is not there when the handler returns,
 * the connection sleeps until http_reply. */
static enum MHD_Result hand_over(struct exchange *x)
{
    exchange_go(x, HANDED);
    list_add(x->server, x);
    if (x->server->closing) {
        answer(x, 503, make_stopping());
        return queue_answer(x);
    }
    x->public.body = x->body.data ? x->body.data : "";
    x->public.body_length = x->body.length;
    x->owed = true;
    x->server->handler(x->server->owner, &x->public);
    if (x->state == ANSWERED)
        return queue_answer(x);
    x->suspended = true;
    MHD_suspend_connection(x->connection);
    return MHD_YES;
}

/* libmicrohttpd calls this first with the headers alone, then for each piece of the body, then with
 * an empty piece, and once more after a suspended connection was resumed. */
static enum MHD_Result on_access(void *owner, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *length, void **slot)
{
    (void)version;
    struct exchange *x = *slot;
    if (!x) {
        *slot = exchange_new(owner, connection, method, url);
        return MHD_YES;
    }
    if (*length > 0) {
        enum MHD_Result result = take_body(x, data, *length);
        *length = 0;
        return result;
    }
    if (x->state == READING)
        return hand_over(x);
    return x->state == ANSWERED ? queue_answer(x) : MHD_YES;
}

static void exchange_leave(struct exchange *x)
{
    if (x->state == HANDED)
        list_remove(x->server, x);
    exchange_go(x, GONE);
    x->connection = NULL;
    if (!x->owed)
        exchange_free(x);
}

static void on_completed(void *owner, struct MHD_Connection *connection, void **slot,
                         enum MHD_RequestTerminationCode why)
{
    (void)owner, (void)connection, (void)why;
    struct exchange *x = *slot;
    *slot = NULL;
    if (x)
        exchange_leave(x);
}

/* Let libmicrohttpd work, and arm the timer for the next time it wants to. */
static void run(struct http_server *s)
{
    s->resumed = false;
    MHD_run(s->daemon);
    MHD_UNSIGNED_LONG_LONG wait_ms;
    if (s->closing)
        uv_timer_start(&s->timer, on_close_turn, 0, 0);
    else if (s->resumed)
        uv_timer_start(&s->timer, on_timer, 0, 0);
    else if (MHD_get_timeout(s->daemon, &wait_ms) == MHD_YES)
        uv_timer_start(&s->timer, on_timer, wait_ms, 0);
    else
        uv_timer_stop(&s->timer);
}

static void on_timer(uv_timer_t *timer)
{
    run(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    run(poll->data);
}

const char *http_exchange_header(const struct http_exchange *public, const char *name)
{
    const struct exchange *x = public->internal;
    if (!x->connection)
        return NULL;
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

const char *http_exchange_query(const struct http_exchange *public, const char *name)
{
    const struct exchange *x = public->internal;
    if (!x->connection)
        return NULL;
    return MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name);
}

void http_reply_header(struct http_exchange *public, const char *name, const char *value)
{
    struct exchange *x = public->internal;
    assert(x->owed && x->headers < REPLY_HEADERS_MAX);
    x->header_names[x->headers] = xstrdup(name);
    x->header_values[x->headers++] = xstrdup(value);
}

void http_reply(struct http_exchange *public, int status, const char *content_type,
                const char *body, size_t length)
{
    struct exchange *x = public->internal;
    assert(x->owed);
    x->owed = false;
    if (x->state == GONE)
        exchange_free(x);
    else if (x->state == HANDED)
        answer(x, status, make_response(content_type, body, length));
    /* Else closing answered 503 already and the connection is about to end. */
}

static struct MHD_Daemon *start_daemon(struct http_server *s, int listener)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, s,
                            MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_NOTIFY_COMPLETED,
                            on_completed, s, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)CONNECTION_LIMIT, MHD_OPTION_END);
}

static void start_polling(struct http_server *s, uv_loop_t *loop)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    uv_poll_init(loop, &s->poll, info->epoll_fd);
    uv_timer_init(loop, &s->timer);
    s->poll.data = s->timer.data = s;
    uv_poll_start(&s->poll, UV_READABLE, on_poll);
}

struct http_server *http_server_open(uv_loop_t *loop, const char *name, const char *listen,
                                     size_t max_body_bytes, http_handler_fn handler, void *owner,
                                     struct err *e)
{
    char address[HTTP_ADDRESS_SIZE];
    int listener = http_listen(listen, address, e);
    if (listener < 0)
        return NULL;
    struct http_server *s = xcalloc(1, sizeof *s);
    s->max_body_bytes = max_body_bytes;
    s->handler = handler;
    s->owner = owner;
    s->daemon = start_daemon(s, listener);
    if (!s->daemon) {
        close(listener);
        free(s);
        err_set(e, ERR_IO, "listen on %s: libmicrohttpd did not start", listen);
        return NULL;
    }
    start_polling(s, loop);
    log_info("listening", LOG_STR("name", name), LOG_STR("address", address));
    return s;
}

void http_server_quiesce(struct http_server *s)
{
    if (s->quiesced || s->closing)
        return;
    s->quiesced = true;
    /* From here on the descriptor is ours. */
    int listener = MHD_quiesce_daemon(s->daemon);
    if (listener >= 0)
        close(listener);
}

int http_server_in_flight(const struct http_server *s)
{
    return s->in_flight;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;
    if (--s->open_handles > 0)
        return;
    void (*closed)(void *) = s->closed;
    void *owner = s->closed_owner;
    free(s);
    if (closed)
        closed(owner);
}

/* libmicrohttpd must not be stopped while connections are suspended, nor from inside MHD_run. */
static void on_close_turn(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    while (s->handed)
        answer(s->handed, 503, make_stopping());
    for (int i = 0; i < FLUSH_RUNS; i++)
        MHD_run(s->daemon);
    uv_poll_stop(&s->poll);
    MHD_stop_daemon(s->daemon);
    s->open_handles = 2;
    uv_close((uv_handle_t *)&s->poll, on_handle_closed);
    uv_close((uv_handle_t *)&s->timer, on_handle_closed);
}

void http_server_close(struct http_server *s, void (*closed)(void *owner), void *owner)
{
    assert(!s->closing);
    s->closing = true;
    s->closed = closed;
    s->closed_owner = owner;
    uv_timer_start(&s->timer, on_close_turn, 0, 0);
}
