/* The machine of one PostgreSQL connection.
 *
 * The happy path: pg_open starts to connect, the session is set up, on_up is called, and pg_run
 * takes the machine from READY to BUSY and back for each pipeline.
 *
 *      +--> WAITING ---> RESOLVING ---> CONNECTING ---> SETUP ---> READY <---> BUSY
 *      |                     |              |             |          |           |
 *      +---------------------+--------------+-------------+----------+-----------+
 *                                                                 pg_lost, pg_reset
 *
 *      every state ---> CLOSING (pg_close), and then pg is freed
 *
 * The failure modes: no host is known, connecting takes more than 10 s or is refused, the session's
 * settings are refused, the server is read-only, the socket dies, a pipeline's deadline passes. All
 * of them are pg_lost: the connection is dropped, the pipeline in flight gets the error, on_down is
 * called, and after a wait the next try begins. Both calls are made by the timer `soon`, never from
 * inside a public function. While connecting, each of several hosts is tried before that, without a
 * wait in WAITING. */
#include "common/pg/pg_internal.h"

#include "common/str.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOON_MS = 1, LAST_LOOK_MS = 1 };
enum { BACKOFF_FIRST_MS = 100, BACKOFF_MAX_MS = 5000 };

const struct machine PG_MACHINE = {
    "postgres",
    {[PG_IS_WAITING] = {"waiting", TO(PG_IS_RESOLVING) | TO(PG_IS_CONNECTING) | TO(PG_IS_CLOSING)},
     [PG_IS_RESOLVING] = {"resolving",
                          TO(PG_IS_WAITING) | TO(PG_IS_CONNECTING) | TO(PG_IS_CLOSING)},
     [PG_IS_CONNECTING] = {"connecting", TO(PG_IS_WAITING) | TO(PG_IS_SETUP) | TO(PG_IS_CLOSING)},
     [PG_IS_SETUP] = {"setup", TO(PG_IS_WAITING) | TO(PG_IS_READY) | TO(PG_IS_CLOSING)},
     [PG_IS_READY] = {"ready", TO(PG_IS_WAITING) | TO(PG_IS_BUSY) | TO(PG_IS_CLOSING)},
     [PG_IS_BUSY] = {"busy", TO(PG_IS_WAITING) | TO(PG_IS_READY) | TO(PG_IS_CLOSING)},
     [PG_IS_CLOSING] = {"closing", 0}}};

