/* What the outlet's thread has to tell, brought to the loop. */
#ifndef METERLINE_EMITTER_OUTLET_WATCH_H
#define METERLINE_EMITTER_OUTLET_WATCH_H

#include <uv.h>

struct outlet_watch; /* opaque */

struct outlet_watch *outlet_watch_open(uv_loop_t *loop, void (*on_sent)(void *owner), void *owner);
/* For struct outlet_terms; owner: the watch. Any thread. */
void outlet_watch_state(void *owner, const char *fault);
void outlet_watch_sent(void *owner);
/* The outlet was closed before. Freed from the loop. */
void outlet_watch_close(struct outlet_watch *w);

#endif
