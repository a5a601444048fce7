/* HTTP server and client on one loop. Every test ends with uv_loop_close() == 0. */
#include "common/http/http_client.h"
#include "common/http/http_server.h"
#include "common/str.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_BODY_BYTES = 256 * 1024 };

struct world {
    uv_loop_t loop;
    struct http_server *server;
    struct http_client *client;
    char url[64];
    uv_timer_t late;            /* answers `held` */
    struct http_exchange *held; /* taken by the handler, not answered yet */
    int handled;
    int finished;
    int expected;            /* after so many answers everything is closed */
    bool close_when_handled; /* close the server while an exchange is held */
    struct err error;        /* of the last answer */
    int status;
    size_t body_length;
    char header[64];
    bool too_large;
};

/* A free port that nobody listens on. */
static int free_port(void)
{
    struct err e = {0};
    char address[HTTP_ADDRESS_SIZE];
    int fd = http_listen("127.0.0.1:0", address, &e);
    assert_true(fd >= 0);
    close(fd);
    return atoi(strrchr(address, ':') + 1);
}

static void on_late(uv_timer_t *timer)
{
    struct world *w = timer->data;
    struct http_exchange *x = w->held;
    w->held = NULL;
    http_reply(x, 202, "text/plain", "late", 4);
}

static void close_server(struct world *w)
{
    if (w->server)
        http_server_close(w->server, NULL, NULL);
    w->server = NULL;
}

static void close_all(struct world *w)
{
    close_server(w);
    if (w->client)
        http_client_close(w->client, NULL, NULL);
    w->client = NULL;
    if (!uv_is_closing((uv_handle_t *)&w->late))
        uv_close((uv_handle_t *)&w->late, NULL);
}

/* Echoes the body; /late answers after 30 ms, /never keeps the exchange. */
static void on_request(void *owner, struct http_exchange *x)
{
    struct world *w = owner;
    w->handled++;
    w->too_large = x->too_large;
    if (x->too_large) {
        http_reply(x, 413, "text/plain", "", 0);
        return;
    }
    if (!strcmp(x->path, "/late") || !strcmp(x->path, "/never")) {
        w->held = x;
        if (!strcmp(x->path, "/late"))
            uv_timer_start(&w->late, on_late, 30, 0);
        if (w->close_when_handled)
            close_server(w);
        return;
    }
    const char *asked = http_exchange_header(x, "x-asked");
    http_reply_header(x, "X-Told", asked ? asked : "nothing");
    const char *query = http_exchange_query(x, "q");
    if (query)
        http_reply_header(x, "X-Query", query);
    http_reply(x, 200, "application/octet-stream", x->body, x->body_length);
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct world *w = owner;
    w->finished++;
    w->error = error ? *error : (struct err){0};
    w->status = answer ? answer->status : 0;
    w->body_length = answer ? answer->body_length : 0;
    if (answer) {
        const char *told = http_answer_header(answer, "x-told");
        snprintf(w->header, sizeof w->header, "%s", told ? told : "");
        assert_true(answer->server_date_ms > 1600000000000);
    }
    if (w->finished == w->expected)
        close_all(w);
}

static void world_init(struct world *w, const char *listen)
{
    struct err e = {0};
    memset(w, 0, sizeof *w);
    w->expected = 1;
    uv_loop_init(&w->loop);
    uv_timer_init(&w->loop, &w->late);
    w->late.data = w;
    char *text = NULL;
    if (listen) {
        text = xasprintf("%s:%d", listen, free_port());
        w->server = http_server_open(&w->loop, "test", text, MAX_BODY_BYTES, on_request, w, &e);
        assert_non_null(w->server);
        snprintf(w->url, sizeof w->url, "http://%s", text);
    }
    free(text);
    w->client = http_client_open(&w->loop, "meterline-test", 4, MAX_BODY_BYTES);
}

static void send_to(struct world *w, const char *path, const char *body, size_t length)
{
    char *url = xasprintf("%s%s", w->url, path);
    struct http_header headers[] = {{"X-Asked", "yes"}, {NULL, NULL}};
    struct http_call call = {.method = body ? "POST" : "GET",
                             .url = url,
                             .headers = headers,
                             .body = body,
                             .body_length = length,
                             .connect_timeout_ms = 5000,
                             .timeout_ms = 5000};
    int before = w->finished;
    http_send(w->client, &call, on_answer, w);
    assert_int_equal(w->finished, before);
    free(url);
}

static void run_out(struct world *w)
{
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    assert_int_equal(w->finished, w->expected);
}

