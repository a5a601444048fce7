/* The PostgreSQL adapter on a real server, METERLINE_TEST_POSTGRES_URL. */
#include "adapter.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/metrics.h"
#include "common/pg.h"
#include "common/pg_array.h"
#include "common/schema.h"
#include "common/str.h"

#include <time.h>

static const char *URL;

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
    int dones;
    struct err error; /* of the last done; ERR_NONE if it had none */
    int n;
    char text[256]; /* first field of the last result */
    int rows;
    bool closing;
    int closed;
    bool in_call; /* pg_run, pg_reset or pg_close is running: no callback may come */
    void (*then)(struct session *s); /* called by the next callback */
};

static void run_then(struct session *s)
{
    void (*then)(struct session *) = s->then;
    s->then = NULL;
    if (then)
        then(s);
}

static void on_up(void *owner)
{
    struct session *s = owner;
    assert_false(s->in_call);
    assert_true(pg_is_ready(s->pg));
    s->ups++;
    run_then(s);
}

static void on_down(void *owner, const struct err *error)
{
    struct session *s = owner;
    assert_false(s->in_call);
    assert_false(pg_is_up(s->pg));
    s->downs++;
    s->down = *error;
    run_then(s);
}

static void on_done(void *owner, const struct err *error, PGresult **results, int n)
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

static void on_row(void *owner, const PGresult *row)
{
    struct session *s = owner;
    assert_false(s->in_call);
    assert_int_equal(PQntuples(row), 1);
    s->rows++;
    run_then(s);
}

static void on_closed(void *owner)
{
    struct session *s = owner;
    assert_false(s->in_call);
    s->closed++;
}

static void start(struct session *s, const char *url, const char *role)
{
    *s = (struct session){0};
    uv_loop_init(&s->loop);
    s->in_call = true;
    s->pg = pg_open(&s->loop, url, role, "test_pg", (struct pg_events){on_up, on_down, s});
    s->in_call = false;
    assert_false(pg_is_ready(s->pg));
}

static void start_up(struct session *s)
{
    start(s, URL, NULL);
    run_until(&s->loop, &s->ups, 1);
    assert_int_equal(s->downs, 0);
}

static void close_pg(struct session *s)
{
    s->closing = true;
    s->in_call = true;
    pg_close(s->pg, on_closed, s);
    s->in_call = false;
}

static void end(struct session *s)
{
    if (!s->closing)
        close_pg(s);
    run_until(&s->loop, &s->closed, 1);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(s->closed, 1);
    assert_int_equal(uv_loop_close(&s->loop), 0);
}

static void send_all(struct session *s, uint64_t deadline_ms, const char *const *sql, int n)
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

static void wait_done(struct session *s)
{
    run_until(&s->loop, &s->dones, s->dones + 1);
}

#define RUN(s, ...)                                                                                \
    do {                                                                                           \
        SEND(s, 5000, __VA_ARGS__);                                                                \
        wait_done(s);                                                                              \
    } while (0)

static void must(struct session *s, const char *expected)
{
    if (s->error.kind != ERR_NONE)
        fail_msg("%s: %s", err_kind_name(s->error.kind), s->error.text);
    assert_string_equal(s->text, expected);
}

static void the_session_has_its_settings(void **state)
{
    /* Whatever the login's defaults: role, UTC, public, durable commits, no statement timeout. */
    (void)state;
    struct session s;
    start_up(&s);
    RUN(&s, "drop role if exists test_role", "create role test_role");
    end(&s);
    start(&s, URL, "test_role");
    run_until(&s.loop, &s.ups, 1);
    RUN(&s, "select concat_ws(' ', current_user, current_setting('TimeZone'),"
            " current_setting('search_path'), current_setting('synchronous_commit'),"
            " current_setting('statement_timeout'), current_setting('application_name'),"
            " current_setting('client_encoding'),"
            " current_setting('client_connection_check_interval'))");
    must(&s, "test_role UTC public on 0 test_pg UTF8 5s");
    end(&s);
}

