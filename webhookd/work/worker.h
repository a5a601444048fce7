/* One worker: it has a database connection of its own and works a batch of webhook events at a
 * time. The stage runs WEBHOOKD_WORKERS of them side by side.
 *
 *   RESTING -> PICKING -> WORKING -> PICKING
 *      ^          |          |
 *      +-- none --+          |
 *      +-- connection lost --+
 *
 * The happy path: rows are locked (SKIP LOCKED, so that workers and replicas share the work), their
 * events are worked in the same transaction (event_batch.h), and the next ones are picked. Those
 * that unblock a customer come first; those of one customer are worked by one worker at a time, in
 * their order (pick_events.sql). */
#ifndef METERLINE_WEBHOOKD_WORKER_H
#define METERLINE_WEBHOOKD_WORKER_H

#include <stdbool.h>

struct context;
struct fetcher;
struct limits;
struct worker;

/* Starts as soon as PostgreSQL and its schema are there. fetcher: NULL without a key. Everything is
 * borrowed until it is closed. */
struct worker *worker_open(const struct context *context, struct fetcher *fetcher,
                           struct limits *limits, int number);
/* There may be an event: look at once if it rests. */
void worker_wake(struct worker *w);
/* Stripe may be asked again: what was put off for want of it is due now. */
void worker_hurry(struct worker *w);
/* It has no event. While the stage drains it picks no new one. */
bool worker_is_idle(const struct worker *w);
bool worker_is_ready(const struct worker *w); /* connected */
void worker_close(struct worker *w);

#endif
