/* A timer that fires at multiples of an interval of the wall clock, UTC, so that all sinks claim at
 * the same time. */
#ifndef METERLINE_SINK_WALL_TIMER_H
#define METERLINE_SINK_WALL_TIMER_H

#include <stdint.h>
#include <uv.h>

struct wall_timer {
    uv_timer_t timer; /* to be closed, and to live until it is */
    int64_t interval_ms;
    int64_t next_ms; /* Unix */
    void (*on_time)(void *owner);
    void *owner;
};

/* on_time: from the loop, at each multiple; late ones are not made up for. */
void wall_timer_start(struct wall_timer *t, uv_loop_t *loop, int64_t interval_ms,
                      void (*on_time)(void *owner), void *owner);

#endif
