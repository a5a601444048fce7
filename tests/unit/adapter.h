/* For tests of adapters that need a server of their own. tests/run_all starts it and tells the
 * address by an environment variable (tests/line/units.py); without it the tests are skipped. */
#ifndef METERLINE_TEST_ADAPTER_H
#define METERLINE_TEST_ADAPTER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000, TICK_MS = 2 };

/* Have our parent do something with the server ("kill", "start"); returns when it is done. */
static inline void ask_server(const char *what)
{
    char line[64];
    printf("\n@%s\n", what);
    (void)fflush(stdout);
    assert_non_null(fgets(line, sizeof line, stdin));
    assert_string_equal(line, "done\n");
}

/* Nothing: it only ends a turn of the loop, which else would wait for the next event. */
static inline void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

/* Run the loop until *count has reached wanted, or that much time has passed. */
static inline void run_within(uv_loop_t *loop, const int *count, int wanted, uint64_t ms)
{
    uv_timer_t tick;
    uv_timer_init(loop, &tick);
    uv_timer_start(&tick, on_tick, TICK_MS, TICK_MS);
    uv_update_time(loop);
    uint64_t until_ms = uv_now(loop) + ms;
    while (*count < wanted && uv_now(loop) < until_ms)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
}

static inline void run_until(uv_loop_t *loop, const int *count, int wanted)
{
    run_within(loop, count, wanted, PATIENCE_MS);
    if (*count < wanted)
        fail_msg("waited in vain: %d of %d", *count, wanted);
}

/* Let the loop run for that long. */
static inline void run_for(uv_loop_t *loop, uint64_t ms)
{
    static const int never = 0;
    run_within(loop, &never, 1, ms);
}

/* Resident memory, in KiB (/proc/self/statm counts pages). */
static inline long resident_kib(void)
{
    long total = 0;
    long resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &total, &resident), 2);
    (void)fclose(f);
    return resident * 4;
}

#endif