static void the_clock_is_compared(void **state)
{
    /* On one machine the offset is next to nothing; it and peer_up are exported. */
    (void)state;
    struct session s;
    struct buf page = {0};
    start_up(&s);
    assert_in_range(pg_clock_offset_ms(s.pg) + 200, 0, 400);
    metrics_print(&page);
    assert_non_null(strstr(page.data, "meterline_peer_up{peer=\"postgres\"} 1\n"));
    assert_non_null(strstr(page.data, "meterline_clock_offset_seconds{peer=\"postgres\"} "));
    end(&s);
    buf_clear(&page);
    metrics_print(&page);
    assert_non_null(strstr(page.data, "meterline_peer_up{peer=\"postgres\"} 0\n"));
    buf_done(&page);
}

static void on_typed(void *owner, const struct err *error, PGresult **results, int n)
{
    struct session *s = owner;
    assert_null(error);
    assert_int_equal(n, 3);
    const PGresult *r = results[1];
    assert_int_equal(pg_get_i64(r, 0, 0), -2);
    assert_int_equal(pg_get_i64(r, 0, 1), -3000000);
    assert_int_equal(pg_get_i64(r, 0, 2), INT64_MIN);
    assert_int_equal(pg_get_i64(r, 0, 3), 1);
    assert_int_equal(pg_get_time_ms(r, 0, 4), 1700000000123);
    assert_int_equal(PQgetisnull(r, 0, 5), 1);
    assert_string_equal(PQgetvalue(results[0], 0, 0), "it's; --");
    assert_int_equal(pg_get_i64(results[2], 0, 0), 1234567890123);
    s->dones++;
}

static void parameters_and_fields_keep_their_values(void **state)
{
    /* Text, binary and NULL parameters; binary fields of each width. results[i] is statement i's.
     */
    (void)state;
    struct session s;
    struct pg_statement statements[3];
    unsigned char storage[8];
    start_up(&s);
    pg_statement_init(&statements[0], "select $1::text");
    pg_add_text(&statements[0], "it's; --");
    pg_statement_init(&statements[1],
                      "select -2::int2, -3000000::int4, (-9223372036854775808)::int8, true,"
                      " '2023-11-14 22:13:20.123+00'::timestamptz, $1::text");
    statements[1].binary_result = true;
    pg_add_text(&statements[1], NULL);
    pg_statement_init(&statements[2], "select $1");
    statements[2].binary_result = true;
    pg_add_i64(&statements[2], 1234567890123, storage);
    pg_run(s.pg, statements, 3, 5000, on_typed, &s);
    run_until(&s.loop, &s.dones, 1);
    end(&s);
}

static void add_array_samples(struct pg_array a[4])
{
    static const unsigned TYPES[] = {PG_INT8, PG_TEXT, PG_NUMERIC, PG_TIMESTAMPTZ};
    struct dec d;
    for (size_t i = 0; i < 4; i++)
        pg_array_init(&a[i], TYPES[i]);
    pg_array_add_i64(&a[0], -5);
    pg_array_add_null(&a[0]);
    pg_array_add_text(&a[1], "a\"{},b");
    pg_array_add_text(&a[1], "");
    assert_int_equal(dec_parse("-12345678901234567890.000000001", 31, &d), 0);
    pg_array_add_dec(&a[2], d);
    pg_array_add_dec(&a[2], DEC_ZERO);
    pg_array_add_time_ms(&a[3], 1700000000123);
    pg_array_add_null(&a[3]);
}

static void the_server_reads_our_arrays(void **state)
{
    /* What array_recv makes of them prints as expected; an empty array is {}. */
    (void)state;
    struct session s;
    struct pg_array a[4];
    struct pg_array empty;
    struct pg_statement q;
    start_up(&s);
    add_array_samples(a);
    pg_array_init(&empty, PG_UUID);
    pg_statement_init(&q,
                      "select concat_ws(' ', $1::text, $2::text, $3::text, $4::text, $5::text)");
    for (size_t i = 0; i < 4; i++)
        pg_add_array(&q, &a[i]);
    pg_add_array(&q, &empty);
    pg_run(s.pg, &q, 1, 5000, on_done, &s);
    wait_done(&s);
    must(&s, "{-5,NULL} {\"a\\\"{},b\",\"\"} {-12345678901234567890.000000001,0} "
             "{\"2023-11-14 22:13:20.123+00\",NULL} {}");
    for (size_t i = 0; i < 4; i++)
        pg_array_done(&a[i]);
    pg_array_done(&empty);
    end(&s);
}

