/* One connection of the PostgreSQL adapter on its own loop, for tests on a real server,
 * METERLINE_TEST_POSTGRES_URL. Every callback checks that it does not come from inside a call. */
#ifndef METERLINE_TEST_PG_SESSION_H
#define METERLINE_TEST_PG_SESSION_H

#include "adapter.h"
#include "common/pg/pg.h"

/* What is freed must be given back, or the memory of a stream would seem to grow. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=4";
}

struct session {
    uv_loop_t loop;
    struct pg *pg;
    int ups;
    int downs;
    struct err down; /* the last */
    int notified;
    int dones;
    struct err error; /* of the last done; ERR_NONE if it had none */
    int n;
    char text[256]; /* first field of the last result */
    int rows;
    bool closing;
    int closed;
    bool in_call; /* pg_run, pg_reset or pg_close is running: no callback may come */
    void (*then)(struct session *s); /* called by the next callback */
    void *owner;                     /* the test's */
};

#define SESSION_URL_VARIABLE "METERLINE_TEST_POSTGRES_URL"
#include "session.h"

static inline bool session_is_up(const struct session *s)
{
    return pg_is_up(s->pg);
}

static inline bool session_is_ready(const struct session *s)
{
    return pg_is_ready(s->pg);
}

static inline void session_close(struct session *s, void (*closed)(void *owner))
{
    pg_close(s->pg, closed, s);
}

static inline void on_done(void *owner, const struct err *error, PGresult **results, int n)
{
    struct session *s = owner;
    assert_false(s->in_call);
    s->dones++;
    s->n = n;
    s->error = error ? *error : (struct err){0};
    *s->text = '\0';
    if (n > 0 && PQntuples(results[n - 1]) > 0)
        (void)snprintf(s->text, sizeof s->text, "%s", PQgetvalue(results[n - 1], 0, 0));
    run_then(s);
}

static inline void on_notified(void *owner)
{
    struct session *s = owner;
    assert_false(s->in_call);
    s->notified++;
}

static inline void on_row(void *owner, const PGresult *row)
{
    struct session *s = owner;
    assert_false(s->in_call);
    assert_int_equal(PQntuples(row), 1);
    s->rows++;
    run_then(s);
}

static inline void start(struct session *s, const char *url, const char *role)
{
    *s = (struct session){0};
    uv_loop_init(&s->loop);
    s->in_call = true;
    s->pg =
        pg_open(&s->loop, url, role, "test_pg",
                (struct pg_events){
                    .on_up = on_up, .on_down = on_down, .on_notified = on_notified, .owner = s});
    s->in_call = false;
    assert_false(pg_is_ready(s->pg));
}

static inline void start_up(struct session *s)
{
    start(s, URL, NULL);
    run_until(&s->loop, &s->ups, 1);
    assert_int_equal(s->downs, 0);
}

static inline void send_all(struct session *s, uint64_t deadline_ms, const char *const *sql, int n)
{
    struct pg_statement statements[8];
    assert_true(n <= 8);
    for (int i = 0; i < n; i++)
        pg_statement_init(&statements[i], sql[i]);
    s->in_call = true;
    pg_run(s->pg, statements, n, deadline_ms, on_done, s);
    s->in_call = false;
}

#define SEND(s, deadline_ms, ...)                                                                  \
    send_all(s, deadline_ms, (const char *const[]){__VA_ARGS__},                                   \
             (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

static inline void wait_done(struct session *s)
{
    run_until(&s->loop, &s->dones, s->dones + 1);
}

#define RUN(s, ...)                                                                                \
    do {                                                                                           \
        SEND(s, 5000, __VA_ARGS__);                                                                \
        wait_done(s);                                                                              \
    } while (0)

static inline void stream(struct session *s, const char *sql)
{
    struct pg_statement q;
    pg_statement_init(&q, sql);
    s->in_call = true;
    pg_stream(s->pg, &q, 20000, on_row, on_done, s);
    s->in_call = false;
}

static inline void reset_pg(struct session *s)
{
    s->in_call = true;
    pg_reset(s->pg);
    s->in_call = false;
    assert_false(pg_is_up(s->pg));
}

#endif
