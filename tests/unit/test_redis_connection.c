/* The Redis adapter's connection: greeted, lost, reset, closed. */
#include "common/str.h"
#include "redis_session.h"

static void a_reset_ends_the_commands_and_connects_anew(void **state)
{
    /* From outside, twice, and from inside a reply's callback with more replies behind it. */
    (void)state;
    struct session s;
    start_up(&s);
    SEND(&s, 5000, "PING");
    reset_redis(&s);
    reset_redis(&s);
    run_until(&s.loop, &s.ups, 2);
    assert_string_equal(s.log, "c");
    s.then = reset_redis;
    for (int i = 0; i < 3; i++)
        SEND(&s, 5000, "PING");
    run_until(&s.loop, &s.ups, 3);
    assert_string_equal(s.log, "c.cc");
    assert_int_equal(s.downs, 2);
    end(&s);
}

static void closing_works_in_every_state(void **state)
{
    /* Everything is given back, commands in flight get ERR_CANCELED, and nothing is told after. */
    (void)state;
    struct session s;
    start(&s, URL); /* resolving */
    SEND(&s, 5000, "PING");
    end(&s);
    assert_int_equal(s.dones, 1);
    for (int turns = 1; turns < 6; turns++) { /* on the way up */
        start(&s, URL);
        for (int i = 0; i < turns; i++)
            run_for(&s.loop, 1);
        end(&s);
    }
    start_up(&s); /* up and idle */
    end(&s);
    start_up(&s); /* with commands in flight */
    SEND(&s, 5000, "BLPOP nothing 0");
    SEND(&s, 5000, "PING");
    close_session(&s);
    SEND(&s, 5000, "PING");
    end(&s);
    assert_string_equal(s.log, "ccc");
    assert_int_equal(s.error.kind, ERR_CANCELED);
    start_up(&s); /* waiting, with calls to come */
    SEND(&s, 5000, "PING");
    reset_redis(&s);
    end(&s);
    assert_int_equal(s.dones, 1);
    assert_int_equal(s.downs, 0);
}

static void closing_works_in_every_callback(void **state)
{
    /* on_up, a reply with more behind it, a failed command, on_down. */
    (void)state;
    struct session s;
    start(&s, URL);
    s.then = close_session;
    run_until(&s.loop, &s.closed, 1);
    end(&s);

    start_up(&s);
    s.then = close_session;
    for (int i = 0; i < 3; i++)
        SEND(&s, 5000, "PING");
    run_until(&s.loop, &s.closed, 1);
    end(&s);
    assert_string_equal(s.log, ".cc");

    start_up(&s);
    for (int i = 0; i < 3; i++)
        SEND(&s, 5000, "PING");
    reset_redis(&s);
    s.then = close_session;
    run_until(&s.loop, &s.closed, 1);
    end(&s);
    assert_int_equal(s.dones, 3);
    assert_int_equal(s.downs, 0);

    start_up(&s);
    reset_redis(&s);
    s.then = close_session;
    run_until(&s.loop, &s.closed, 1);
    end(&s);
    assert_int_equal(s.downs, 1);
}

/* "redis://" + middle + what follows the scheme in URL. */
static const char *url_with(const char *userinfo, const char *tail)
{
    static char url[256];
    (void)snprintf(url, sizeof url, "redis://%s%s%s", userinfo, URL + strlen("redis://"), tail);
    return url;
}

static void must_come_up(const char *url, const char *command, const char *expected)
{
    struct session s;
    start(&s, url);
    run_until(&s.loop, &s.ups, 1);
    assert_int_equal(s.downs, 0);
    RUN(&s, command); /* NOLINT: a constant of this file */
    must(&s, expected);
    end(&s);
}

static void must_stay_down(const char *url, enum err_kind kind, const char *text)
{
    struct session s;
    start(&s, url);
    run_until(&s.loop, &s.downs, 3);
    assert_int_equal(s.down.kind, kind);
    if (!strstr(s.down.text, text))
        fail_msg("%s", s.down.text);
    assert_null(strstr(s.down.text, "secret"));
    assert_int_equal(s.ups, 0);
    end(&s);
}

