/* An HTTP server under libuv by libmicrohttpd.
 *
 * libmicrohttpd keeps its sockets in one epoll descriptor, which the loop polls. It has no thread
 * of its own: all it does happens inside MHD_run, and it asks to be run again through
 * MHD_get_timeout, so the timer is armed anew after every run (else a large body waits for the next
 * packet for ever).
 *
 * The happy path: a socket has news, MHD_run calls back into http_exchange.c, answers go out.
 *
 * Failure modes: an address that cannot be listened on (a name that does not resolve, a port that
 * is taken or not allowed) fails http_server_open; clients that are slow or too many are cut off
 * (http_connections.c); closing answers 503 to who still waits, and lets these answers out. */
#include "common/http/http_server_internal.h"

#include "common/conf.h"
#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 511,
    IDLE_TIMEOUT_S = 30,
    CONNECTION_LIMIT = CONNECTIONS_MAX + 24, /* who is cut off for another one goes a turn later */
    CONNECTION_MEMORY = 16 << 10,            /* headers, and what is read at once */
    LOOK_EVERY_MS = 1000,
    FLUSH_RUNS = 8 /* MHD_run calls that let last answers out before the daemon stops */
};

/* Listening. */

/* both: a socket of IPv6 takes IPv4 as well, whatever the system's default. */
static int bind_one(const struct addrinfo *a, bool both)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    int off = 0;
    /* A restart must not wait for old connections to leave TIME_WAIT. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (both && a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int bind_first(const struct addrinfo *list)
{
    int fd = -1;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
        fd = bind_one(a, false);
    return fd;
}

/* By IPv6, for both; on a machine without it by IPv4. */
static int bind_all(const struct addrinfo *list)
{
    static const int FAMILIES[] = {AF_INET6, AF_INET};
    for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++)
        for (const struct addrinfo *a = list; a; a = a->ai_next) {
            int fd = a->ai_family == FAMILIES[i] ? bind_one(a, true) : -1;
            if (fd >= 0 || (a->ai_family == FAMILIES[i] && errno == EADDRINUSE))
                return fd;
        }
    return -1;
}

static void describe(int fd, char address[HTTP_ADDRESS_SIZE])
{
    struct sockaddr_storage at;
    socklen_t length = sizeof at;
    char host[64] = "?";
    char port[8] = "?";
    if (getsockname(fd, (struct sockaddr *)&at, &length) == 0)
        getnameinfo((struct sockaddr *)&at, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    if (strchr(host, ':'))
        snprintf(address, HTTP_ADDRESS_SIZE, "[%s]:%s", host, port);
    else
        snprintf(address, HTTP_ADDRESS_SIZE, "%s:%s", host, port);
}

static struct addrinfo *resolve(const char *host, int port, const char *listen, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char service[8];
    snprintf(service, sizeof service, "%d", port & 0xffff);
    int failed = getaddrinfo(host[0] ? host : NULL, service, &hints, &list);
    if (failed)
        err_set(e, ERR_CONFIG, "listen on %s: %s", listen, gai_strerror(failed));
    return failed ? NULL : list;
}

int http_listen(const char *listen, char address[HTTP_ADDRESS_SIZE], struct err *e)
{
    char *host = NULL;
    int port = 0;
    if (conf_parse_listen(listen, &host, &port, e))
        return -1;
    bool is_all = !*host;
    struct addrinfo *list = resolve(host, port, listen, e);
    free(host);
    if (!list)
        return -1;
    int fd = is_all ? bind_all(list) : bind_first(list);
    if (fd < 0)
        err_set(e, ERR_IO, "listen on %s: %s", listen, strerror(errno));
    else
        describe(fd, address);
    freeaddrinfo(list);
    return fd;
}

/* Under the loop. */

static void on_timer(uv_timer_t *timer);
static void on_close_turn(uv_timer_t *timer);

/* Let libmicrohttpd work, and arm the timer for the next time it wants to. */
static void run(struct http_server *s)
{
    s->resumed = false;
    MHD_run(s->daemon);
    http_pieces_ask(s);
    MHD_UNSIGNED_LONG_LONG wait_ms;
    if (closing_has_begun(&s->closing))
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

static void on_watch(uv_timer_t *timer)
{
    http_connections_look(timer->data);
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
        s, MHD_OPTION_NOTIFY_CONNECTION, http_connections_on_change, s, MHD_OPTION_URI_LOG_CALLBACK,
        http_connections_on_line, s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTION_LIMIT, MHD_OPTION_END);
}

static void start_polling(struct http_server *s, uv_loop_t *loop)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    uv_poll_init(loop, &s->poll, info->epoll_fd);
    uv_timer_init(loop, &s->timer);
    uv_timer_init(loop, &s->watch);
    s->poll.data = s->timer.data = s->watch.data = s;
    uv_timer_start(&s->watch, on_watch, LOOK_EVERY_MS, LOOK_EVERY_MS);
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
    s->name = name;
    s->max_body_bytes = max_body_bytes;
    s->connections_max = CONNECTIONS_MAX;
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

void http_server_set_connections(struct http_server *s, int most)
{
    assert(most > 0 && most <= CONNECTIONS_MAX);
    s->connections_max = most;
}

void http_server_quiesce(struct http_server *s)
{
    if (s->quiesced || closing_has_begun(&s->closing))
        return;
    s->quiesced = true;
    /* libmicrohttpd gives the descriptor back: it must be closed here. */
    int listener = MHD_quiesce_daemon(s->daemon);
    if (listener >= 0)
        close(listener);
}

int http_server_in_flight(const struct http_server *s)
{
    return s->in_flight;
}

/* libmicrohttpd must not be stopped while connections are suspended, nor from inside MHD_run. */
static void on_close_turn(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    http_exchange_answer_all(s);
    http_pieces_cut_all(s);
    for (int i = 0; i < FLUSH_RUNS; i++)
        MHD_run(s->daemon);
    uv_poll_stop(&s->poll);
    MHD_stop_daemon(s->daemon);
    closing_handle(&s->closing, &s->poll);
    closing_handle(&s->closing, &s->timer);
    closing_handle(&s->closing, &s->watch);
    closing_end(&s->closing);
}

void http_server_close(struct http_server *s, void (*closed)(void *owner), void *owner)
{
    closing_begin(&s->closing, s, free, closed, owner);
    uv_timer_start(&s->timer, on_close_turn, 0, 0);
}
