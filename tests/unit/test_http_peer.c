/* The HTTP client against a peer that breaks off, or sends it elsewhere. The peer reads requests
 * and follows a script, one letter a request. */
#include "common/http/http_client.h"
#include "common/str.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the peer does with a request. */
enum {
    KEEP = 'k',      /* answers, and keeps the connection */
    LEAVE = 'l',     /* answers, and closes the connection without a word */
    BREAK_OFF = 'b', /* closes the connection instead of an answer */
    HALF = 'h',      /* closes it within the answer */
    REDIRECT = 'r'   /* 307 to another path of its own */
};

#define BODY "event_name=calls&identifier=ml-1"

struct world {
    uv_loop_t loop;
    uv_tcp_t listener;
    struct http_client *client;
    char url[64];
    const char *script;
    int connections;
    int requests;
    int sends; /* calls still to be made, one after the other */
    int answers;
    struct err error; /* of the last answer */
    int status;
    bool repeated;
};

struct connection {
    uv_tcp_t tcp;
    uv_write_t write;
    struct world *world;
    struct buf read;
    char step;
};

static void send_next(struct world *w);

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    struct world *w = c->world;
    bool left = c->step == LEAVE;
    buf_done(&c->read);
    free(c);
    if (left)
        send_next(w);
}

static void close_connection(struct connection *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, on_connection_closed);
}

static void on_written(uv_write_t *write, int status)
{
    struct connection *c = write->data;
    (void)status;
    if (c->step == LEAVE || c->step == HALF)
        close_connection(c);
}

static void answer(struct connection *c, const char *text)
{
    uv_buf_t bytes = uv_buf_init((char *)(uintptr_t)text, (unsigned)strlen(text));
    c->write.data = c;
    uv_write(&c->write, (uv_stream_t *)&c->tcp, &bytes, 1, on_written);
}

static void follow_script(struct connection *c)
{
    struct world *w = c->world;
    assert_true((size_t)w->requests < strlen(w->script));
    c->step = w->script[w->requests++];
    switch (c->step) {
    case BREAK_OFF:
        close_connection(c);
        break;
    case HALF:
        answer(c, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nonly this");
        break;
    case REDIRECT:
        answer(c, "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\n"
                  "Content-Length: 0\r\n\r\n");
        break;
    default:
        answer(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    static char bytes[4096];
    (void)handle;
    (void)suggested;
    *out = uv_buf_init(bytes, sizeof bytes);
}

/* Requests are whole once their body is there, and every one of them is the same. */
static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *bytes)
{
    struct connection *c = stream->data;
    if (length < 0) {
        close_connection(c);
        return;
    }
    buf_add(&c->read, bytes->base, (size_t)length);
    size_t body = strlen(BODY);
    if (c->read.length < body || strcmp(c->read.data + c->read.length - body, BODY) != 0)
        return;
    assert_memory_equal(c->read.data, "POST /asked HTTP/1.1\r\n", 22);
    buf_clear(&c->read);
    follow_script(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct world *w = listener->data;
    struct connection *c = xcalloc(1, sizeof *c);
    assert_int_equal(status, 0);
    w->connections++;
    c->world = w;
    c->tcp.data = c;
    uv_tcp_init(&w->loop, &c->tcp);
    uv_accept(listener, (uv_stream_t *)&c->tcp);
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void close_world(struct world *w)
{
    uv_close((uv_handle_t *)&w->listener, NULL);
    http_client_close(w->client, NULL, NULL);
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct world *w = owner;
    w->answers++;
    w->error = error ? *error : (struct err){0};
    w->status = answer ? answer->status : 0;
    w->repeated = answer && answer->repeated;
    /* After LEAVE the next call is made when the peer has closed its end. */
    if (w->script[w->requests - 1] != LEAVE)
        send_next(w);
}

static void send_next(struct world *w)
{
    if (w->sends-- == 0) {
        close_world(w);
        return;
    }
    struct http_call call = {.method = "POST",
                             .url = w->url,
                             .body = BODY,
                             .body_length = strlen(BODY),
                             .connect_timeout_ms = 1000,
                             .timeout_ms = 5000};
    http_send(w->client, &call, on_answer, w);
}

/* Makes so many calls, one after the other. */
static void run(struct world *w, const char *script, int sends)
{
    struct sockaddr_in address;
    int length = sizeof address;
    *w = (struct world){.script = script, .sends = sends};
    uv_loop_init(&w->loop);
    uv_tcp_init(&w->loop, &w->listener);
    w->listener.data = w;
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_bind(&w->listener, (const struct sockaddr *)&address, 0);
    uv_listen((uv_stream_t *)&w->listener, 8, on_connection);
    uv_tcp_getsockname(&w->listener, (struct sockaddr *)&address, &length);
    (void)snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d/asked", ntohs(address.sin_port));
    w->client = http_client_open(&w->loop, "meterline-test", 4, 4096);
    send_next(w);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    assert_int_equal(w->answers, sends);
}

static void connections_are_kept(void **state)
{
    /* Calls one after the other share one connection. */
    (void)state;
    struct world w;
    run(&w, "kkk", 3);
    assert_int_equal(w.status, 200);
    assert_int_equal(w.connections, 1);
    assert_false(w.repeated);
}

static void a_connection_that_was_closed_while_idle_costs_nothing(void **state)
{
    /* The peer closed it: the next call finds that before it writes, and makes a new one. */
    (void)state;
    struct world w;
    run(&w, "lk", 2);
    assert_int_equal(w.status, 200);
    assert_false(w.repeated);
    assert_int_equal(w.requests, 2);
    assert_int_equal(w.connections, 2);
}

static void a_kept_connection_that_breaks_off_is_made_good_once(void **state)
{
    /* It was closed as our request was on its way: the same bytes go out once more, anew. The
     * answer is to those, and tells that the first ones may have been read. */
    (void)state;
    struct world w;
    run(&w, "kbk", 2);
    assert_int_equal(w.error.kind, ERR_NONE);
    assert_true(w.repeated);
    assert_int_equal(w.status, 200);
    assert_int_equal(w.requests, 3);
    assert_int_equal(w.connections, 2);
    run(&w, "kbb", 2);
    assert_int_equal(w.error.kind, ERR_CLOSED);
    assert_int_equal(w.requests, 3);
}

static void a_new_connection_that_breaks_off_is_told(void **state)
{
    /* Whether to send again is the caller's to say; so too once an answer had begun. */
    (void)state;
    struct world w;
    run(&w, "b", 1);
    assert_int_equal(w.error.kind, ERR_CLOSED);
    assert_int_equal(w.requests, 1);
    run(&w, "kh", 2);
    assert_int_equal(w.error.kind, ERR_CLOSED);
    assert_int_equal(w.requests, 2);
}

static void a_redirect_is_an_answer_and_never_followed(void **state)
{
    /* Our key must not go where somebody in between points. */
    (void)state;
    struct world w;
    run(&w, "r", 1);
    assert_int_equal(w.status, 307);
    assert_int_equal(w.requests, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_kept),
        cmocka_unit_test(a_connection_that_was_closed_while_idle_costs_nothing),
        cmocka_unit_test(a_kept_connection_that_breaks_off_is_made_good_once),
        cmocka_unit_test(a_new_connection_that_breaks_off_is_told),
        cmocka_unit_test(a_redirect_is_an_answer_and_never_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