/* Bodies of any size up to the bound come back to the byte; larger ones get 413. */
static void test_bodies(void **state)
{
    (void)state;
    const struct {
        size_t length;
        int status;
        size_t answer_length;
    } ROWS[] = {{0, 200, 0},
                {1, 200, 1},
                {200 * 1024, 200, 200 * 1024},
                {MAX_BODY_BYTES, 200, MAX_BODY_BYTES},
                {MAX_BODY_BYTES + 1, 413, 0},
                {4 << 20, 413, 0}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct world w;
        world_init(&w, "127.0.0.1");
        char *body = xcalloc(1, ROWS[i].length + 1);
        memset(body, 'x', ROWS[i].length);
        send_to(&w, "/?q=a%20b", body, ROWS[i].length);
        free(body);
        run_out(&w);
        assert_int_equal(w.error.kind, ERR_NONE);
        assert_int_equal(w.status, ROWS[i].status);
        assert_int_equal(w.body_length, ROWS[i].answer_length);
        if (w.status == 200)
            assert_string_equal(w.header, "yes");
    }
}

/* A body without an end is cut off, so that one client cannot keep us reading. */
static void test_endless_body(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "127.0.0.1");
    size_t length = 16 << 20;
    char *body = xcalloc(1, length);
    send_to(&w, "/", body, length);
    free(body);
    run_out(&w);
    assert_int_equal(w.error.kind, ERR_CLOSED);
    assert_int_equal(w.handled, 0);
}

static void test_ipv6(void **state)
{
    (void)state;
    struct err e = {0};
    char address[HTTP_ADDRESS_SIZE];
    int fd = http_listen("[::1]:0", address, &e);
    if (fd < 0)
        skip(); /* a machine without IPv6 */
    close(fd);
    assert_memory_equal(address, "[::1]:", 6);
    struct world w;
    world_init(&w, "[::1]");
    send_to(&w, "/", NULL, 0);
    run_out(&w);
    assert_int_equal(w.status, 200);
}

/* An answer may come long after the handler returned. */
static void test_late_answer(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "127.0.0.1");
    send_to(&w, "/late", "body", 4);
    run_out(&w);
    assert_int_equal(w.status, 202);
    assert_int_equal(w.body_length, 4);
}

/* Many at once, some of them late, on four connections that are kept. */
static void test_many(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "127.0.0.1");
    w.expected = 200;
    for (int i = 0; i < w.expected; i++)
        send_to(&w, "/", "abc", 3);
    run_out(&w);
    assert_int_equal(w.handled, 200);
    assert_int_equal(w.status, 200);
}

/* The answer comes after the client gave up: http_reply is safe. */
static void on_impatient(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct world *w = owner;
    assert_null(answer);
    w->finished++;
    w->error = *error;
    w->expected = 2;
    on_late(&w->late);
    send_to(w, "/", NULL, 0);
}

static void test_client_gone(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "127.0.0.1");
    char *url = xasprintf("%s/never", w.url);
    struct http_call call = {
        .method = "GET", .url = url, .connect_timeout_ms = 1000, .timeout_ms = 50};
    http_send(w.client, &call, on_impatient, &w);
    free(url);
    run_out(&w);
    assert_int_equal(w.handled, 2);
    assert_int_equal(w.status, 200);
}

/* No answer in time is "outcome unknown"; the transfer is the last one and is not lost. */
static void test_timeout(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "127.0.0.1");
    char *url = xasprintf("%s/never", w.url);
    struct http_call call = {
        .method = "POST", .url = url, .connect_timeout_ms = 1000, .timeout_ms = 60};
    http_send(w.client, &call, on_answer, &w);
    free(url);
    run_out(&w);
    assert_int_equal(w.error.kind, ERR_TIMEOUT);
    http_reply(w.held, 200, NULL, "", 0);
}

static void refuse(const char *url, enum err_kind kind)
{
    struct world w;
    world_init(&w, NULL);
    struct http_call call = {
        .method = "GET", .url = url, .connect_timeout_ms = 300, .timeout_ms = 2000};
    http_send(w.client, &call, on_answer, &w);
    run_out(&w);
    assert_int_equal(w.error.kind, kind);
}

/* What surely was not sent says so. */
static void test_not_sent(void **state)
{
    (void)state;
    char *closed = xasprintf("http://127.0.0.1:%d/", free_port());
    refuse(closed, ERR_CONNECT);
    refuse("file:///etc/passwd", ERR_INPUT);
    refuse("http://[not-an-address/", ERR_INPUT);
    free(closed);
}

/* A TLS handshake with a server that speaks plain HTTP fails before anything is sent. */
static void test_tls_refused(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "127.0.0.1");
    char *url = xasprintf("https%s/", w.url + strlen("http"));
    struct http_call call = {
        .method = "GET", .url = url, .connect_timeout_ms = 20000, .timeout_ms = 20000};
    http_send(w.client, &call, on_answer, &w);
    free(url);
    run_out(&w);
    assert_int_equal(w.error.kind, ERR_TLS);
}

