/* The work on a batch of webhook events: from the picked rows to their effects and their end in one
 * COMMIT.
 *
 *   IDLE -> FETCHING -> READING -> FETCHING -> WRITING -> CACHING -> IDLE
 *     |        |           |                   ^   |
 *     +--------+-----------+-------------------+   +-----> DELAYING -> IDLE
 *
 * The happy path: with a key, the objects of the events are fetched from Stripe, side by side, then
 * the customers that nothing has told the tenant of. What events and fetched objects say goes to
 * apply_stripe_events() in one statement, together with what needs no work; COMMIT follows in the
 * same pipeline, and then the limits that changed are read and cached. All up to COMMIT is the
 * transaction of the pick: a crash anywhere leaves the events `received`.
 *
 * What becomes of an object does not depend on the order in which its events are worked, so nothing
 * is locked while Stripe is asked.
 *
 * Failure modes. The connection is lost: its transaction is gone too, or COMMIT's outcome is
 * unknown. Either way the rows tell, when the events are picked again or not. Stripe does not
 * answer for an event: that one is put off, by the rules of event_rules.h. PostgreSQL refuses the
 * batch: its events are worked one by one, and the one that it refuses alone is put off. */
#ifndef METERLINE_WEBHOOKD_EVENT_BATCH_H
#define METERLINE_WEBHOOKD_EVENT_BATCH_H

#include "common/log.h"
#include "common/pg/pg.h"

#include <stdbool.h>
#include <stdint.h>

struct event_item;
struct fetcher;
struct limits;

/* Where objects are fetched, a batch waits for the slowest of them. */
enum { BATCH_MAX = 128, FETCHED_BATCH_MAX = 256 };

enum event_batch_state { IDLE, FETCHING, READING, WRITING, CACHING, DELAYING };

enum event_batch_end {
    BATCH_ENDED,  /* finished, or put off */
    BATCH_LOST,   /* the connection was lost, or the worker is being closed */
    BATCH_SPLIT,  /* PostgreSQL refused them together: one by one */
    BATCH_REFUSED /* PostgreSQL refused even to put one off: wait */
};

/* One at a time. */
struct event_batch {
    struct pg *pg;           /* borrowed like the next two; set once by the owner */
    struct fetcher *fetcher; /* NULL without a key */
    struct limits *limits;
    bool live; /* take live events, not test events */
    void (*done)(void *owner, enum event_batch_end end);
    void *owner;
    enum event_batch_state state;
    struct event_item *items; /* owned, n of them */
    int n;
    int fetching; /* answers that are still to come */
    bool customers_asked;
    struct log_repeat delayed; /* one for all events: while Stripe is away, each waits in turn */
    bool connection_lost;      /* since the events were picked; cleared by the owner */
    bool closing;              /* set by the owner */
};

/* rows: the answer of pick_events.sql, at least one; a transaction of pg has locked them. done runs
 * once, from the loop and not inside the call. */
void event_batch_start(struct event_batch *b, const PGresult *rows);

#endif
