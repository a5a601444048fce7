/* The PostgreSQL adapter's connection: set up, lost, reset, closed. */
#include "common/str.h"
#include "pg_session.h"

#include <time.h>

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
    assert_in_range(pg_clock_offset_ms(s.pg) + 1000, 0, 2000);
    metrics_print(&page);
    assert_non_null(strstr(page.data, "meterline_peer_up{peer=\"postgres\"} 1\n"));
    assert_non_null(strstr(page.data, "meterline_clock_offset_seconds{peer=\"postgres\"} "));
    end(&s);
    buf_clear(&page);
    metrics_print(&page);
    assert_non_null(strstr(page.data, "meterline_peer_up{peer=\"postgres\"} 0\n"));
    buf_done(&page);
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
    run_until(&s.loop, &s.dones, 1); /* or it came in that turn already */
    must(&s, "8");
    end(&s);
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
    s.then = close_session;
    run_until(&s.loop, &s.closed, 1);
    end(&s);

    start_up(&s);
    s.then = close_session;
    RUN(&s, "select 1");
    end(&s);
    assert_int_equal(s.dones, 1);

    start_up(&s);
    s.then = close_session;
    stream(&s, "select * from generate_series(1, 1000)");
    run_until(&s.loop, &s.closed, 1);
    end(&s);
    assert_int_equal(s.rows, 1);
    assert_int_equal(s.error.kind, ERR_CANCELED);

    start_up(&s);
    reset_pg(&s);
    s.then = close_session;
    run_until(&s.loop, &s.closed, 1);
    end(&s);
    assert_int_equal(s.downs, 1);

    start_up(&s); /* done of a lost pipeline, before on_down */
    SEND(&s, 5000, "select pg_sleep(10)");
    reset_pg(&s);
    s.then = close_session;
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
                   "may not act as no_such_role (was `meterctl migrate` run, and is this login "
                   "granted that role?): role \"no_such_role\" does not exist");
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
        cmocka_unit_test(a_passed_deadline_drops_the_connection),
        cmocka_unit_test(an_answer_that_waited_for_us_is_not_a_timeout),
        cmocka_unit_test(a_reset_ends_the_pipeline_and_connects_anew),
        cmocka_unit_test(closing_works_in_every_state),
        cmocka_unit_test(closing_works_in_every_callback),
        cmocka_unit_test(the_servers_last_words_are_told),
        cmocka_unit_test(what_is_wrong_with_a_connection_is_told_without_the_password),
        cmocka_unit_test(every_host_and_address_is_tried),
        cmocka_unit_test(a_killed_server_is_a_state),
        cmocka_unit_test(a_frozen_server_is_a_timeout),
    };
    return run_with_server(tests);
}
