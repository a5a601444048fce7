/* What the files of the worker share: worker.c (the machine, picking), worker_judge.c (locking,
 * fetching, reading), worker_end.c (writing, putting off, caching). Nobody else includes this. */
#ifndef METERLINE_WORKER_INTERNAL_H
#define METERLINE_WORKER_INTERNAL_H

#include "common/backoff.h"
#include "common/log.h"
#include "webhookd/job.h"
#include "webhookd/retry.h"
#include "webhookd/webhookd.h"
#include "webhookd/worker.h"

enum {
    DEADLINE_MS = 10000,
    LOCK_DEADLINE_MS = 60000, /* another worker may hold the customer while Stripe is slow */
    POLL_MS = 1000            /* for events put off, and those of a process that died */
};

enum worker_state { RESTING, PICKING, LOCKING, FETCHING, READING, WRITING, CACHING, DELAYING };

struct worker {
    struct webhookd *d;
    struct pg *pg;
    uv_timer_t timer;
    enum worker_state state;
    struct job job; /* zero while there is none */
    enum verdict verdict;
    struct backoff backoff; /* between picks that PostgreSQL refuses */
    struct log_repeat refused;
    struct log_repeat delayed; /* since Stripe is away: by turns each event that waits */
    bool woken;                /* while it was at work: there may be more */
    bool lost;                 /* the connection, since the event was picked */
    bool closing;
    int open_parts; /* handles, connections and fetches that still point here */
};

/* worker.c */
void worker_go(struct worker *w, enum worker_state next); /* asserts that the move is legal */
/* Let the event go and look again after that time. */
void worker_rest(struct worker *w, uint64_t wait_ms);
/* Let the event go and take the next one. */
void worker_next(struct worker *w);
void worker_part_closed(struct worker *w);

/* worker_judge.c */
void worker_start_job(struct worker *w); /* the event is parsed and its row is locked */

/* worker_end.c */
/* What every answer of PostgreSQL asks first. True: it was an error, and is dealt with. */
bool worker_is_lost(struct worker *w, const struct err *error);
/* Write the effect, if that is the verdict, with the event's end, and commit. */
void worker_run_write(struct worker *w, enum verdict verdict);
/* Put the event off, or give it up. in_transaction: the one of the pick is still open. */
void worker_run_delay(struct worker *w, enum retry_cause cause, bool in_transaction);

#endif