static void a_refused_statement_undoes_its_pipeline(void **state)
{
    /* ERR_REFUSED with the sqlstate of the first error, nothing written, and the next one works. */
    (void)state;
    struct session s;
    start_up(&s);
    RUN(&s, "create temp table t (k int primary key)");
    RUN(&s, "insert into t values (1)", "insert into t values (1)", "select 1/0");
    assert_int_equal(s.error.kind, ERR_REFUSED);
    assert_false(s.error.retry);
    assert_int_equal(s.n, 0);
    assert_string_equal(s.error.sqlstate, "23505");
    assert_string_equal(s.error.text, "duplicate key value violates unique constraint \"t_pkey\": "
                                      "Key (k)=(1) already exists.");
    assert_true(pg_is_ready(s.pg));
    RUN(&s, "select count(*) from t");
    must(&s, "0");
    assert_int_equal(s.downs, 0);
    end(&s);
}

static void an_open_transaction_is_rolled_back_after_an_error(void **state)
{
    /* BEGIN without COMMIT is the caller's to finish, unless a statement fails: then it is over. */
    (void)state;
    struct session s;
    start_up(&s);
    RUN(&s, "create temp table t (k int)");
    RUN(&s, "begin", "insert into t values (1)");
    must(&s, "");
    RUN(&s, "commit");
    RUN(&s, "begin", "insert into t values (2)", "select 1/0", "commit");
    assert_string_equal(s.error.sqlstate, "22012");
    assert_true(pg_is_ready(s.pg));
    RUN(&s, "select count(*) || ' ' || coalesce(pg_current_xact_id_if_assigned()::text, 'none')"
            " from t");
    must(&s, "1 none");

    /* The failing pipeline may also be a later one of the same transaction. */
    RUN(&s, "begin", "insert into t values (3)");
    RUN(&s, "select 1/0");
    RUN(&s, "select count(*) from t");
    must(&s, "1");
    end(&s);
}

static void must_fail(struct session *s, const char *sqlstate, enum err_kind kind, bool retry)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "do $$ begin raise sqlstate '%s'; end $$", sqlstate);
    RUN(s, sql);
    assert_string_equal(s->error.sqlstate, sqlstate);
    assert_int_equal(s->error.kind, kind);
    assert_int_equal(s->error.retry, retry);
}

static void sqlstates_tell_what_may_be_retried(void **state)
{
    /* Losing the server, and losing a race, pass by themselves. Nothing else does. */
    (void)state;
    struct session s;
    start_up(&s);
    must_fail(&s, "08006", ERR_CLOSED, true);
    must_fail(&s, "57P01", ERR_CLOSED, true);
    must_fail(&s, "57P03", ERR_CLOSED, true);
    must_fail(&s, "53300", ERR_CLOSED, true);
    must_fail(&s, "40001", ERR_REFUSED, true);
    must_fail(&s, "40P01", ERR_REFUSED, true);
    must_fail(&s, "55P03", ERR_REFUSED, true);
    must_fail(&s, "57014", ERR_REFUSED, false);
    must_fail(&s, "23505", ERR_REFUSED, false);
    must_fail(&s, SQLSTATE_FENCED, ERR_REFUSED, false);
    end(&s);
}

static void a_passed_deadline_drops_the_connection(void **state)
{
    /* ERR_TIMEOUT to the pipeline and to on_down; then it comes back by itself. */
    (void)state;
    struct session s;
    start_up(&s);
    SEND(&s, 100, "select pg_sleep(10)");
    assert_true(pg_is_up(s.pg));
    assert_false(pg_is_ready(s.pg));
    wait_done(&s);
    assert_int_equal(s.error.kind, ERR_TIMEOUT);
    assert_true(s.error.retry);
    run_until(&s.loop, &s.downs, 1);
    assert_int_equal(s.down.kind, ERR_TIMEOUT);
    run_until(&s.loop, &s.ups, 2);
    RUN(&s, "select 7");
    must(&s, "7");
    end(&s);
}

static void an_answer_that_waited_for_us_is_not_a_timeout(void **state)
{
    /* We stood still past the deadline, the answer is in the socket: it is taken. */
    (void)state;
    struct session s;
    start_up(&s);
    SEND(&s, 50, "select 8");
    uv_run(&s.loop, UV_RUN_NOWAIT);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    wait_done(&s);
    must(&s, "8");
    end(&s);
}

