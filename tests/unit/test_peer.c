/* One peer, several connections: one gauge, one pair of log lines. */
#include "capture.h"
#include "common/metrics.h"
#include "common/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void must_be_up(int64_t expected)
{
    assert_int_equal(metric_value(metric_get("meterline_peer_up", "peer=\"redis\"", "",
                                             METRIC_GAUGE, METRIC_PLAIN)),
                     expected);
}

static int count(const char *text, const char *wanted)
{
    int n = 0;
    for (; (text = strstr(text, wanted)) != NULL; text++)
        n++;
    return n;
}

static void a_peer_is_up_while_one_connection_works(void **state)
{
    /* The gauge is there from the start; losing or closing one of two does not clear it. */
    (void)state;
    struct peer_link a;
    struct peer_link b;
    struct err e;
    struct capture c = capture_start(2);
    err_set(&e, ERR_CLOSED, "gone");
    peer_link_init(&a, PEER_REDIS);
    peer_link_init(&b, PEER_REDIS);
    must_be_up(0);
    peer_link_up(&a);
    peer_link_up(&a);
    peer_link_up(&b);
    must_be_up(1);
    peer_link_lost(&a, &e, 50);
    must_be_up(1);
    peer_link_closed(&b);
    must_be_up(0);
    peer_link_up(&a);
    must_be_up(1);
    peer_link_closed(&a);
    peer_link_closed(&a);
    must_be_up(0);
    free(capture_end(&c));
}

static void a_loss_is_logged_once_and_so_is_the_return(void **state)
{
    /* Many connections and many tries: one line each way, with why and how long to wait. */
    (void)state;
    struct peer_link links[3];
    struct err e;
    struct capture c = capture_start(2);
    err_set(&e, ERR_CONNECT, "Connection refused");
    for (int i = 0; i < 3; i++)
        peer_link_init(&links[i], PEER_POSTGRES);
    for (int i = 0; i < 9; i++)
        peer_link_lost(&links[i % 3], &e, 100);
    for (int i = 0; i < 3; i++)
        peer_link_up(&links[i]);
    for (int i = 0; i < 3; i++)
        peer_link_closed(&links[i]);
    char *text = capture_end(&c);
    assert_int_equal(count(text, "event=peer_lost peer=postgres wait_ms=100 err=connect "
                                 "msg=\"Connection refused\"\n"),
                     1);
    assert_int_equal(count(text, "event=peer_back peer=postgres\n"), 1);
    assert_int_equal(count(text, "\n"), 2);
    free(text);
}

static void a_clock_that_differs_is_warned_of(void **state)
{
    /* Above 2 s, either way; the gauge has it in any case. */
    (void)state;
    struct capture c = capture_start(2);
    peer_measured_clock(PEER_REDIS, 2000);
    peer_measured_clock(PEER_REDIS, -2000);
    peer_measured_clock(PEER_REDIS, 2001);
    peer_measured_clock(PEER_REDIS, -2001);
    char *text = capture_end(&c);
    assert_int_equal(count(text, "event=clock_differed peer=redis offset_ms="), 2);
    assert_int_equal(count(text, "\n"), 2);
    assert_int_equal(metric_value(metric_get("meterline_clock_offset_seconds", "peer=\"redis\"", "",
                                             METRIC_GAUGE, METRIC_MS_AS_SECONDS)),
                     -2001);
    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_is_up_while_one_connection_works),
        cmocka_unit_test(a_loss_is_logged_once_and_so_is_the_return),
        cmocka_unit_test(a_clock_that_differs_is_warned_of),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    metrics_done();
    return failed;
}
