/* Commands and replies of the Redis adapter. */
#include "aggregator/stream/xread.h"
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

/* The decoder that there is: of replies to XREAD. */
struct decoding {
    struct session session;
    struct xread reader;
    struct entries entries;
};

static void restart_decoding(void *owner)
{
    struct decoding *d = owner;
    xread_restart(&d->reader);
}

static char *reserve_decoding(void *owner, size_t *size)
{
    struct decoding *d = owner;
    return xread_reserve(&d->reader, size);
}

static int take_decoding(void *owner, size_t n, struct err *e)
{
    struct decoding *d = owner;
    return xread_take(&d->reader, n, e);
}

static void on_decoded(void *owner, const struct err *error, void *reply)
{
    struct decoding *d = owner;
    assert_null(reply);
    d->session.dones++;
    d->session.error = error ? *error : (struct err){0};
}

static void start_decoding(struct decoding *d)
{
    *d = (struct decoding){0};
    start(&d->session, URL);
    xread_target(&d->reader, &d->entries);
    redis_set_decoder(d->session.redis,
                      (struct redis_decoder){restart_decoding, reserve_decoding, take_decoding, d});
    run_until(&d->session.loop, &d->session.ups, 1);
}

static void send_decoding(struct decoding *d, const char *command)
{
    redis_commandf(d->session.redis, 20000, on_decoded, d,
                   command); /* NOLINT: a constant of this file */
}

static void run_decoding(struct decoding *d, const char *command)
{
    send_decoding(d, command);
    run_until(&d->session.loop, &d->session.dones, d->session.dones + 1);
}

static void end_decoding(struct decoding *d)
{
    end(&d->session);
    xread_done(&d->reader);
    entries_done(&d->entries);
}

enum { ENTRIES = 50000 };

static void fill_stream(struct session *s)
{
    RUN(s, "DEL stream");
    for (int i = 1; i <= ENTRIES; i++)
        SEND(s, 20000, "XADD stream %d-0 tenant acme metric llm_tokens quantity 125", i);
    run_until(&s->loop, &s->dones, s->dones + ENTRIES);
}

static void a_decoder_gets_the_bytes(void **state)
{
    /* At each connection after the greeting, which is hiredis' own; replies in megabytes come
     * whole, an error reply is ERR_REFUSED all the same, half a reply is forgotten. */
    (void)state;
    struct session s;
    struct decoding d;
    start_up(&s);
    fill_stream(&s);
    end(&s);

    start_decoding(&d);
    for (int round = 0; round < 2; round++) {
        run_decoding(&d, "XREAD COUNT 100000 STREAMS stream 0");
        assert_int_equal(d.session.error.kind, ERR_NONE);
        assert_int_equal(d.entries.count, ENTRIES);
        assert_int_equal(d.entries.bytes,
                         ENTRIES * strlen("tenantacmemetricllm_tokensquantity125"));
        run_decoding(&d, "NONSENSE");
        assert_int_equal(d.session.error.kind, ERR_REFUSED);
        assert_non_null(strstr(d.session.error.text, "unknown command"));
        run_decoding(&d, "XREAD COUNT 1 STREAMS stream 99999999");
        assert_int_equal(d.session.error.kind, ERR_NONE);
        entries_clear(&d.entries);
        send_decoding(&d, "XREAD COUNT 100000 STREAMS stream 0");
        run_for(&d.session.loop, 3); /* long enough for a part of it */
        reset_redis(&d.session);
        run_until(&d.session.loop, &d.session.ups, round + 2);
        assert_int_equal(d.entries.count, 0);
    }
    end_decoding(&d);
}

static void decoded_replies_come_in_order(void **state)
{
    /* Many commands in flight, answered within few reads: each has its own reply. */
    (void)state;
    struct session s;
    struct decoding d;
    start_up(&s);
    RUN(&s, "DEL stream");
    RUN(&s, "XADD stream 1-1 a b");
    end(&s);

    start_decoding(&d);
    for (int i = 0; i < 3000; i++)
        send_decoding(&d, "XREAD STREAMS stream 0");
    send_decoding(&d, "PING"); /* answered, though not with entries */
    run_until(&d.session.loop, &d.session.dones, 3001);
    assert_int_equal(d.session.error.kind, ERR_INPUT);
    assert_non_null(strstr(d.session.error.text, "+PONG"));
    assert_int_equal(d.entries.count, 3000);
    assert_int_equal(d.session.downs, 0);
    end_decoding(&d);
}

static void bytes_that_make_no_sense_end_the_connection(void **state)
{
    /* Nobody knows where the next reply begins, so it is made anew; the text says why. */
    (void)state;
    struct decoding d;
    start_decoding(&d);
    send_decoding(&d, "ECHO hello");
    run_decoding(&d, "XREAD STREAMS stream 0");
    assert_int_equal(d.session.error.kind, ERR_CLOSED);
    assert_non_null(strstr(d.session.error.text, "malformed XREAD reply at byte"));
    run_until(&d.session.loop, &d.session.dones, 2);
    run_until(&d.session.loop, &d.session.ups, 2);
    run_decoding(&d, "XREAD STREAMS nothing 0");
    assert_int_equal(d.session.error.kind, ERR_NONE);
    end_decoding(&d);
}

static void a_decoder_is_told_of_a_lost_connection(void **state)
{
    /* The command in flight ends when Redis closes the connection, and the next one is answered. */
    (void)state;
    struct session s;
    struct decoding d;
    start_decoding(&d);
    send_decoding(&d, "XREAD BLOCK 0 STREAMS nothing 0");
    run_for(&d.session.loop, 20);
    start_up(&s);
    RUN(&s, "CLIENT KILL TYPE normal SKIPME yes");
    end(&s);
    run_until(&d.session.loop, &d.session.dones, 1);
    assert_int_equal(d.session.error.kind, ERR_CLOSED);
    run_until(&d.session.loop, &d.session.ups, 2);
    run_decoding(&d, "XREAD STREAMS nothing 0");
    assert_int_equal(d.session.error.kind, ERR_NONE);
    end_decoding(&d);
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
        cmocka_unit_test(a_decoder_gets_the_bytes),
        cmocka_unit_test(decoded_replies_come_in_order),
        cmocka_unit_test(bytes_that_make_no_sense_end_the_connection),
        cmocka_unit_test(a_decoder_is_told_of_a_lost_connection),
    };
    return run_with_server(tests);
}