static void chain(struct session *s)
{
    assert_int_equal(s->error.kind, ERR_NONE);
    if (s->dones < 500) {
        s->then = chain;
        SEND(s, 5000, "select 1", "select 2");
    }
}

static void done_may_run_the_next_pipeline(void **state)
{
    /* pg is ready again when done is called. */
    (void)state;
    struct session s;
    start_up(&s);
    s.then = chain;
    SEND(&s, 5000, "select 1");
    run_until(&s.loop, &s.dones, 500);
    end(&s);
}

enum { BIG_STATEMENTS = 24, BIG_BYTES = 1 << 20 };

static void on_big(void *owner, const struct err *error, PGresult **results, int n)
{
    struct session *s = owner;
    assert_null(error);
    assert_int_equal(n, BIG_STATEMENTS);
    for (int i = 0; i < n; i++)
        assert_int_equal(PQgetlength(results[i], 0, 0), BIG_BYTES);
    s->dones++;
}

static void both_sides_may_send_megabytes_at_once(void **state)
{
    /* Answers are read while the pipeline is still being written: no deadlock by full buffers. */
    (void)state;
    struct session s;
    static struct pg_statement statements[BIG_STATEMENTS];
    char *big = xmalloc(BIG_BYTES + 1);
    memset(big, 'x', BIG_BYTES);
    big[BIG_BYTES] = '\0';
    start_up(&s);
    for (int i = 0; i < BIG_STATEMENTS; i++) {
        pg_statement_init(&statements[i], "select $1::text");
        pg_add_text(&statements[i], big);
    }
    pg_run(s.pg, statements, BIG_STATEMENTS, 20000, on_big, &s);
    free(big); /* libpq has copied it */
    run_until(&s.loop, &s.dones, 1);
    end(&s);
}

static void stream(struct session *s, const char *sql)
{
    struct pg_statement q;
    pg_statement_init(&q, sql);
    s->in_call = true;
    pg_stream(s->pg, &q, 20000, on_row, on_done, s);
    s->in_call = false;
}

static void a_stream_needs_no_memory(void **state)
{
    /* 100 MB in 100,000 rows come one at a time; what we hold does not grow with them. */
    (void)state;
    struct session s;
    start_up(&s);
    stream(&s, "select repeat('x', 1000) from generate_series(1, 1000)");
    wait_done(&s);
    long before_kib = resident_kib();
    stream(&s, "select repeat('x', 1000) from generate_series(1, 100000)");
    wait_done(&s);
    assert_int_equal(s.error.kind, ERR_NONE);
    assert_int_equal(s.n, 0);
    assert_int_equal(s.rows, 101000);
    assert_true(resident_kib() - before_kib < 16 * 1024);
    RUN(&s, "select 9");
    must(&s, "9");
    end(&s);
}

static void a_stream_may_fail_half_way(void **state)
{
    /* Rows before the error were delivered; then done has the error. An empty one just ends. */
    (void)state;
    struct session s;
    start_up(&s);
    stream(&s, "select 10 / (50 - n) from generate_series(1, 100) n");
    wait_done(&s);
    assert_string_equal(s.error.sqlstate, "22012");
    assert_int_equal(s.rows, 49);
    stream(&s, "select 1 where false");
    wait_done(&s);
    assert_int_equal(s.error.kind, ERR_NONE);
    assert_int_equal(s.rows, 49);
    end(&s);
}

static void reset_pg(struct session *s)
{
    s->in_call = true;
    pg_reset(s->pg);
    s->in_call = false;
    assert_false(pg_is_up(s->pg));
}

static void a_reset_ends_the_pipeline_and_connects_anew(void **state)
{
    /* Busy, idle, in a row's callback or while waiting: ERR_CLOSED to a pipeline, then up again. */
    (void)state;
    struct session s;
    start_up(&s);
    SEND(&s, 5000, "select pg_sleep(10)");
    reset_pg(&s);
    reset_pg(&s);
    wait_done(&s);
    assert_int_equal(s.error.kind, ERR_CLOSED);
    run_until(&s.loop, &s.ups, 2);
    reset_pg(&s);
    run_until(&s.loop, &s.ups, 3);
    s.then = reset_pg;
    stream(&s, "select * from generate_series(1, 100000)");
    wait_done(&s);
    assert_int_equal(s.error.kind, ERR_CLOSED);
    assert_int_equal(s.rows, 1);
    run_until(&s.loop, &s.ups, 4);
    assert_int_equal(s.downs, 3);
    assert_int_equal(s.dones, 2);
    end(&s);
}

