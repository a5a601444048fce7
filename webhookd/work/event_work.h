/* The work on one event that was picked, whose row is locked: from the event to its effect and end
 * in one COMMIT, or to a later try.
 *
 *   RESTING -> LOCKING -> FETCHING -> READING -> WRITING -> CACHING -> RESTING
 *      ^          |          |  ^       |   |       |
 *      |          |          |  +-------+   |       |
 *      +----------+----------+---> DELAYING <-------+
 *
 * The happy path: its customer is locked; with a key the object is fetched anew; what is stored is
 * read, and the event's family judges; the effect, the event's end and COMMIT go out as one
 * pipeline; then the tenant's limits are read and cached. A report of no one customer is fetched or
 * written at once. All up to COMMIT is the transaction of the pick: a crash anywhere leaves the
 * event `received`.
 *
 * Failure modes. The connection is lost: the transaction is gone with it, or COMMIT's outcome is
 * unknown; either way the row tells, when it is picked again or not. PostgreSQL refuses the effect,
 * or Stripe does not answer: rolled back and put off, by the rules of event_rules.h. */
#ifndef METERLINE_WEBHOOKD_EVENT_WORK_H
#define METERLINE_WEBHOOKD_EVENT_WORK_H

#include "common/log.h"
#include "common/pg/pg.h"
#include "webhookd/work/job.h"

#include <stdbool.h>

struct fetcher;
struct limits;

enum event_work_state { WORK_RESTING, LOCKING, FETCHING, READING, WRITING, CACHING, DELAYING };

enum event_work_end {
    WORK_ENDED,  /* done with, or put off */
    WORK_LOST,   /* the connection is, or is being closed */
    WORK_REFUSED /* PostgreSQL refused even to put it off: wait */
};

/* One at a time. */
struct event_work {
    struct pg *pg;           /* what is borrowed, set once by the owner */
    struct fetcher *fetcher; /* NULL without a key */
    struct limits *limits;
    bool live; /* live events are wanted */
    void (*done)(void *owner, enum event_work_end end);
    void *owner;
    struct job job; /* set by the owner: event, attempts; zero while there is none */
    enum event_work_state state;
    enum verdict verdict;
    struct log_repeat delayed; /* since Stripe is away: by turns each event that waits */
    bool lost;                 /* the connection, since the event was picked */
    bool closing;
};

/* job.event is parsed, and its row is locked by a transaction of pg. done runs once, from the loop,
 * and not inside the call; the job is let go before it. */
void event_work_start(struct event_work *w);
/* The row of the event cannot be read, for the reason in job.why: likewise. */
void event_work_fail(struct event_work *w);

#endif
