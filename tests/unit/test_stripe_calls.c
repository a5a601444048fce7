/* Single calls of Stripe's API against a server that answers by script. Every test ends with
 * uv_loop_close() == 0. */
#include "common/stripe/stripe_calls.h"

#include "common/contract.h"
#include "common/http/http_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct scripted {
    int status; /* 0: none is given while the test runs */
    const char *body;
    const char *header; /* beside it */
    const char *value;
};

struct world {
    uv_loop_t loop;
    struct http_server *server;
    struct stripe_calls *calls;
    struct stripe_access access;
    char *key;
    char *base;
    const struct scripted *script; /* the last one is given again */
    int script_n;
    int asked;
    char keys[8][40];
    char bodies[8][80];
    int wanted; /* replies until all is closed */
    enum stripe_outcome outcome;
    int status;
    bool spent;
    char code[40];
    char id[40];
    int64_t retry_after_ms;
};

static void on_request(void *owner, struct http_exchange *x)
{
    struct world *w = owner;
    const char *key = http_exchange_header(x, "Idempotency-Key");
    const struct scripted *s = &w->script[w->asked < w->script_n ? w->asked : w->script_n - 1];
    assert_string_equal(http_exchange_header(x, "Authorization"), "Bearer sk_test_1");
    assert_string_equal(http_exchange_header(x, "Stripe-Version"), STRIPE_VERSION_CURRENT);
    if (w->asked < 8) {
        (void)snprintf(w->keys[w->asked], sizeof w->keys[0], "%s", key ? key : "");
        (void)snprintf(w->bodies[w->asked], sizeof w->bodies[0], "%s", x->body);
    }
    w->asked++;
    if (s->header)
        http_reply_header(x, s->header, s->value);
    http_reply(x, s->status, "application/json", s->body, strlen(s->body));
}

static void close_all(struct world *w)
{
    stripe_calls_close(w->calls, NULL, NULL);
    if (w->server)
        http_server_close(w->server, NULL, NULL);
}

static void on_reply(void *owner, const struct stripe_reply *reply)
{
    struct world *w = owner;
    w->outcome = reply->outcome;
    w->status = reply->status;
    w->spent = reply->spent;
    w->retry_after_ms = reply->retry_after_ms;
    const char *id = json_string_value(json_object_get(reply->object, "id"));
    (void)snprintf(w->code, sizeof w->code, "%s", reply->code ? reply->code : "");
    (void)snprintf(w->id, sizeof w->id, "%s", id ? id : "");
    assert_int_equal(reply->outcome == STRIPE_DONE, reply->error == NULL);
    if (--w->wanted == 0)
        close_all(w);
}

static void run_calls(struct world *w, const struct scripted *script, int script_n, int calls,
                      uint64_t patience_ms)
{
    struct err e;
    w->key = xstrdup("sk_test_1");
    w->script = script;
    w->script_n = script_n;
    w->wanted = calls;
    assert_int_equal(uv_loop_init(&w->loop), 0);
    char address[HTTP_ADDRESS_SIZE];
    int fd = http_listen("127.0.0.1:0", address, &e);
    assert_true(fd >= 0);
    close(fd);
    w->base = xasprintf("http://%s/", address);
    if (script)
        w->server = http_server_open(&w->loop, "stripe", address, 1 << 16, on_request, w, &e);
    w->access = (struct stripe_access){
        .key = &w->key, .base = w->base, .version = STRIPE_VERSION_CURRENT, .rate_per_s = 1000};
    w->calls = stripe_calls_open(&w->loop, &w->access, 4);
    for (int i = 0; i < calls; i++) {
        const struct stripe_request request = {.method = "POST",
                                               .path = "/v1/customers",
                                               .form = "email=a%40b.c",
                                               .idempotency_key = "key-1",
                                               .patience_ms = patience_ms};
        stripe_calls_send(w->calls, &request, on_reply, w);
    }
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    free(w->key);
    free(w->base);
}

#define OK                                                                                         \
    {                                                                                              \
        200, "{\"id\":\"cus_1\"}", NULL, NULL                                                      \
    }
#define FAILED                                                                                     \
    {                                                                                              \
        500, "{\"error\":{\"type\":\"api_error\"}}", NULL, NULL                                    \
    }
#define IN_USE                                                                                     \
    {                                                                                              \
        409, "{\"error\":{\"code\":\"idempotency_key_in_use\"}}", NULL, NULL                       \
    }
#define LIMITED                                                                                    \
    {                                                                                              \
        429, "{\"error\":{\"code\":\"lock_timeout\"}}", NULL, NULL                                 \
    }
#define NOT_JSON                                                                                   \
    {                                                                                              \
        200, "<html>", NULL, NULL                                                                  \
    }
#define NO_PARAM                                                                                   \
    {                                                                                              \
        400, "{\"error\":{\"code\":\"parameter_unknown\"}}", NULL, NULL                            \
    }
#define NO_KEY                                                                                     \
    {                                                                                              \
        401, "{\"error\":{\"message\":\"Invalid API Key\"}}", NULL, NULL                           \
    }