static void closing_works_in_every_state(void **state)
{
    /* Everything is given back, a pipeline in flight gets ERR_CANCELED, and nothing is told after.
     */
    (void)state;
    struct session s;
    start(&s, URL, NULL); /* connecting */
    end(&s);
    for (int turns = 1; turns < 12; turns++) { /* on the way to ready */
        start(&s, URL, NULL);
        for (int i = 0; i < turns; i++)
            run_for(&s.loop, 1);
        end(&s);
    }
    start_up(&s); /* ready */
    end(&s);
    start_up(&s); /* busy */
    SEND(&s, 5000, "select pg_sleep(10)");
    end(&s);
    assert_int_equal(s.dones, 1);
    assert_int_equal(s.error.kind, ERR_CANCELED);
    start_up(&s); /* waiting, with a done and an on_down to come */
    SEND(&s, 5000, "select pg_sleep(10)");
    reset_pg(&s);
    end(&s);
    assert_int_equal(s.dones, 1);
    assert_int_equal(s.downs, 0);
}

static void closing_works_in_every_callback(void **state)
{
    /* on_up, done, a row, on_down. */
    (void)state;
    struct session s;
    start(&s, URL, NULL);
    s.then = close_pg;
    run_until(&s.loop, &s.closed, 1);
    end(&s);

    start_up(&s);
    s.then = close_pg;
    RUN(&s, "select 1");
    end(&s);
    assert_int_equal(s.dones, 1);

    start_up(&s);
    s.then = close_pg;
    stream(&s, "select * from generate_series(1, 1000)");
    run_until(&s.loop, &s.closed, 1);
    end(&s);
    assert_int_equal(s.rows, 1);
    assert_int_equal(s.error.kind, ERR_CANCELED);

    start_up(&s);
    reset_pg(&s);
    s.then = close_pg;
    run_until(&s.loop, &s.closed, 1);
    end(&s);
    assert_int_equal(s.downs, 1);

    start_up(&s); /* done of a lost pipeline, before on_down */
    SEND(&s, 5000, "select pg_sleep(10)");
    reset_pg(&s);
    s.then = close_pg;
    run_until(&s.loop, &s.closed, 1);
    end(&s);
    assert_int_equal(s.downs, 0);
}

static void the_servers_last_words_are_told(void **state)
{
    /* An idle connection that is terminated: on_down says why, with the sqlstate. */
    (void)state;
    struct session s;
    struct session other;
    char sql[sizeof s.text + 64];
    start_up(&s);
    start_up(&other);
    RUN(&s, "select pg_backend_pid()");
    (void)snprintf(sql, sizeof sql, "select pg_terminate_backend(%s)", s.text);
    RUN(&other, sql);
    run_until(&s.loop, &s.downs, 1);
    assert_int_equal(s.down.kind, ERR_CLOSED);
    assert_string_equal(s.down.sqlstate, "57P01");
    assert_string_equal(s.down.text, "terminating connection due to administrator command");
    run_until(&s.loop, &s.ups, 2);

    RUN(&s, "select pg_backend_pid()"); /* the same with a pipeline in flight */
    (void)snprintf(sql, sizeof sql, "select pg_terminate_backend(%s)", s.text);
    SEND(&s, 5000, "select pg_sleep(10)", "select 1");
    run_for(&s.loop, 50);
    RUN(&other, sql);
    wait_done(&s);
    assert_int_equal(s.error.kind, ERR_CLOSED);
    assert_string_equal(s.error.sqlstate, "57P01");
    run_until(&s.loop, &s.ups, 3);
    assert_string_equal(s.down.sqlstate, "57P01");
    end(&s);
    end(&other);
}

static void copy_is_refused(void **state)
{
    /* COPY cannot be in a pipeline: an error, a fresh connection, no hang. */
    (void)state;
    struct session s;
    start_up(&s);
    RUN(&s, "copy (select 1) to stdout");
    assert_int_not_equal(s.error.kind, ERR_NONE);
    run_until(&s.loop, &s.ups, pg_is_up(s.pg) ? 1 : 2);
    RUN(&s, "select 3");
    must(&s, "3");
    end(&s);
}

