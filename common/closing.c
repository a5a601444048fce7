#include "common/closing.h"

#include <assert.h>
#include <uv.h>

void closing_begin(struct closing *c, void *self, void (*release)(void *self),
                   void (*closed)(void *owner), void *owner)
{
    assert(!closing_has_begun(c));
    *c = (struct closing){
        .open = 1, .self = self, .release = release, .closed = closed, .owner = owner};
}

bool closing_has_begun(const struct closing *c)
{
    return c->open > 0;
}

struct closing *closing_part(struct closing *c)
{
    assert(closing_has_begun(c));
    c->open++;
    return c;
}

void closing_part_closed(void *closing)
{
    struct closing *c = closing;
    assert(c->open > 0);
    if (--c->open > 0)
        return;
    const struct closing last = *c; /* release frees it */
    last.release(last.self);
    if (last.closed)
        last.closed(last.owner);
}

static void on_handle_closed(uv_handle_t *handle)
{
    closing_part_closed(handle->data);
}

void closing_handle(struct closing *c, void *handle)
{
    uv_handle_t *h = handle;
    h->data = closing_part(c);
    uv_close(h, on_handle_closed);
}

void closing_end(struct closing *c)
{
    closing_part_closed(c);
}
