/* Claim workers, side by side: each has a connection of its own and half of the tenants, so that
 * PostgreSQL works on several pages at once. */
#ifndef METERLINE_SINK_CLAIM_WORKERS_H
#define METERLINE_SINK_CLAIM_WORKERS_H

#include "sink/claim/claim.h"
#include "sink/session.h"

struct claim_workers;

struct claim_workers_events {
    void (*on_usable)(void *owner); /* a connection is usable (again) */
    void (*on_page)(void *owner);   /* a page with submissions was committed */
    claim_done_fn on_done;          /* the sum of all; error: of the first that failed */
    void *owner;
};

struct claim_workers *claim_workers_open(struct stage *stage, const char *url,
                                         struct claim_workers_events events);

/* Claim all that is dirty. They are idle (asserted). */
void claim_workers_start(struct claim_workers *w);
/* End with the pages at hand, for good. */
void claim_workers_stop(struct claim_workers *w);
/* No claim is under way. */
bool claim_workers_are_resting(const struct claim_workers *w);
/* … and all connections are idle. */
bool claim_workers_are_idle(const struct claim_workers *w);
/* Appends what is missing to why, and returns false, while one is not usable. */
bool claim_workers_are_usable(const struct claim_workers *w, struct buf *why);
/* A connection for other short work while they rest. */
struct session *claim_workers_session(const struct claim_workers *w);

/* closed runs from the loop when w is freed. */
void claim_workers_close(struct claim_workers *w, void (*closed)(void *owner), void *owner);

#endif
