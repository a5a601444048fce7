/* Closing a thing that has parts, each of which closes in its own time: the last one frees the
 * thing and tells its owner.
 *
 *     closing_begin(&s->closing, s, free, closed, owner);
 *     closing_handle(&s->closing, &s->timer);
 *     pg_close(s->pg, closing_part_closed, closing_part(&s->closing));
 *     closing_end(&s->closing);
 *
 * The struct lies in the thing itself, zeroed until closing begins. */
#ifndef METERLINE_CLOSING_H
#define METERLINE_CLOSING_H

#include <stdbool.h>

struct closing {
    int open; /* parts, and 1 until all are named */
    void *self;
    void (*release)(void *self);
    void (*closed)(void *owner);
    void *owner;
};

/* release frees self, and with it this struct. closed is called after it; NULL: nobody asks. */
void closing_begin(struct closing *c, void *self, void (*release)(void *self),
                   void (*closed)(void *owner), void *owner);
bool closing_has_begun(const struct closing *c);

/* One part more. To be given to its close function, with closing_part_closed: at once, or later. */
struct closing *closing_part(struct closing *c);
void closing_part_closed(void *closing);

/* Closes a handle of libuv. Its data is ours from now on. */
void closing_handle(struct closing *c, void *handle);

/* All parts were named. May free the thing. */
void closing_end(struct closing *c);

#endif
