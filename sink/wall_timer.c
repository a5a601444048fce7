/* The loop's timers follow the monotonic clock, so that the wall clock is looked at again now and
 * then: it may be set right meanwhile. */
#include "sink/wall_timer.h"

#include "common/clock.h"

#include <stdbool.h>

enum { LONGEST_SLEEP_MS = 60000 };

static void on_timer(uv_timer_t *timer);

static void sleep_until_next(struct wall_timer *t)
{
    int64_t now_ms = clock_unix_ms();
    /* Also where the clock was set back by more than an interval. */
    if (t->next_ms == 0 || t->next_ms - now_ms > t->interval_ms)
        t->next_ms = clock_next_tick(now_ms, t->interval_ms);
    int64_t wait_ms = t->next_ms - now_ms;
    if (wait_ms > LONGEST_SLEEP_MS)
        wait_ms = LONGEST_SLEEP_MS;
    uv_update_time(t->timer.loop);
    uv_timer_start(&t->timer, on_timer, (uint64_t)(wait_ms > 0 ? wait_ms : 1), 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct wall_timer *t = timer->data;
    bool due = clock_unix_ms() >= t->next_ms;
    if (due)
        t->next_ms = 0;
    sleep_until_next(t);
    if (due)
        t->on_time(t->owner);
}

void wall_timer_start(struct wall_timer *t, uv_loop_t *loop, int64_t interval_ms,
                      void (*on_time)(void *owner), void *owner)
{
    *t = (struct wall_timer){.interval_ms = interval_ms, .on_time = on_time, .owner = owner};
    uv_timer_init(loop, &t->timer);
    t->timer.data = t;
    sleep_until_next(t);
}