static void the_greeting_authenticates_and_selects(void **state)
{
    /* User and password, password alone, database; a refusal is on_down, never with the password.
     */
    (void)state;
    struct session admin;
    start_up(&admin);
    RUN(&admin, "SELECT 0");
    RUN(&admin, "SET here zero");
    RUN(&admin, "ACL SETUSER me on >secret ~* +@all");
    RUN(&admin, "ACL SETUSER narrow on >secret ~* +get");
    RUN(&admin, "CONFIG SET requirepass secret0");
    must(&admin, "OK");

    must_come_up(url_with("me:secret@", ""), "ACL WHOAMI", "me");
    must_come_up(url_with("narrow:secret@", ""), "GET here", "zero");
    must_come_up(url_with(":secret0@", ""), "ACL WHOAMI", "default");
    must_come_up(url_with(":secret0@", "/3"), "GET here", "");
    must_stay_down(url_with("me:secretx@", ""), ERR_REFUSED, "WRONGPASS");
    must_stay_down(url_with("", ""), ERR_REFUSED, "NOAUTH");
    must_stay_down(url_with(":secret0@", "/9999"), ERR_REFUSED, "DB index is out of range");

    RUN(&admin, "CONFIG SET requirepass %s", "");
    RUN(&admin, "ACL DELUSER me narrow");
    end(&admin);
}

static void what_is_wrong_with_a_connection_is_told(void **state)
{
    /* Nobody there, an unknown name, a socket that is missing: on_down each time, another try. */
    (void)state;
    must_stay_down("redis://:secret@127.0.0.1:1", ERR_CONNECT, "127.0.0.1:1: Connection refused");
    must_stay_down("redis://:secret@localhost:1", ERR_CONNECT, "localhost:1: Connection refused");
    must_stay_down("redis://no-such-host.invalid", ERR_CONNECT, "no-such-host.invalid:6379: ");
    must_stay_down("unix:///no/such/socket", ERR_CONNECT, "/no/such/socket: No such file");
}

static void every_address_of_a_name_is_tried(void **state)
{
    /* localhost may be ::1 first; the server listens on 127.0.0.1 alone. A socket has no name. */
    (void)state;
    char url[256];
    const char *socket = getenv("METERLINE_TEST_REDIS_SOCKET");
    (void)snprintf(url, sizeof url, "redis://localhost%s", strrchr(URL, ':'));
    must_come_up(url, "PING", "PONG");
    if (socket) {
        (void)snprintf(url, sizeof url, "unix://%s", socket);
        must_come_up(url, "PING", "PONG");
    }
}

static void the_clock_is_compared(void **state)
{
    /* The offset and peer_up are exported. */
    (void)state;
    struct session s;
    struct buf page = {0};
    start_up(&s);
    metrics_print(&page);
    assert_non_null(strstr(page.data, "meterline_peer_up{peer=\"redis\"} 1\n"));
    assert_non_null(strstr(page.data, "meterline_clock_offset_seconds{peer=\"redis\"} "));
    end(&s);
    buf_clear(&page);
    metrics_print(&page);
    assert_non_null(strstr(page.data, "meterline_peer_up{peer=\"redis\"} 0\n"));
    buf_done(&page);
}

static void a_connection_that_is_killed_comes_back(void **state)
{
    /* By CLIENT KILL, idle or with a command in flight; by a server that takes no more clients. */
    (void)state;
    struct session s;
    struct session admin;
    start_up(&s);
    start_up(&admin);
    SEND(&s, 5000, "BLPOP nothing 0");
    run_for(&s.loop, 20);
    RUN(&admin, "CLIENT KILL TYPE normal SKIPME yes");
    run_until(&s.loop, &s.ups, 2);
    assert_string_equal(s.log, "c");
    assert_int_equal(s.down.kind, ERR_CLOSED);
    assert_string_equal(s.down.text, "Redis: Server closed the connection");
    end(&s);

    RUN(&admin, "CONFIG SET maxclients 1");
    must_stay_down(URL, ERR_REFUSED, "max number of clients");
    RUN(&admin, "CONFIG SET maxclients 1000");
    must(&admin, "OK");
    end(&admin);
}