static void must_stay_down(const char *url, const char *role, enum err_kind kind, const char *text)
{
    struct session s;
    start(&s, url, role);
    run_until(&s.loop, &s.downs, 2);
    assert_int_equal(s.down.kind, kind);
    if (!strstr(s.down.text, text))
        fail_msg("%s", s.down.text);
    assert_null(strstr(s.down.text, "secret"));
    assert_int_equal(s.ups, 0);
    end(&s);
}

static void what_is_wrong_with_a_connection_is_told_without_the_password(void **state)
{
    /* Wrong URL, nobody there, no such database or role: on_down each time, and another try. */
    (void)state;
    char url[256];
    must_stay_down("postgresql://u:secret%zz@h/db", NULL, ERR_CONFIG,
                   "DATABASE_URL cannot be read");
    must_stay_down("postgresql://u:secret@[::1/db", NULL, ERR_CONFIG,
                   "DATABASE_URL cannot be read");
    must_stay_down("postgresql://u:secret@h/db?secret=1", NULL, ERR_CONFIG, "cannot be read");
    must_stay_down("host=h password=secret nonsense=secret", NULL, ERR_CONFIG, "cannot be read");
    must_stay_down("postgresql://u:secret@127.0.0.1:1/db", NULL, ERR_CONNECT, "Connection refused");
    must_stay_down("postgresql://u:secret@localhost:1/db", NULL, ERR_CONNECT, "Connection refused");
    must_stay_down("host=h,i,j port=1,2 password=secret", NULL, ERR_CONNECT, "could not match");
    must_stay_down("host=/no/such/folder password=secret", NULL, ERR_CONNECT, "/no/such/folder");
    must_stay_down("postgresql://u:secret@no-such-host.invalid/db", NULL, ERR_CONNECT,
                   "look up no-such-host.invalid: ");
    must_stay_down(URL, "no_such_role", ERR_REFUSED,
                   "set up the session: role \"no_such_role\" does not exist");
    (void)snprintf(url, sizeof url, "%s?options=-c%%20nonsense%%3D1", URL);
    must_stay_down(url, NULL, ERR_CONNECT, "nonsense");
}

static void every_host_and_address_is_tried(void **state)
{
    /* An unknown name, one where nobody listens, and a good one, which may be ::1 first. */
    (void)state;
    struct session s;
    char url[256];
    const char *user = strstr(URL, "//");
    const char *at = strchr(URL, '@');
    const char *port = strrchr(URL, ':');
    (void)snprintf(url, sizeof url, "postgresql:%.*sno-such-host.invalid:1,localhost:1,localhost%s",
                   (int)(at + 1 - user), user, port);
    start(&s, url, NULL);
    run_until(&s.loop, &s.ups, 1);
    assert_int_equal(s.downs, 0);
    RUN(&s, "select host(inet_server_addr())");
    must(&s, "127.0.0.1");
    end(&s);
}

static void on_schema(void *owner, const struct err *error)
{
    struct session *s = owner;
    s->dones++;
    s->error = error ? *error : (struct err){0};
}

static void check_schema(struct session *s, enum err_kind kind, bool retry)
{
    schema_check(s->pg, on_schema, s);
    wait_done(s);
    assert_int_equal(s->error.kind, kind);
    assert_int_equal(s->error.retry, retry);
}

static void note_version(struct session *s, int version, int compatible_from)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "insert into schema_migrations values (%d, 'n', 'c', %d)",
                   version, compatible_from);
    RUN(s, sql);
    assert_int_equal(s->error.kind, ERR_NONE);
}

