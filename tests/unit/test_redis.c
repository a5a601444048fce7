/* Commands and replies of the Redis adapter. */
#include "common/str.h"
#include "redis_session.h"

#include <time.h>

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

    RUN(&s, "CONFIG SET maxmemory 1"); /* what may pass by itself is marked */
    RUN(&s, "SET more memory");
    assert_int_equal(s.error.kind, ERR_REFUSED);
    assert_true(s.error.retry);
    RUN(&s, "CONFIG SET maxmemory 0");
    must(&s, "OK");
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_come_in_order),
        cmocka_unit_test(an_error_reply_is_told_and_the_connection_stays),
        cmocka_unit_test(commands_without_a_connection_end_from_the_loop),
        cmocka_unit_test(the_passed_deadline_is_told_from_the_lost_connection),
        cmocka_unit_test(a_reply_that_waited_for_us_is_not_a_timeout),
        cmocka_unit_test(large_values_go_both_ways),
        cmocka_unit_test(a_reader_of_our_own_replaces_hiredis),
    };
    return run_with_server(tests);
}
