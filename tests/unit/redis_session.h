/* One connection of the Redis adapter on its own loop, for tests on a real server,
 * METERLINE_TEST_REDIS_URL. Every callback checks that it does not come from inside a call. */
#ifndef METERLINE_TEST_REDIS_SESSION_H
#define METERLINE_TEST_REDIS_SESSION_H

#include "adapter.h"
#include "common/metrics.h"
#include "common/redis/redis.h"

static const char *URL;

struct session {
    uv_loop_t loop;
    struct redis *redis;
    int ups;
    int downs;
    struct err down; /* the last */
    int dones;
    struct err error; /* of the last done; ERR_NONE if it had none */
    char text[256];   /* of the last reply */
    char log[256];    /* one character a done: '.', or the first letter of the error's kind */
    int type;
    size_t length;
    bool closing;
    int closed;
    bool in_call;                    /* a function of redis.h is running: no callback may come */
    void (*then)(struct session *s); /* called by the next callback */
};

static inline void run_then(struct session *s)
{
    void (*then)(struct session *) = s->then;
    s->then = NULL;
    if (then)
        then(s);
}

static inline void on_up(void *owner)
{
    struct session *s = owner;
    assert_false(s->in_call);
    assert_true(redis_is_up(s->redis));
    s->ups++;
    run_then(s);
}

static inline void on_down(void *owner, const struct err *error)
{
    struct session *s = owner;
    assert_false(s->in_call);
    assert_false(redis_is_up(s->redis));
    s->downs++;
    s->down = *error;
    run_then(s);
}

static inline void keep_reply(struct session *s, const redisReply *reply)
{
    s->type = reply->type;
    s->length = reply->type == REDIS_REPLY_ARRAY ? reply->elements : reply->len;
    if (reply->type == REDIS_REPLY_INTEGER)
        (void)snprintf(s->text, sizeof s->text, "%lld", reply->integer);
    else
        (void)snprintf(s->text, sizeof s->text, "%.*s", 200, reply->str ? reply->str : "");
}

static inline void on_done(void *owner, const struct err *error, void *reply)
{
    struct session *s = owner;
    assert_false(s->in_call);
    assert_true(!error == (reply != NULL));
    if (s->dones < (int)sizeof s->log - 1)
        s->log[s->dones] = error ? *err_kind_name(error->kind) : '.';
    s->dones++;
    s->error = error ? *error : (struct err){0};
    *s->text = '\0';
    if (reply)
        keep_reply(s, reply);
    run_then(s);
}

static inline void on_closed(void *owner)
{
    struct session *s = owner;
    assert_false(s->in_call);
    s->closed++;
}

static inline void start(struct session *s, const char *url)
{
    struct err e;
    *s = (struct session){0};
    uv_loop_init(&s->loop);
    s->in_call = true;
    s->redis = redis_open(&s->loop, url, (struct redis_events){on_up, on_down, s}, &e);
    s->in_call = false;
    assert_non_null(s->redis);
    assert_false(redis_is_up(s->redis));
}

static inline void start_up(struct session *s)
{
    start(s, URL);
    run_until(&s->loop, &s->ups, 1);
    assert_int_equal(s->downs, 0);
}

static inline void close_redis(struct session *s)
{
    s->closing = true;
    s->in_call = true;
    redis_close(s->redis, on_closed, s);
    s->in_call = false;
}

static inline void reset_redis(struct session *s)
{
    s->in_call = true;
    redis_reset(s->redis);
    s->in_call = false;
    assert_false(redis_is_up(s->redis));
}

static inline void end(struct session *s)
{
    if (!s->closing)
        close_redis(s);
    run_until(&s->loop, &s->closed, 1);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(s->closed, 1);
    assert_int_equal(uv_loop_close(&s->loop), 0);
}

#define SEND(s, deadline_ms, ...)                                                                  \
    do {                                                                                           \
        (s)->in_call = true;                                                                       \
        redis_commandf((s)->redis, deadline_ms, on_done, s, __VA_ARGS__);                          \
        (s)->in_call = false;                                                                      \
    } while (0)

#define RUN(s, ...)                                                                                \
    do {                                                                                           \
        SEND(s, 5000, __VA_ARGS__);                                                                \
        run_until(&(s)->loop, &(s)->dones, (s)->dones + 1);                                        \
    } while (0)

static inline void must(struct session *s, const char *expected)
{
    if (s->error.kind != ERR_NONE)
        fail_msg("%s: %s", err_kind_name(s->error.kind), s->error.text);
    assert_string_equal(s->text, expected);
}

/* Runs the tests of this file if there is a server for them. */
#define run_with_server(tests) (find_server() ? cmocka_run_group_tests(tests, NULL, end_group) : 0)

static inline int end_group(void **state)
{
    (void)state;
    metrics_done();
    return 0;
}

static inline bool find_server(void)
{
    URL = getenv("METERLINE_TEST_REDIS_URL");
    if (!URL)
        printf("skipped: METERLINE_TEST_REDIS_URL is not set\n");
    return URL != NULL;
}

#endif
