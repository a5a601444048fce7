/* The Redis adapter on a real server, METERLINE_TEST_REDIS_URL and METERLINE_TEST_REDIS_SOCKET. */
#include "adapter.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "common/str.h"

#include <time.h>

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
    assert_true(redis_is_up(s->redis));
    s->ups++;
    run_then(s);
}

static void on_down(void *owner, const struct err *error)
{
    struct session *s = owner;
    assert_false(s->in_call);
    assert_false(redis_is_up(s->redis));
    s->downs++;
    s->down = *error;
    run_then(s);
}

static void keep_reply(struct session *s, const redisReply *reply)
{
    s->type = reply->type;
    s->length = reply->type == REDIS_REPLY_ARRAY ? reply->elements : reply->len;
    if (reply->type == REDIS_REPLY_INTEGER)
        (void)snprintf(s->text, sizeof s->text, "%lld", reply->integer);
    else
        (void)snprintf(s->text, sizeof s->text, "%.*s", 200, reply->str ? reply->str : "");
}

static void on_done(void *owner, const struct err *error, void *reply)
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

static void on_closed(void *owner)
{
    struct session *s = owner;
    assert_false(s->in_call);
    s->closed++;
}

static void start(struct session *s, const char *url)
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

static void start_up(struct session *s)
{
    start(s, URL);
    run_until(&s->loop, &s->ups, 1);
    assert_int_equal(s->downs, 0);
}

static void close_redis(struct session *s)
{
    s->closing = true;
    s->in_call = true;
    redis_close(s->redis, on_closed, s);
    s->in_call = false;
}

static void reset_redis(struct session *s)
{
    s->in_call = true;
    redis_reset(s->redis);
    s->in_call = false;
    assert_false(redis_is_up(s->redis));
}

static void end(struct session *s)
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

static void must(struct session *s, const char *expected)
{
    if (s->error.kind != ERR_NONE)
        fail_msg("%s: %s", err_kind_name(s->error.kind), s->error.text);
    assert_string_equal(s->text, expected);
}

static void replies_come_in_order(void **state)
{
    /* Many commands in flight, by format and by arguments; done may be NULL. */
    (void)state;
    struct session s;
    const char *argv[] = {"SET", "key", "a\0b"};
    const size_t lengths[] = {3, 3, 3};
    start_up(&s);
    redis_command(s.redis, 5000, on_done, &s, 3, argv, lengths);
    redis_command(s.redis, 5000, NULL, NULL, 3, argv, lengths);
    SEND(&s, 5000, "STRLEN %b", "key", (size_t)3);
    run_until(&s.loop, &s.dones, 2);
    must(&s, "3");
    RUN(&s, "DEL counter");
    for (int i = 0; i < 100000; i++)
        SEND(&s, 20000, "INCR counter");
    run_until(&s.loop, &s.dones, 100003);
    must(&s, "100000");
    end(&s);
}

static void an_error_reply_is_told_and_the_connection_stays(void **state)
{
    /* ERR_REFUSED with Redis' text. One inside an array is the caller's to see. */
    (void)state;
    struct session s;
    start_up(&s);
    RUN(&s, "NONSENSE");
    assert_int_equal(s.error.kind, ERR_REFUSED);
    assert_false(s.error.retry);
    assert_non_null(strstr(s.error.text, "ERR unknown command 'NONSENSE'"));
    RUN(&s, "SET text x");
    RUN(&s, "MULTI");
    RUN(&s, "INCR text");
    must(&s, "QUEUED");
    RUN(&s, "EXEC");
    assert_int_equal(s.error.kind, ERR_NONE);
    assert_int_equal(s.type, REDIS_REPLY_ARRAY);
    assert_int_equal(s.downs, 0);
    end(&s);
}

static void commands_without_a_connection_end_from_the_loop(void **state)
{
    /* ERR_CLOSED, not from inside the call; repeated at once it does not starve the loop. */
    (void)state;
    struct session s;
    start(&s, URL);
    SEND(&s, 5000, "PING");
    run_until(&s.loop, &s.dones, 1);
    assert_int_equal(s.error.kind, ERR_CLOSED);
    assert_true(s.error.retry);
    run_until(&s.loop, &s.ups, 1);
    RUN(&s, "PING");
    must(&s, "PONG");
    end(&s);
}

