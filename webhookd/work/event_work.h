/* The work on one webhook event: from the picked row to its effect and its end in one COMMIT, or to
 * a later try.
 *
 *   IDLE -> LOCKING -> FETCHING -> READING -> WRITING -> CACHING -> IDLE
 *     ^        |          |  ^       |   |       |
 *     |        |          |  +-------+   |       |
 *     +--------+----------+---> DELAYING <-------+
 *
 * The happy path: the customer is locked. With a key the object is fetched from Stripe. What is
 * stored is read, and the event's family judges. The effect, the event's end and COMMIT go out as
 * one pipeline, and then the tenant's limits are read and cached. A report skips the lock, and is
 * fetched only if it has to be. Everything up to COMMIT is the transaction of the pick: a crash
 * anywhere leaves the event `received`.
 *
 * Failure modes. The connection is lost: its transaction is gone too, or COMMIT's outcome is
 * unknown. Either way the row tells, when the event is picked again or not. PostgreSQL refuses the
 * effect, or Stripe does not answer: rolled back and put off, by the rules of event_rules.h. */
#ifndef METERLINE_WEBHOOKD_EVENT_WORK_H
#define METERLINE_WEBHOOKD_EVENT_WORK_H

#include "common/log.h"
#include "common/pg/pg.h"
#include "webhookd/work/job.h"

#include <stdbool.h>

struct fetcher;
struct limits;

enum event_work_state { IDLE, LOCKING, FETCHING, READING, WRITING, CACHING, DELAYING };

enum event_work_end {
    WORK_ENDED,  /* finished, or put off */
    WORK_LOST,   /* the connection was lost, or the worker is being closed */
    WORK_REFUSED /* PostgreSQL refused even to put it off: wait */
};

/* One at a time. */
struct event_work {
    struct pg *pg;           /* borrowed like the next two; set once by the owner */
    struct fetcher *fetcher; /* NULL without a key */
    struct limits *limits;
    bool live; /* take live events, not test events */
    void (*done)(void *owner, enum event_work_end end);
    void *owner;
    struct job job; /* set by the owner: event, attempts; zero while there is none */
    enum event_work_state state;
    enum verdict verdict;
    struct log_repeat delayed; /* one for all events: while Stripe is away, each waits in turn */
    bool connection_lost;      /* since the event was picked */
    bool closing;              /* set by the owner */
};

/* job.event was parsed, and a transaction of pg has locked its row. done runs once, from the loop
 * and not inside the call; the job is cleared before it. */
void event_work_start(struct event_work *w);
/* Likewise, but the event cannot be understood, for the reason in job.why: it ends as failed. */
void event_work_fail(struct event_work *w);

#endif
