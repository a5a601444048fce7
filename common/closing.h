/* Closing an object whose parts (handles, connections) take their own time to close: when the last
 * one has closed, the object is freed and its owner is told.
 *
 *     closing_begin(&s->closing, s, free, closed, owner);
 *     closing_handle(&s->closing, &s->timer);
 *     pg_close(s->pg, closing_part_closed, closing_part(&s->closing));
 *     closing_end(&s->closing);
 *
 * The struct is a member of the object, and zero until closing begins. */
#ifndef METERLINE_CLOSING_H
#define METERLINE_CLOSING_H

#include <stdbool.h>

struct closing {
    int open; /* parts that have not closed yet, and 1 until closing_end */
    void *self;
    void (*release)(void *self);
    void (*closed)(void *owner);
    void *owner;
};

/* release frees self, and with it this struct. closed is called after that; NULL if nobody waits.
 */
void closing_begin(struct closing *c, void *self, void (*release)(void *self),
                   void (*closed)(void *owner), void *owner);
bool closing_has_begun(const struct closing *c);

/* One part more. Give the result to the part's close function, along with closing_part_closed,
 * which may be called at once or later. */
struct closing *closing_part(struct closing *c);
void closing_part_closed(void *closing);

/* One part more, a handle of libuv, which this closes. Its data field is used for that. */
void closing_handle(struct closing *c, void *handle);

/* There are no more parts. May free the object at once. */
void closing_end(struct closing *c);

#endif
