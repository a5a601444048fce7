/* Reads all prices, all customers, all subscriptions whatever their status, and the invoices that
 * matter from Stripe's lists, and lets them become ours by the same function as objects that are
 * fetched for an event: as the first import of an account, or after a gap that Stripe's events no
 * longer fill.
 *
 *   RESTING -> TAKING -> ASKING -> WRITING -> RESTING
 *                ^        ^   ^        |
 *                |  next page |        +-> FINDING -> ASKING … (what the lists no longer have)
 *                +-- WAITING -+
 *
 * The happy path: a list is read page by page, the newest first; each page is applied together with
 * the place that was reached (stripe_catch_up). What comes into being meanwhile is told by events.
 * At the end, those of our customers and subscriptions that no list had are asked for one by one.
 *
 * Failure modes. We are killed: the next run goes on from the place, unless a day has passed; what
 * was applied twice changes nothing. The object at the place is gone: its list is read once more
 * from the top. Another run is under way: by its lease of LEASE_MS, which each page renews; if it
 * goes on, we end with ERR_FENCED. Stripe is away: a page is tried again TRIES times. */
#ifndef METERLINE_STRIPE_SYNC_H
#define METERLINE_STRIPE_SYNC_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct fetcher;
struct pg;
struct stripe_sync;

/* Prices first: what a subscription earns follows from their tiers, which it does not tell. */
enum sync_step {
    SYNC_PRICES,
    SYNC_CUSTOMERS,
    SYNC_SUBSCRIPTIONS,
    SYNC_INVOICES,
    SYNC_OPEN_INVOICES,
    SYNC_GONE
};
enum { SYNC_STEPS = SYNC_GONE + 1 };

struct sync_report {
    enum sync_step step;      /* that it is at */
    int64_t read[SYNC_STEPS]; /* objects, also by runs that were interrupted */
    int64_t odd;              /* that could not be understood, of this run */
    int64_t plans_unknown;    /* subscriptions that fit no plan of the catalog, of this run */
    bool resumed;             /* this run goes on where another one stopped */
};

/* "prices", "customers", "subscriptions", "invoices", "open_invoices", "gone". */
const char *sync_step_name(enum sync_step step);

struct sync_events {
    void (*on_progress)(void *owner, const struct sync_report *report); /* NULL: nobody looks */
    void (*done)(void *owner, const struct err *error, const struct sync_report *report);
    void *owner;
};

/* fetcher, pg: borrowed; nobody else uses pg while it runs. name: of the process, for the lease. */
struct stripe_sync *stripe_sync_new(uv_loop_t *loop, struct fetcher *fetcher, struct pg *pg,
                                    const char *name, struct sync_events events);
/* pg must be ready (asserted). done is called exactly once, from the loop. */
void stripe_sync_start(struct stripe_sync *s);
bool stripe_sync_runs(const struct stripe_sync *s);
/* Before the fetcher and pg are closed. A run under way ends without done being called. */
void stripe_sync_close(struct stripe_sync *s);

#endif