static void the_passed_deadline_is_told_from_the_lost_connection(void **state)
{
    /* ERR_TIMEOUT to the command that waited too long, ERR_CLOSED to the others, then up again. */
    (void)state;
    struct session s;
    start_up(&s);
    SEND(&s, 100, "BLPOP nothing 0");
    SEND(&s, 5000, "PING");
    run_until(&s.loop, &s.ups, 2);
    assert_string_equal(s.log, "tc");
    assert_int_equal(s.downs, 1);
    assert_int_equal(s.down.kind, ERR_TIMEOUT);

    SEND(&s, 5000, "BLPOP nothing 0"); /* the later command's deadline passes first */
    SEND(&s, 100, "PING");
    run_until(&s.loop, &s.ups, 3);
    assert_string_equal(s.log, "tcct");
    RUN(&s, "PING");
    must(&s, "PONG");
    run_for(&s.loop, 150); /* the timer of a deadline that was kept does nothing */
    assert_int_equal(s.downs, 2);
    end(&s);
}

static void a_reply_that_waited_for_us_is_not_a_timeout(void **state)
{
    /* We stood still past the deadline, the reply is in the socket: it is taken. */
    (void)state;
    struct session s;
    start_up(&s);
    SEND(&s, 50, "PING");
    uv_run(&s.loop, UV_RUN_NOWAIT);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    run_until(&s.loop, &s.dones, 1);
    must(&s, "PONG");
    end(&s);
}

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
    close_redis(&s);
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
    s.then = close_redis;
    run_until(&s.loop, &s.closed, 1);
    end(&s);

    start_up(&s);
    s.then = close_redis;
    for (int i = 0; i < 3; i++)
        SEND(&s, 5000, "PING");
    run_until(&s.loop, &s.closed, 1);
    end(&s);
    assert_string_equal(s.log, ".cc");

    start_up(&s);
    for (int i = 0; i < 3; i++)
        SEND(&s, 5000, "PING");
    reset_redis(&s);
    s.then = close_redis;
    run_until(&s.loop, &s.closed, 1);
    end(&s);
    assert_int_equal(s.dones, 3);
    assert_int_equal(s.downs, 0);

    start_up(&s);
    reset_redis(&s);
    s.then = close_redis;
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

static void large_values_go_both_ways(void **state)
{
    /* 16 MB out through partial writes, and in again. */
    (void)state;
    enum { BIG_BYTES = 16 << 20 };
    struct session s;
    char *big = xmalloc(BIG_BYTES);
    memset(big, 'x', BIG_BYTES);
    start_up(&s);
    SEND(&s, 20000, "SET big %b", big, (size_t)BIG_BYTES);
    run_until(&s.loop, &s.dones, 1);
    must(&s, "OK");
    SEND(&s, 20000, "GET big");
    run_until(&s.loop, &s.dones, 2);
    assert_int_equal(s.length, BIG_BYTES);
    RUN(&s, "DEL big");
    free(big);
    end(&s);
}

/* A reader that keeps nothing but counts, as one that parses a stream would: one object a reply. */
struct tally {
    redisReply head; /* what hiredis and redis.c look at */
    size_t strings;
    size_t bytes;
};
static int tallies; /* not yet freed */

static struct tally *root_of(const redisReadTask *task, int type)
{
    while (task->parent)
        task = task->parent;
    struct tally *t = task->obj;
    if (!t) {
        t = xcalloc(1, sizeof *t);
        t->head.type = type;
        tallies++;
    }
    assert_int_equal(*(const int *)task->privdata, 42);
    return t;
}

static void *make_string(const redisReadTask *task, char *text, size_t length)
{
    struct tally *t = root_of(task, task->type);
    t->strings++;
    t->bytes += length;
    if (!task->parent) {
        t->head.str = xstrndup(text, length);
        t->head.len = length;
    }
    return t;
}

static struct tally *make_array(const redisReadTask *task)
{
    return root_of(task, REDIS_REPLY_ARRAY);
}

/* The type of the count changed with hiredis 1.0. */
#if HIREDIS_MAJOR >= 1
static void *make_counted_array(const redisReadTask *task, size_t n)
{
    (void)n;
    return make_array(task);
}
#else
static void *make_counted_array(const redisReadTask *task, int n)
{
    (void)n;
    return make_array(task);
}
#endif

static void *make_integer(const redisReadTask *task, long long v)
{
    struct tally *t = root_of(task, REDIS_REPLY_INTEGER);
    if (!task->parent)
        t->head.integer = v;
    return t;
}

