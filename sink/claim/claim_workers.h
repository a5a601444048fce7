/* Claiming in halves side by side: each has a connection of its own and tenants of its own, so that
 * PostgreSQL works on several pages at once. */
#ifndef METERLINE_SINK_HALVES_H
#define METERLINE_SINK_HALVES_H

#include "sink/claim/claim.h"
#include "sink/session.h"

struct halves;

struct halves_events {
    void (*on_usable)(void *owner); /* a connection is usable (again) */
    void (*on_page)(void *owner);   /* a page with submissions was committed */
    claim_done_fn on_done;          /* the sum of both; error: the first one's that failed */
    void *owner;
};

struct halves *halves_open(struct stage *stage, const char *url, struct halves_events events);

/* Claim all that is dirty. They are idle (asserted). */
void halves_start(struct halves *l);
/* End with the pages at hand, for good. */
void halves_stop(struct halves *l);
/* No claim is under way. */
bool halves_are_resting(const struct halves *l);
/* … and all connections are idle. */
bool halves_are_idle(const struct halves *l);
/* Appends what is missing to why, and returns false, while one is not usable. */
bool halves_are_usable(const struct halves *l, struct buf *why);
/* A connection for other short work while they rest. */
struct session *halves_session(const struct halves *l);

/* closed runs from the loop when l is freed. */
void halves_close(struct halves *l, void (*closed)(void *owner), void *owner);

#endif
