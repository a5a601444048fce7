#include "common/redis/redis_loss.h"

#include "common/redis/redis_stamp.h"
#include "common/str.h"

#include <stdlib.h>

enum { LOOK_EVERY_MS = 1000 };

struct redis_loss {
    struct redis_router *router;
    uv_timer_t timer;
    uint64_t stamp; /* as last seen; 0: not yet */
    bool asking;
    bool closing;
    bool closed; /* the timer */
    void (*lost)(void *owner);
    void *owner;
};

static void may_end(struct redis_loss *w)
{
    if (w->closed && !w->asking)
        free(w);
}

/* A server that does not answer tells nothing; once it does, it is the same or another one. */
static void take_stamp(void *owner, uint64_t stamp)
{
    struct redis_loss *w = owner;
    bool is_other = stamp != 0 && w->stamp != 0 && stamp != w->stamp;
    w->asking = false;
    if (stamp != 0)
        w->stamp = stamp;
    if (is_other && !w->closing)
        w->lost(w->owner);
    may_end(w);
}

static void look(uv_timer_t *timer)
{
    struct redis_loss *w = timer->data;
    if (w->asking || !redis_router_is_up(w->router))
        return;
    w->asking = true;
    redis_stamp_ask(w->router, REDIS_STAMP_EMPTIED, take_stamp, w);
}

struct redis_loss *redis_loss_watch(uv_loop_t *loop, struct redis_router *router,
                                    void (*lost)(void *owner), void *owner)
{
    struct redis_loss *w = xcalloc(1, sizeof *w);
    *w = (struct redis_loss){.router = router, .lost = lost, .owner = owner};
    uv_timer_init(loop, &w->timer);
    w->timer.data = w;
    uv_timer_start(&w->timer, look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    return w;
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct redis_loss *w = timer->data;
    w->closed = true;
    may_end(w);
}

void redis_loss_close(struct redis_loss *w)
{
    w->closing = true;
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}
