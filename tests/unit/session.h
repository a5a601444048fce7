/* What the sessions of pg_session.h and redis_session.h share: one connection of an adapter on its
 * own loop, for tests on a real server. Every callback checks that it does not come from inside a
 * call. Whoever includes this has defined before:
 *
 *     struct session {SESSION_FIELDS …};
 *     session_is_up, session_is_ready, session_close    as declared below
 *     SESSION_URL_VARIABLE    the environment variable that names the server */
#ifndef METERLINE_TEST_SESSION_H
#define METERLINE_TEST_SESSION_H

#include "common/metrics.h"

static inline bool session_is_up(const struct session *s);
static inline bool session_is_ready(const struct session *s); /* up, and takes calls */
static inline void session_close(struct session *s, void (*closed)(void *owner));

static const char *URL;

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
    assert_true(session_is_ready(s));
    s->ups++;
    run_then(s);
}

static inline void on_down(void *owner, const struct err *error)
{
    struct session *s = owner;
    assert_false(s->in_call);
    assert_false(session_is_up(s));
    s->downs++;
    s->down = *error;
    run_then(s);
}

static inline void on_closed(void *owner)
{
    struct session *s = owner;
    assert_false(s->in_call);
    s->closed++;
}

static inline void close_session(struct session *s)
{
    s->closing = true;
    s->in_call = true;
    session_close(s, on_closed);
    s->in_call = false;
}

static inline void end(struct session *s)
{
    if (!s->closing)
        close_session(s);
    run_until(&s->loop, &s->closed, 1);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(s->closed, 1);
    assert_int_equal(uv_loop_close(&s->loop), 0);
}

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
    URL = getenv(SESSION_URL_VARIABLE);
    if (!URL)
        printf("skipped: " SESSION_URL_VARIABLE " is not set\n");
    return URL != NULL;
}

#endif
