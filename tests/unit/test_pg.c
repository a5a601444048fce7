/* Pipelines and streams of the PostgreSQL adapter. */
#include "common/contract.h"
#include "common/pg/pg_array.h"
#include "common/str.h"
#include "pg_session.h"

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
    /* Losing the server, losing a race, and what the server runs out of, pass by themselves; so
     * does a row without a partition, which is a check without a name. Nothing else does. */
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
    must_fail(&s, "57014", ERR_REFUSED, true);
    must_fail(&s, "53100", ERR_REFUSED, true);
    must_fail(&s, "58030", ERR_REFUSED, true);
    must_fail(&s, "23514", ERR_REFUSED, true);
    must_fail(&s, "23505", ERR_REFUSED, false);
    must_fail(&s, "42501", ERR_REFUSED, false);
    must_fail(&s, SQLSTATE_FENCED, ERR_REFUSED, false);
    end(&s);
}

static void a_read_only_session_is_lost(void **state)
{
    /* 25006: the pipeline's outcome counts as unknown, and the connection is made anew. */
    (void)state;
    struct session s;
    start_up(&s);
    RUN(&s, "begin", "set transaction read only", "create table never (k int)");
    assert_int_equal(s.error.kind, ERR_CLOSED);
    assert_true(s.error.retry);
    run_until(&s.loop, &s.downs, 1);
    run_until(&s.loop, &s.ups, 2);
    RUN(&s, "create temp table t (k int)");
    assert_int_equal(s.error.kind, ERR_NONE);
    end(&s);
}

static void data_are_at_fault_for_what_only_they_can_cause(void **state)
{
    /* A value's form or size, and a check of it; not a key that is there, nor a missing right. */
    (void)state;
    static const struct {
        const char *sql;
        bool is_data;
    } CASES[] = {
        {"select 'x'::int", true},
        {"select 10::numeric(1)", true},
        {"do $$ begin create temp table c (k int check (k > 0)); insert into c values (0); end $$",
         true},
        {"do $$ begin create temp table p (k int) partition by list (k);"
         " insert into p values (0); end $$",
         false},
        {"do $$ begin create temp table u (k int unique); insert into u values (0), (0); end $$",
         false},
        {"select nothing", false},
        {"do $$ begin raise sqlstate '53100'; end $$", false},
    };
    struct session s;
    start_up(&s);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        RUN(&s, CASES[i].sql);
        assert_int_not_equal(s.error.kind, ERR_NONE);
        assert_int_equal(pg_is_data_fault(&s.error), CASES[i].is_data);
    }
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

struct pulled {
    char *filler; /* a parameter of a megabyte */
    int ready;
    int given;
    bool complete;
};

static enum pg_more next_insert(void *owner, struct pg_statement *s)
{
    struct session *session = owner;
    struct pulled *p = session->owner;
    if (p->given == p->ready)
        return p->complete ? PG_END : PG_LATER;
    p->given++;
    pg_statement_init(s, "insert into pulled values ($1) returning length(filler)");
    pg_add_text(s, p->filler);
    return PG_STATEMENT;
}

static void on_pulled(void *owner, const struct err *error, PGresult **results, int n)
{
    struct session *s = owner;
    on_done(owner, error, results, n);
    for (int i = 0; i < n; i++)
        assert_string_equal(PQgetvalue(results[i], 0, 0), "1000000");
    assert_int_equal(s->n, n);
}

static void pull(struct session *s, struct pulled *p)
{
    *p = (struct pulled){.filler = xmalloc(1000001)};
    memset(p->filler, 'x', 1000000);
    p->filler[1000000] = '\0';
    RUN(s, "drop table if exists pulled", "create table pulled (filler text)");
    s->in_call = true;
    pg_pull(s->pg, 20, 20000, next_insert, on_pulled, s);
    s->in_call = false;
}

static void push(struct session *s, struct pulled *p, int ready)
{
    p->ready = ready;
    s->in_call = true;
    pg_push(s->pg);
    s->in_call = false;
}

static void statements_are_pulled_as_the_socket_takes_them(void **state)
{
    /* libpq never holds them all; the transaction ends with the last one and not before. */
    (void)state;
    struct session s;
    struct pulled p;
    start_up(&s);
    s.owner = &p;
    pull(&s, &p);
    push(&s, &p, 20);
    assert_in_range(p.given, 1, 19);
    while (p.given < 20)
        uv_run(&s.loop, UV_RUN_ONCE);
    assert_int_equal(s.dones, 1); /* of making the table */
    p.complete = true;
    push(&s, &p, 20);
    wait_done(&s);
    assert_int_equal(s.n, 20);
    RUN(&s, "select count(*) from pulled");
    must(&s, "20");
    push(&s, &p, 20); /* nothing is pulled any more */
    free(p.filler);
    end(&s);
}

static void a_pull_that_is_dropped_leaves_nothing(void **state)
{
    /* Its statements are undone, and it is asked for no more of them. */
    (void)state;
    struct session s;
    struct pulled p;
    start_up(&s);
    s.owner = &p;
    pull(&s, &p);
    push(&s, &p, 10);
    reset_pg(&s);
    int given = p.given;
    push(&s, &p, 20);
    run_until(&s.loop, &s.ups, 2);
    assert_int_equal(s.error.kind, ERR_CLOSED);
    assert_int_equal(p.given, given);
    RUN(&s, "select count(*) from pulled");
    must(&s, "0");
    free(p.filler);
    end(&s);
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

static void who_listens_is_told(void **state)
{
    /* A direct session can LISTEN; a NOTIFY of another one is told while it rests. */
    (void)state;
    struct session s;
    start_up(&s);
    assert_true(pg_is_direct(s.pg));
    RUN(&s, "listen doorbell");
    assert_int_equal(s.error.kind, ERR_NONE);
    PGconn *other = PQconnectdb(getenv(SESSION_URL_VARIABLE));
    PQclear(PQexec(other, "notify doorbell"));
    run_until(&s.loop, &s.notified, 1);
    PQclear(PQexec(other, "notify another"));
    PQclear(PQexec(other, "notify doorbell"));
    run_until(&s.loop, &s.notified, 2);
    assert_int_equal(s.notified, 2);
    PQfinish(other);
    RUN(&s, "select 3");
    must(&s, "3");
    end(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_and_fields_keep_their_values),
        cmocka_unit_test(the_server_reads_our_arrays),
        cmocka_unit_test(a_refused_statement_undoes_its_pipeline),
        cmocka_unit_test(an_open_transaction_is_rolled_back_after_an_error),
        cmocka_unit_test(sqlstates_tell_what_may_be_retried),
        cmocka_unit_test(a_read_only_session_is_lost),
        cmocka_unit_test(data_are_at_fault_for_what_only_they_can_cause),
        cmocka_unit_test(done_may_run_the_next_pipeline),
        cmocka_unit_test(both_sides_may_send_megabytes_at_once),
        cmocka_unit_test(statements_are_pulled_as_the_socket_takes_them),
        cmocka_unit_test(a_pull_that_is_dropped_leaves_nothing),
        cmocka_unit_test(a_stream_needs_no_memory),
        cmocka_unit_test(a_stream_may_fail_half_way),
        cmocka_unit_test(copy_is_refused),
        cmocka_unit_test(who_listens_is_told),
    };
    return run_with_server(tests);
}
