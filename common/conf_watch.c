#include "common/conf_watch.h"

#include "common/str.h"

#include <stdlib.h>

enum { LOOK_MS = 1000 };

struct conf_watch {
    struct conf_reload *files;
    uv_timer_t timer;
};

static void on_timer(uv_timer_t *timer)
{
    struct conf_watch *w = timer->data;
    conf_reload_changed(w->files);
}

void conf_watch_read(struct conf_watch *w)
{
    if (w)
        conf_reload_all(w->files);
}

struct conf_watch *conf_watch_open(uv_loop_t *loop, const struct conf_reload_terms *terms)
{
    struct conf_reload *files = conf_reload_new(terms);
    if (!files)
        return NULL;
    struct conf_watch *w = xcalloc(1, sizeof *w);
    w->files = files;
    uv_timer_init(loop, &w->timer);
    w->timer.data = w;
    uv_timer_start(&w->timer, on_timer, LOOK_MS, LOOK_MS);
    return w;
}

static void on_closed(uv_handle_t *handle)
{
    struct conf_watch *w = handle->data;
    conf_reload_free(w->files);
    free(w);
}

void conf_watch_close(struct conf_watch *w)
{
    uv_close((uv_handle_t *)&w->timer, on_closed);
}
