/* An HTTP server under libuv by libmicrohttpd.
 *
 * libmicrohttpd keeps its sockets in one epoll descriptor, which the loop polls. It has no thread
 * of its own: all it does happens inside MHD_run, and it asks to be run again through
 * MHD_get_timeout, so the timer is armed anew after every run (else a large body waits for the next
 * packet for ever).
 *
 * The happy path: a socket has news, MHD_run calls back into http_exchange.c, answers go out.
 *
 * Failure modes: more connections than the limit wait in the backlog; one that is silent for too
 * long is closed by libmicrohttpd; closing answers 503 to who still waits, and lets these answers
 * out. */
#include "common/http/http_server_internal.h"

#include "common/http/http_listen.h"
#include "common/log.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    IDLE_TIMEOUT_S = 30,
    CONNECTION_LIMIT = 1000,
    FLUSH_RUNS = 8 /* MHD_run calls that let last answers out before the daemon stops */
};

static void on_timer(uv_timer_t *timer);
static void on_close_turn(uv_timer_t *timer);

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

/* From the loop: http_reply may have been called from inside MHD_run, for another exchange. */
void http_server_run_soon(struct http_server *s)
{
    uv_timer_start(&s->timer, on_timer, 0, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    run(poll->data);
}

static struct MHD_Daemon *start_daemon(struct http_server *s, int listener)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, http_exchange_on_access, s,
        MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_NOTIFY_COMPLETED, http_exchange_on_completed,
        s, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_LIMIT,
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
    log_info(listening, LOG_STR("name", name), LOG_STR("address", address));
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
    http_exchange_answer_all(s);
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
