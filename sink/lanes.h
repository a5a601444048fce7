/* Claiming in lanes side by side: each has a connection of its own and tenants of its own, so that
 * PostgreSQL works on several pages at once. */
#ifndef METERLINE_SINK_LANES_H
#define METERLINE_SINK_LANES_H

#include "sink/claim.h"
#include "sink/session.h"

struct lanes;

struct lanes_events {
    void (*on_usable)(void *owner); /* a connection is usable (again) */
    void (*on_page)(void *owner);   /* a page with submissions was committed */
    claim_done_fn on_done;          /* the sum of all lanes; error: the first one's that failed */
    void *owner;
};

struct lanes *lanes_open(struct stage *stage, const char *url, struct lanes_events events);

/* Claim all that is dirty. They are idle (asserted). */
void lanes_start(struct lanes *l);
/* End with the pages at hand, for good. */
void lanes_stop(struct lanes *l);
/* No claim is under way. */
bool lanes_are_resting(const struct lanes *l);
/* … and all connections are idle. */
bool lanes_are_idle(const struct lanes *l);
/* Appends what is missing to why, and returns false, while one is not usable. */
bool lanes_are_usable(const struct lanes *l, struct buf *why);
/* A connection for other short work while they rest. */
struct session *lanes_session(const struct lanes *l);

/* closed runs from the loop when l is freed. */
void lanes_close(struct lanes *l, void (*closed)(void *owner), void *owner);

#endif
