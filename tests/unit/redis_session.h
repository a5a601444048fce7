/* One connection of the Redis adapter on its own loop, for tests on a real server,
 * METERLINE_TEST_REDIS_URL. Every callback checks that it does not come from inside a call. */
#ifndef METERLINE_TEST_REDIS_SESSION_H
#define METERLINE_TEST_REDIS_SESSION_H

#include "adapter.h"
#include "common/redis/redis.h"

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

#define SESSION_URL_VARIABLE "METERLINE_TEST_REDIS_URL"
#include "session.h"

static inline bool session_is_up(const struct session *s)
{
    return redis_is_up(s->redis);
}

static inline bool session_is_ready(const struct session *s)
{
    return redis_is_up(s->redis);
}

static inline void session_close(struct session *s, void (*closed)(void *owner))
{
    redis_close(s->redis, closed, s);
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

static inline void reset_redis(struct session *s)
{
    s->in_call = true;
    redis_reset(s->redis);
    s->in_call = false;
    assert_false(redis_is_up(s->redis));
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

#endif