static void write_to_the_dead(struct session *s)
{
    SEND(s, 5000, "SET dead letter");
}

static void a_killed_server_is_a_state(void **state)
{
    /* SIGKILL with commands in flight: ERR_CLOSED, on_down at each try, and up when it is back.
     * Writing to its closed socket does not end us by SIGPIPE. */
    (void)state;
    struct session s;
    start_up(&s);
    SEND(&s, 5000, "BLPOP nothing 0");
    run_for(&s.loop, 50);
    ask_server("kill");
    write_to_the_dead(&s);
    run_until(&s.loop, &s.dones, 2);
    assert_string_equal(s.log, "cc");
    assert_true(s.error.retry);
    s.then = write_to_the_dead;
    run_until(&s.loop, &s.downs, 3);
    assert_int_equal(s.down.kind, ERR_CONNECT);
    assert_non_null(strstr(s.down.text, "Connection refused"));
    end(&s);

    start(&s, URL);
    run_until(&s.loop, &s.downs, 1);
    ask_server("start");
    run_until(&s.loop, &s.ups, 1);
    RUN(&s, "PING");
    must(&s, "PONG");
    end(&s);
}

static void a_frozen_server_is_a_timeout(void **state)
{
    /* The command's deadline, and then that of the greeting (5 s): the kernel still accepts. */
    (void)state;
    struct session s;
    start_up(&s);
    ask_server("pause");
    SEND(&s, 200, "PING");
    run_until(&s.loop, &s.downs, 2);
    assert_string_equal(s.log, "t");
    assert_int_equal(s.down.kind, ERR_TIMEOUT);
    assert_string_equal(s.down.text, "greet Redis: no answer in time");
    ask_server("resume");
    run_until(&s.loop, &s.ups, 2);
    end(&s);
}

static void tools_connect_in_blocking_mode(void **state)
{
    /* With the same URL and greeting; an error has no password in it. */
    (void)state;
    struct err e = {0};
    redisContext *c = redis_connect_blocking(url_with("", "/2"), 2000, &e);
    assert_non_null(c);
    redisReply *reply = redisCommand(c, "PING");
    assert_non_null(reply);
    assert_string_equal(reply->str, "PONG");
    freeReplyObject(reply);
    redisFree(c);

    assert_null(redis_connect_blocking("redis://:secret@127.0.0.1:1", 2000, &e));
    assert_int_equal(e.kind, ERR_CONNECT);
    assert_null(redis_connect_blocking(url_with("me:secret@", ""), 2000, &e));
    assert_int_equal(e.kind, ERR_REFUSED);
    assert_null(strstr(e.text, "secret"));
    assert_null(redis_connect_blocking(url_with("", "/9999"), 2000, &e));
    assert_int_equal(e.kind, ERR_REFUSED);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reset_ends_the_commands_and_connects_anew),
        cmocka_unit_test(closing_works_in_every_state),
        cmocka_unit_test(closing_works_in_every_callback),
        cmocka_unit_test(the_greeting_authenticates_and_selects),
        cmocka_unit_test(what_is_wrong_with_a_connection_is_told),
        cmocka_unit_test(every_address_of_a_name_is_tried),
        cmocka_unit_test(the_clock_is_compared),
        cmocka_unit_test(a_connection_that_is_killed_comes_back),
        cmocka_unit_test(a_killed_server_is_a_state),
        cmocka_unit_test(a_frozen_server_is_a_timeout),
        cmocka_unit_test(tools_connect_in_blocking_mode),
    };
    return run_with_server(tests);
}