static void *make_nil(const redisReadTask *task)
{
    return root_of(task, REDIS_REPLY_NIL);
}

static void free_tally(void *object)
{
    struct tally *t = object;
    free(t->head.str);
    free(t);
    tallies--;
}

static redisReplyObjectFunctions TALLY = {
    .createString = make_string,
    .createArray = make_counted_array,
    .createInteger = make_integer,
    .createNil = make_nil,
    .freeObject = free_tally,
};

static void on_tally(void *owner, const struct err *error, void *reply)
{
    struct session *s = owner;
    const struct tally *t = reply;
    s->dones++;
    s->error = error ? *error : (struct err){0};
    if (t)
        (void)snprintf(s->text, sizeof s->text, "%zu %zu", t->strings, t->bytes);
}

static void read_tally(struct session *s, const char *command)
{
    redis_commandf(s->redis, 20000, on_tally, s, command); /* NOLINT: a constant of this file */
    run_until(&s->loop, &s->dones, s->dones + 1);
}

enum { ENTRIES = 50000 };

static void fill_stream(struct session *s)
{
    RUN(s, "DEL stream");
    for (int i = 1; i <= ENTRIES; i++)
        SEND(s, 20000, "XADD stream %d-0 tenant acme metric llm_tokens quantity 125", i);
    run_until(&s->loop, &s->dones, s->dones + ENTRIES);
}

static void a_reader_of_our_own_replaces_hiredis(void **state)
{
    /* At each connection after the greeting, which hiredis' own reads; nested replies in megabytes
     * come whole; an error reply is ERR_REFUSED all the same; half a reply is given back. */
    (void)state;
    struct session s;
    int privdata = 42;
    start_up(&s);
    fill_stream(&s);
    end(&s);

    start(&s, URL);
    redis_set_reader(s.redis, &TALLY, &privdata);
    run_until(&s.loop, &s.ups, 1);
    for (int round = 0; round < 2; round++) {
        read_tally(&s, "XREAD COUNT 100000 STREAMS stream 0");
        must(&s, "350001 2188900"); /* six strings and an id an entry, and the stream's name */
        read_tally(&s, "NONSENSE");
        assert_int_equal(s.error.kind, ERR_REFUSED);
        assert_non_null(strstr(s.error.text, "unknown command"));
        read_tally(&s, "XREAD COUNT 1 STREAMS stream 99999999");
        assert_int_equal(s.error.kind, ERR_NONE);
        redis_commandf(s.redis, 20000, on_tally, &s, "XREAD COUNT 100000 STREAMS stream 0");
        run_for(&s.loop, 3); /* long enough for a part of it */
        reset_redis(&s);
        run_until(&s.loop, &s.ups, round + 2);
        assert_int_equal(tallies, 0);
    }
    end(&s);
    assert_int_equal(tallies, 0);
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
        cmocka_unit_test(replies_come_in_order),
        cmocka_unit_test(an_error_reply_is_told_and_the_connection_stays),
        cmocka_unit_test(commands_without_a_connection_end_from_the_loop),
        cmocka_unit_test(the_passed_deadline_is_told_from_the_lost_connection),
        cmocka_unit_test(a_reply_that_waited_for_us_is_not_a_timeout),
        cmocka_unit_test(a_reset_ends_the_commands_and_connects_anew),
        cmocka_unit_test(closing_works_in_every_state),
        cmocka_unit_test(closing_works_in_every_callback),
        cmocka_unit_test(the_greeting_authenticates_and_selects),
        cmocka_unit_test(what_is_wrong_with_a_connection_is_told),
        cmocka_unit_test(every_address_of_a_name_is_tried),
        cmocka_unit_test(the_clock_is_compared),
        cmocka_unit_test(large_values_go_both_ways),
        cmocka_unit_test(a_reader_of_our_own_replaces_hiredis),
        cmocka_unit_test(a_connection_that_is_killed_comes_back),
        cmocka_unit_test(a_killed_server_is_a_state),
        cmocka_unit_test(a_frozen_server_is_a_timeout),
        cmocka_unit_test(tools_connect_in_blocking_mode),
    };
    URL = getenv("METERLINE_TEST_REDIS_URL");
    if (!URL) {
        printf("skipped: METERLINE_TEST_REDIS_URL is not set\n");
        return 0;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    metrics_done();
    return failed;
}
