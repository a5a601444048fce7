#include "emitter/daemon/outlet_watch.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct outlet_watch {
    uv_async_t async;
    void (*on_sent)(void *owner);
    void *owner;
    pthread_mutex_t lock; /* of what follows */
    char fault[256];      /* the last one; "": all is well */
    bool has_news;
    /* The loop's. */
    struct log_causes failed;
};

void outlet_watch_state(void *owner, const char *fault)
{
    struct outlet_watch *w = owner;
    pthread_mutex_lock(&w->lock);
    snprintf(w->fault, sizeof w->fault, "%s", fault ? fault : "");
    w->has_news = true;
    pthread_mutex_unlock(&w->lock);
    uv_async_send(&w->async);
}

void outlet_watch_sent(void *owner)
{
    struct outlet_watch *w = owner;
    uv_async_send(&w->async);
}

static void tell_news(struct outlet_watch *w, const char *fault)
{
    uint64_t suppressed = 0;
    if (!*fault) {
        if (log_cause_recovered(&w->failed))
            log_info(delivery_recovered, LOG_MSG("what waits in the spool is sent again"));
    } else if (log_cause_failed(&w->failed, fault, clock_monotonic_ms(), &suppressed)) {
        log_warn(delivery_failed, LOG_U64("held_back", suppressed), LOG_MSG(fault));
    }
}

static void on_async(uv_async_t *async)
{
    struct outlet_watch *w = async->data;
    char fault[sizeof w->fault];
    pthread_mutex_lock(&w->lock);
    bool has_news = w->has_news;
    snprintf(fault, sizeof fault, "%s", w->fault);
    w->has_news = false;
    pthread_mutex_unlock(&w->lock);
    if (has_news)
        tell_news(w, fault);
    w->on_sent(w->owner);
}

struct outlet_watch *outlet_watch_open(uv_loop_t *loop, void (*on_sent)(void *owner), void *owner)
{
    struct outlet_watch *w = xcalloc(1, sizeof *w);
    w->on_sent = on_sent;
    w->owner = owner;
    pthread_mutex_init(&w->lock, NULL);
    uv_async_init(loop, &w->async, on_async);
    w->async.data = w;
    return w;
}

static void on_closed(uv_handle_t *handle)
{
    struct outlet_watch *w = handle->data;
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void outlet_watch_close(struct outlet_watch *w)
{
    uv_close((uv_handle_t *)&w->async, on_closed);
}