#define TOLD_TO                                                                                    \
    {                                                                                              \
        400, "{\"error\":{}}", "Stripe-Should-Retry", "true"                                       \
    }
#define TOLD_NOT                                                                                   \
    {                                                                                              \
        500, "{\"error\":{}}", "Stripe-Should-Retry", "false"                                      \
    }
#define SPENT                                                                                      \
    {                                                                                              \
        500, "{\"error\":{}}", "Idempotent-Replayed", "true"                                       \
    }

static const struct {
    const char *name;
    struct scripted script[3];
    int script_n;
    enum stripe_outcome outcome;
    int status;
    int asked; /* 0: several times */
} CASES[] = {
    {"done", {OK}, 1, STRIPE_DONE, 200, 1},
    {"a failure passes", {FAILED, OK}, 2, STRIPE_DONE, 200, 2},
    {"so does a conflict, and a lock", {IN_USE, LIMITED, OK}, 3, STRIPE_DONE, 200, 3},
    {"so does an answer that is none", {NOT_JSON, OK}, 2, STRIPE_DONE, 200, 2},
    {"Stripe wants it again", {TOLD_TO, OK}, 2, STRIPE_DONE, 200, 2},
    {"Stripe does not want it again", {TOLD_NOT, OK}, 2, STRIPE_UNKNOWN, 500, 1},
    {"a refusal is an answer", {NO_PARAM, OK}, 2, STRIPE_REFUSED, 400, 1},
    {"our key is refused: nothing was done", {NO_KEY}, 1, STRIPE_AWAY, 401, 1},
    {"a failure that is stored under the key", {SPENT, OK}, 2, STRIPE_UNKNOWN, 500, 1},
    {"failures that do not pass: who knows", {FAILED}, 1, STRIPE_UNKNOWN, 500, 0},
    {"a rate that does not rise: nothing was done", {LIMITED}, 1, STRIPE_AWAY, 429, 0},
    {"a failure, then a refusal of our key: who knows",
     {FAILED, NO_KEY},
     2,
     STRIPE_UNKNOWN,
     401,
     2},
};

/* A try more has the same key and the same bytes as the first one. */
static void test_outcomes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct world w = {0};
        run_calls(&w, CASES[i].script, CASES[i].script_n, 1, 1500);
        if (w.outcome != CASES[i].outcome || w.status != CASES[i].status ||
            (CASES[i].asked ? w.asked != CASES[i].asked : w.asked < 2))
            fail_msg("%s: outcome %d, status %d, asked %d", CASES[i].name, (int)w.outcome, w.status,
                     w.asked);
        for (int t = 0; t < w.asked && t < 8; t++) {
            assert_string_equal(w.keys[t], "key-1");
            assert_string_equal(w.bodies[t], "email=a%40b.c");
        }
        assert_int_equal(w.spent, i == 8);
        if (w.outcome == STRIPE_DONE)
            assert_string_equal(w.id, "cus_1");
    }
}

/* Once Stripe was found away, calls end at once instead of each trying its own luck. */
static void test_breaker_opens(void **state)
{
    (void)state;
    struct world w = {0};
    run_calls(&w, NULL, 0, 20, 1000);
    assert_int_equal(w.outcome, STRIPE_AWAY);
    assert_int_equal(w.status, 0);
}

/* Calls side by side share the rate, and each gets its own answer. */
static void test_calls_side_by_side(void **state)
{
    (void)state;
    static const struct scripted SCRIPT[] = {OK};
    struct world w = {0};
    run_calls(&w, SCRIPT, 1, 50, 0);
    assert_int_equal(w.asked, 50);
    assert_int_equal(w.outcome, STRIPE_DONE);
}

/* What waits when it is closed was not sent; what is in flight may have been done. */
static void test_closing_ends_calls(void **state)
{
    (void)state;
    struct world w = {.key = xstrdup("sk_test_1"), .wanted = -1};
    assert_int_equal(uv_loop_init(&w.loop), 0);
    w.access = (struct stripe_access){.key = &w.key,
                                      .base = "http://127.0.0.1:1",
                                      .version = STRIPE_VERSION_CURRENT,
                                      .rate_per_s = 1};
    w.calls = stripe_calls_open(&w.loop, &w.access, 1);
    for (int i = 0; i < 5; i++) {
        const struct stripe_request get = {.method = "GET", .path = "/v1/customers/cus_1"};
        stripe_calls_send(w.calls, &get, on_reply, &w);
    }
    assert_int_equal(stripe_calls_in_flight(w.calls), 5);
    stripe_calls_close(w.calls, NULL, NULL);
    assert_int_equal(uv_run(&w.loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(w.wanted, -6);
    assert_int_equal(w.outcome, STRIPE_AWAY);
    assert_int_equal(uv_loop_close(&w.loop), 0);
    free(w.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_breaker_opens),
        cmocka_unit_test(test_calls_side_by_side),
        cmocka_unit_test(test_closing_ends_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