void pg_release_handle(struct pg *pg)
{
    if (--pg->handles > 0)
        return;
    void (*closed)(void *) = pg->closed;
    void *owner = pg->closed_owner;
    free(pg->url);
    free(pg->role);
    free(pg->application_name);
    free(pg);
    if (closed)
        closed(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    pg_release_handle(handle->data);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct pg *pg = handle->data;
    free(handle);
    pg_release_handle(pg);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct pg *pg = poll->data;
    /* libuv stops polling when the socket has an error. What came before the error is still read,
     * and reading on brings libpq to the error itself. */
    if (status < 0)
        events = UV_READABLE | UV_WRITABLE;
    if (pg->state == PG_IS_CONNECTING)
        pg_connect_step(pg);
    else
        pg_pipeline_io(pg, events);
}

void pg_watch(struct pg *pg, int events)
{
    if (!pg->poll) {
        uv_poll_t *poll = xcalloc(1, sizeof *poll);
        int failed = uv_poll_init(pg->loop, poll, PQsocket(pg->conn));
        assert(!failed);
        poll->data = pg;
        pg->poll = poll;
        pg->handles++;
    }
    uv_poll_start(pg->poll, events, on_socket);
}

void pg_unwatch(struct pg *pg)
{
    if (pg->poll)
        uv_close((uv_handle_t *)pg->poll, on_poll_closed);
    pg->poll = NULL;
}

static void drop_connection(struct pg *pg)
{
    uv_timer_stop(&pg->timer);
    pg_unwatch(pg);
    PQfinish(pg->conn);
    pg->conn = NULL;
    if (pg->state == PG_IS_BUSY)
        pg->pipeline_ended = true;
}

/* Each callback may close or reset pg, so the state is looked at again after each. */
static void on_soon(uv_timer_t *timer)
{
    struct pg *pg = timer->data;
    if (pg->pipeline_ended) {
        pg->pipeline_ended = false;
        pg_pipeline_finish(pg);
    }
    if (pg->tell_notified && pg->state != PG_IS_CLOSING) {
        pg->tell_notified = false;
        if (pg->events.on_notified)
            pg->events.on_notified(pg->events.owner);
    }
    if (pg->tell_down && pg->state != PG_IS_CLOSING) {
        struct err down = pg->down;
        pg->tell_down = false;
        if (pg->events.on_down)
            pg->events.on_down(pg->events.owner, &down);
    }
    if (pg->state == PG_IS_CLOSING && !pg->pipeline_ended) {
        uv_close((uv_handle_t *)&pg->timer, on_timer_closed);
        uv_close((uv_handle_t *)&pg->soon, on_timer_closed);
    }
}

void pg_start_soon(struct pg *pg)
{
    uv_update_time(pg->loop);
    uv_timer_start(&pg->soon, on_soon, SOON_MS, 0);
}

/* If the whole process was stopped for a while, the timer fires first, though the answer may be
 * waiting in the socket. So the loop reads once more before the outcome is called unknown. */
static void take_deadline(struct pg *pg, const char *what)
{
    if (!pg->looked_again) {
        pg->looked_again = true;
        uv_timer_start(&pg->timer, pg->timer.timer_cb, LAST_LOOK_MS, 0);
        return;
    }
    struct err e;
    err_set(&e, ERR_TIMEOUT, "%s", what);
    pg_lost(pg, &e);
}

static void on_timer(uv_timer_t *timer)
{
    struct pg *pg = timer->data;
    switch (pg->state) {
    case PG_IS_WAITING:
        if (pg_has_next_host(pg))
            pg_connect_start(pg);
        else
            pg_connect_prepare(pg);
        break;
    case PG_IS_CONNECTING:
    case PG_IS_SETUP:
        take_deadline(pg, "connect to PostgreSQL: no answer in time");
        break;
    case PG_IS_BUSY:
        take_deadline(pg, "no answer from PostgreSQL in time");
        break;
    case PG_IS_RESOLVING:
    case PG_IS_READY:
    case PG_IS_CLOSING:
        assert(0 && "the timer runs in no such state");
    }
}

void pg_start_timer(struct pg *pg, uint64_t wait_ms)
{
    pg->looked_again = false;
    uv_update_time(pg->loop);
    uv_timer_start(&pg->timer, on_timer, wait_ms, 0);
}

/* on_down will be called. Returns after how many ms the next try begins. */
static uint64_t begin_anew(struct pg *pg, const struct err *error)
{
    pg->down = *error; /* it may live in what is dropped here */
    pg_pipeline_fail(pg, &pg->down);
    drop_connection(pg);
    pg_resolve_done(pg);
    machine_go(&PG_MACHINE, pg->state, PG_IS_WAITING);
    uint64_t wait_ms = backoff_next_ms(&pg->backoff, backoff_random());
    pg_start_timer(pg, wait_ms);
    pg->tell_down = true;
    pg_start_soon(pg);
    return wait_ms;
}

void pg_lost(struct pg *pg, const struct err *error)
{
    struct err said = *error;
    pg_say_host(pg, &said);
    if (pg_has_next_host(pg)) {
        /* on_down is not called yet. */
        pg_pipeline_fail(pg, &said);
        drop_connection(pg);
        machine_go(&PG_MACHINE, pg->state, PG_IS_WAITING);
        pg_start_timer(pg, 0);
        return;
    }
    if (pg->hosts.n > 1)
        (void)snprintf(said.text, sizeof said.text, "%s", pg->hosts.said.data);
    if (pg->hosts.options)
        pg->takes_reader = !pg->takes_reader;
    uint64_t wait_ms = begin_anew(pg, &said);
    /* The server ended an idle session by its idle_session_timeout: nothing is wrong with it. */
    if (strcmp(said.sqlstate, "57P05") == 0)
        peer_link_closed(&pg->peer);
    else
        peer_link_lost(&pg->peer, &pg->down, wait_ms);
}

static void init_timer(struct pg *pg, uv_timer_t *timer)
{
    uv_timer_init(pg->loop, timer);
    timer->data = pg;
    pg->handles++;
}

struct pg *pg_open(uv_loop_t *loop, const char *url, const char *role, const char *application_name,
                   struct pg_events events)
{
    struct pg *pg = xcalloc(1, sizeof *pg);
    pg->loop = loop;
    pg->url = xstrdup(url);
    pg->role = role ? xstrdup(role) : NULL;
    pg->application_name = xstrdup(application_name);
    pg->events = events;
    pg->backoff = BACKOFF(BACKOFF_FIRST_MS, BACKOFF_MAX_MS);
    peer_link_init(&pg->peer, PEER_POSTGRES);
    init_timer(pg, &pg->timer);
    init_timer(pg, &pg->soon);
    pg_connect_prepare(pg);
    return pg;
}

bool pg_is_ready(const struct pg *pg)
{
    return pg->state == PG_IS_READY;
}

bool pg_is_up(const struct pg *pg)
{
    return pg->state == PG_IS_READY || pg->state == PG_IS_BUSY;
}

bool pg_is_direct(const struct pg *pg)
{
    return pg_is_up(pg) && pg->is_direct;
}

void pg_reset(struct pg *pg)
{
    if (!pg->conn)
        return;
    struct err e;
    err_set(&e, ERR_CLOSED, "connection dropped to begin anew");
    begin_anew(pg, &e);
    peer_link_closed(&pg->peer); /* we did it ourselves: the peer was not lost */
}

void pg_close(struct pg *pg, void (*closed)(void *owner), void *owner)
{
    if (pg->state == PG_IS_RESOLVING)
        uv_cancel((uv_req_t *)&pg->hosts.lookup); /* its callback comes in any case */
    struct err e;
    err_set(&e, ERR_CANCELED, "the connection was closed");
    pg_pipeline_fail(pg, &e);
    drop_connection(pg);
    pg_resolve_done(pg);
    peer_link_closed(&pg->peer);
    machine_go(&PG_MACHINE, pg->state, PG_IS_CLOSING);
    pg->closed = closed;
    pg->closed_owner = owner;
    pg_start_soon(pg);
}

int64_t pg_clock_offset_ms(const struct pg *pg)
{
    return pg->clock_offset_ms;
}
