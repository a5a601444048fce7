/* A body that is taken as it comes: paused, stopped, given up; and where a redirect leads. The peer
 * is our own server. */
#include "common/http/http_client.h"
#include "common/http/http_server.h"
#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { LARGE = 8 << 20, SMALL = 4096, PAUSE_BYTES = 1 << 20 };

enum plan { TAKE, PAUSE, STOP, CANCEL };

struct world {
    uv_loop_t loop;
    uv_timer_t timer;
    struct http_server *server;
    struct http_client *client;
    struct http_request *request;
    enum plan plan;
    size_t taken;
    size_t paused_at;
    int pauses;
    int answers;
    struct err error;
    int status;
    size_t body_length;
    char redirect[128];
};

static char *large;

static void on_exchange(void *owner, struct http_exchange *x)
{
    (void)owner;
    if (strcmp(x->path, "/elsewhere") == 0) {
        http_reply_header(x, "Location", "large?a=b");
        http_reply(x, 302, "text/plain", "moved", 5);
    } else if (strcmp(x->path, "/missing") == 0) {
        http_reply(x, 404, "text/plain", "nothing", 7);
    } else {
        http_reply_header(x, "X-Kind", "large");
        http_reply(x, 200, "application/octet-stream", large, LARGE);
    }
}

static void end(struct world *w)
{
    uv_close((uv_handle_t *)&w->timer, NULL);
    http_client_close(w->client, NULL, NULL);
    http_server_close(w->server, NULL, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    struct world *w = timer->data;
    if (w->plan == CANCEL) {
        http_cancel(w->request);
        end(w);
        return;
    }
    http_resume(w->request);
}

static enum http_taken on_data(void *owner, const struct http_answer *head, const char *data,
                               size_t length)
{
    struct world *w = owner;
    assert_int_equal(head->status, 200);
    assert_string_equal(http_answer_header(head, "x-kind"), "large");
    if (w->plan == STOP && w->taken > PAUSE_BYTES)
        return HTTP_STOPPED;
    if (w->plan >= PAUSE && w->plan != STOP && w->taken >= w->paused_at + PAUSE_BYTES) {
        w->paused_at = w->taken;
        w->pauses++;
        uv_timer_start(&w->timer, on_timer, 1, 0);
        return HTTP_PAUSED;
    }
    assert_memory_equal(data, large + w->taken, length);
    w->taken += length;
    return HTTP_TAKEN;
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct world *w = owner;
    w->answers++;
    w->error = error ? *error : (struct err){0};
    w->status = answer ? answer->status : 0;
    w->body_length = answer ? answer->body_length : 0;
    const char *redirect = answer ? http_answer_redirect(answer) : NULL;
    (void)snprintf(w->redirect, sizeof w->redirect, "%s", redirect ? redirect : "");
    end(w);
}

/* One that nobody listens on. */
static char *free_address(void)
{
    struct err e;
    char address[HTTP_ADDRESS_SIZE];
    int socket = http_listen("127.0.0.1:0", address, &e);
    assert_true(socket >= 0);
    close(socket);
    return xstrdup(address);
}

static void run(struct world *w, const char *path, enum plan plan)
{
    struct err e;
    char url[96];
    *w = (struct world){.plan = plan};
    uv_loop_init(&w->loop);
    uv_timer_init(&w->loop, &w->timer);
    w->timer.data = w;
    char *listen = free_address();
    w->server = http_server_open(&w->loop, "test", listen, SMALL, on_exchange, w, &e);
    assert_non_null(w->server);
    w->client = http_client_open(&w->loop, "meterline-test", 2, SMALL);
    (void)snprintf(url, sizeof url, "http://%s%s", listen, path);
    free(listen);
    struct http_call call = {.method = "GET",
                             .url = url,
                             .connect_timeout_ms = 5000,
                             .timeout_ms = 60000,
                             .on_data = on_data};
    w->request = http_send(w->client, &call, on_answer, w);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
}

static void a_body_comes_as_it_is_taken(void **state)
{
    /* Far more than the client would hold; and the one who takes it may be slow. */
    (void)state;
    struct world w;
    run(&w, "/large", TAKE);
    assert_int_equal(w.status, 200);
    assert_int_equal(w.taken, LARGE);
    assert_int_equal(w.body_length, 0);
    run(&w, "/large", PAUSE);
    assert_int_equal(w.status, 200);
    assert_int_equal(w.taken, LARGE);
    assert_true(w.pauses >= 6);
}

static void who_takes_it_ends_it(void **state)
{
    (void)state;
    struct world w;
    run(&w, "/large", STOP);
    assert_int_equal(w.answers, 1);
    assert_int_equal(w.error.kind, ERR_CLOSED);
    assert_true(w.taken < LARGE);
    run(&w, "/large", CANCEL);
    assert_int_equal(w.answers, 0);
    assert_int_equal(w.pauses, 1);
}

static void other_answers_are_held(void **state)
{
    (void)state;
    struct world w;
    run(&w, "/missing", TAKE);
    assert_int_equal(w.status, 404);
    assert_int_equal(w.taken, 0);
    assert_int_equal(w.body_length, 7);
    assert_string_equal(w.redirect, "");
    run(&w, "/elsewhere", TAKE);
    assert_int_equal(w.status, 302);
    assert_non_null(strstr(w.redirect, "http://127.0.0.1:"));
    assert_string_equal(strrchr(w.redirect, '/'), "/large?a=b");
}

int main(void)
{
    large = xmalloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (char)(i * 2654435761u >> 16);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_comes_as_it_is_taken),
        cmocka_unit_test(who_takes_it_ends_it),
        cmocka_unit_test(other_answers_are_held),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(large);
    return failed;
}
