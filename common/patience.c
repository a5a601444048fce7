#include "common/patience.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdlib.h>

enum { LOOK_EVERY_MS = 200, PAUSE_MS = 2000 };

struct patience {
    uv_timer_t timer;
    int64_t limit_ms;
    int64_t waited_ms; /* since it was ready */
    int64_t looked_ms; /* monotonic */
    bool (*ready)(void *owner, struct buf *why);
    void (*over)(void *owner);
    void *owner;
};

static void on_look(uv_timer_t *timer)
{
    struct patience *p = timer->data;
    struct buf why = {0};
    int64_t now_ms = clock_monotonic_ms();
    int64_t since_ms = now_ms - p->looked_ms;
    p->looked_ms = now_ms;
    p->waited_ms += since_ms < PAUSE_MS ? since_ms : LOOK_EVERY_MS;
    if (p->ready(p->owner, &why)) {
        p->waited_ms = 0;
    } else if (p->waited_ms >= p->limit_ms) {
        uv_timer_stop(&p->timer);
        buf_join_lines(&why);
        log_error(gave_up, LOG_I64("waited_s", p->limit_ms / 1000),
                  LOG_MSG(why.length > 0 ? why.data : "not ready"));
        p->over(p->owner);
    }
    buf_done(&why);
}

struct patience *patience_open(uv_loop_t *loop, int64_t limit_ms,
                               bool (*ready)(void *owner, struct buf *why),
                               void (*over)(void *owner), void *owner)
{
    struct patience *p = xcalloc(1, sizeof *p);
    *p = (struct patience){.limit_ms = limit_ms,
                           .looked_ms = clock_monotonic_ms(),
                           .ready = ready,
                           .over = over,
                           .owner = owner};
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    uv_timer_start(&p->timer, on_look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    return p;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void patience_close(struct patience *p)
{
    uv_close((uv_handle_t *)&p->timer, on_closed);
}