static void a_schema_is_missing_old_right_or_too_new(void **state)
{
    /* Missing and old: wait. Newer: go on if it is marked as compatible with this build, else exit.
     */
    (void)state;
    struct session s;
    start_up(&s);
    RUN(&s, "drop table if exists schema_migrations");
    check_schema(&s, ERR_SCHEMA, true);
    RUN(&s, "create table schema_migrations (version int primary key, name text, checksum text,"
            " compatible_from int, applied_at timestamptz default now())");
    check_schema(&s, ERR_SCHEMA, true);
    note_version(&s, SCHEMA_VERSION - 1, SCHEMA_VERSION - 1);
    check_schema(&s, ERR_SCHEMA, true);
    note_version(&s, SCHEMA_VERSION, SCHEMA_VERSION);
    check_schema(&s, ERR_NONE, false);
    note_version(&s, SCHEMA_VERSION + 1, SCHEMA_VERSION);
    check_schema(&s, ERR_NONE, false);
    note_version(&s, SCHEMA_VERSION + 2, SCHEMA_VERSION + 1);
    check_schema(&s, ERR_SCHEMA, false);
    assert_true(pg_is_ready(s.pg));
    end(&s);

    start(&s, URL, "test_role");
    run_until(&s.loop, &s.ups, 1);
    check_schema(&s, ERR_SCHEMA, true);
    assert_string_equal(s.error.text, "permission denied for table schema_migrations");
    SEND(&s, 5000, "select 1");
    wait_done(&s);
    reset_pg(&s);
    end(&s);

    start_up(&s);
    RUN(&s, "drop table schema_migrations");
    end(&s);
}

static void a_killed_server_is_a_state(void **state)
{
    /* SIGKILL in the middle of a pipeline: ERR_CLOSED, on_down at each try, and up when it is back.
     * A server that is not there at the start is the same. */
    (void)state;
    struct session s;
    start_up(&s);
    SEND(&s, 20000, "select pg_sleep(10)");
    run_for(&s.loop, 50);
    ask_server("kill");
    wait_done(&s);
    assert_int_equal(s.error.kind, ERR_CLOSED);
    assert_true(s.error.retry);
    run_until(&s.loop, &s.downs, 3);
    assert_int_equal(s.down.kind, ERR_CONNECT);
    assert_non_null(strstr(s.down.text, "Connection refused"));
    end(&s);

    start(&s, URL, NULL);
    run_until(&s.loop, &s.downs, 1);
    ask_server("start");
    run_until(&s.loop, &s.ups, 1);
    RUN(&s, "select 4");
    must(&s, "4");
    end(&s);
}

static void a_frozen_server_is_a_timeout(void **state)
{
    /* Nothing answers and nothing is refused: the deadline decides, of the pipeline and then of
     * connecting (10 s). */
    (void)state;
    struct session s;
    start_up(&s);
    ask_server("pause");
    SEND(&s, 200, "select 1");
    wait_done(&s);
    assert_int_equal(s.error.kind, ERR_TIMEOUT);
    run_until(&s.loop, &s.downs, 2);
    assert_int_equal(s.down.kind, ERR_TIMEOUT);
    ask_server("resume");
    run_until(&s.loop, &s.ups, 2);
    end(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_session_has_its_settings),
        cmocka_unit_test(the_clock_is_compared),
        cmocka_unit_test(parameters_and_fields_keep_their_values),
        cmocka_unit_test(the_server_reads_our_arrays),
        cmocka_unit_test(a_refused_statement_undoes_its_pipeline),
        cmocka_unit_test(an_open_transaction_is_rolled_back_after_an_error),
        cmocka_unit_test(sqlstates_tell_what_may_be_retried),
        cmocka_unit_test(a_passed_deadline_drops_the_connection),
        cmocka_unit_test(an_answer_that_waited_for_us_is_not_a_timeout),
        cmocka_unit_test(done_may_run_the_next_pipeline),
        cmocka_unit_test(both_sides_may_send_megabytes_at_once),
        cmocka_unit_test(a_stream_needs_no_memory),
        cmocka_unit_test(a_stream_may_fail_half_way),
        cmocka_unit_test(a_reset_ends_the_pipeline_and_connects_anew),
        cmocka_unit_test(closing_works_in_every_state),
        cmocka_unit_test(closing_works_in_every_callback),
        cmocka_unit_test(the_servers_last_words_are_told),
        cmocka_unit_test(copy_is_refused),
        cmocka_unit_test(what_is_wrong_with_a_connection_is_told_without_the_password),
        cmocka_unit_test(every_host_and_address_is_tried),
        cmocka_unit_test(a_schema_is_missing_old_right_or_too_new),
        cmocka_unit_test(a_killed_server_is_a_state),
        cmocka_unit_test(a_frozen_server_is_a_timeout),
    };
    URL = getenv("METERLINE_TEST_POSTGRES_URL");
    if (!URL) {
        printf("skipped: METERLINE_TEST_POSTGRES_URL is not set\n");
        return 0;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    metrics_done();
    return failed;
}