/* The kinds that promise "not sent" are never given once a byte was written. */
static void test_failure_kinds(void **state)
{
    (void)state;
    const struct {
        CURLcode code;
        enum err_kind unsent;
        enum err_kind sent;
    } ROWS[] = {{CURLE_COULDNT_RESOLVE_HOST, ERR_CONNECT, ERR_CLOSED},
                {CURLE_COULDNT_CONNECT, ERR_CONNECT, ERR_CLOSED},
                {CURLE_OPERATION_TIMEDOUT, ERR_CONNECT, ERR_TIMEOUT},
                {CURLE_SSL_CONNECT_ERROR, ERR_TLS, ERR_CLOSED},
                {CURLE_PEER_FAILED_VERIFICATION, ERR_TLS, ERR_CLOSED},
                {CURLE_SEND_ERROR, ERR_CLOSED, ERR_CLOSED},
                {CURLE_GOT_NOTHING, ERR_CLOSED, ERR_CLOSED},
                {CURLE_RECV_ERROR, ERR_CLOSED, ERR_CLOSED},
                {CURLE_PARTIAL_FILE, ERR_CLOSED, ERR_CLOSED},
                {CURLE_UNSUPPORTED_PROTOCOL, ERR_INPUT, ERR_INPUT}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        assert_int_equal(http_failure_of((int)ROWS[i].code, false), ROWS[i].unsent);
        assert_int_equal(http_failure_of((int)ROWS[i].code, true), ROWS[i].sent);
    }
}

/* Closing the client cancels what is in flight, exactly once, from the loop. */
static void test_client_closed_in_flight(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "127.0.0.1");
    w.expected = 3;
    send_to(&w, "/", NULL, 0);
    send_to(&w, "/never", NULL, 0);
    send_to(&w, "/", "x", 1);
    close_all(&w);
    assert_int_equal(w.finished, 0);
    run_out(&w);
    assert_int_equal(w.error.kind, ERR_CANCELED);
}

/* Closing the server answers 503 to who waits, and the holder may still reply afterwards. */
static void test_server_closed_in_flight(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "127.0.0.1");
    w.close_when_handled = true;
    send_to(&w, "/never", "x", 1);
    run_out(&w);
    assert_int_equal(w.error.kind, ERR_NONE);
    assert_int_equal(w.status, 503);
    http_reply(w.held, 200, NULL, "", 0);
}

/* After quiesce nobody new gets in; who is in is answered. */
static void on_quiesced(void *owner, struct http_exchange *x)
{
    struct world *w = owner;
    assert_int_equal(http_server_in_flight(w->server), 1);
    http_server_quiesce(w->server);
    http_reply(x, 200, NULL, "", 0);
    assert_int_equal(http_server_in_flight(w->server), 0);
}

static void on_first(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct world *w = owner;
    assert_null(error);
    assert_int_equal(answer->status, 200);
    assert_string_equal(http_answer_header(answer, "connection"), "close");
    send_to(w, "/", NULL, 0);
}

static void test_quiesce(void **state)
{
    (void)state;
    struct err e = {0};
    struct world w;
    world_init(&w, NULL);
    int port = free_port();
    char *listen = xasprintf("127.0.0.1:%d", port);
    w.server = http_server_open(&w.loop, "test", listen, 10, on_quiesced, &w, &e);
    assert_non_null(w.server);
    snprintf(w.url, sizeof w.url, "http://%s", listen);
    free(listen);
    struct http_call call = {
        .method = "GET", .url = w.url, .connect_timeout_ms = 1000, .timeout_ms = 2000};
    http_send(w.client, &call, on_first, &w);
    run_out(&w);
    assert_int_equal(w.error.kind, ERR_CONNECT);
}

/* A port that is taken, a name that does not exist and a text without a port are errors. */
static void test_listen_refused(void **state)
{
    (void)state;
    struct err e = {0};
    char address[HTTP_ADDRESS_SIZE];
    int fd = http_listen("127.0.0.1:0", address, &e);
    assert_true(fd >= 0);
    char again[HTTP_ADDRESS_SIZE];
    assert_int_equal(http_listen(address, again, &e), -1);
    assert_int_equal(e.kind, ERR_IO);
    assert_int_equal(http_listen("127.0.0.1", again, &e), -1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_endless_body),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_late_answer),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_client_gone),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_not_sent),
        cmocka_unit_test(test_tls_refused),
        cmocka_unit_test(test_failure_kinds),
        cmocka_unit_test(test_client_closed_in_flight),
        cmocka_unit_test(test_server_closed_in_flight),
        cmocka_unit_test(test_quiesce),
        cmocka_unit_test(test_listen_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
