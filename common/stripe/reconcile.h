/* One run that compares what Stripe counted with what was sent: for each customer, metric and
 * billing period that is open or ended up to 35 days ago. The results go to usage_drift; where the
 * two sides differ, the minutes and submissions that explain it go there as well.
 *
 * The happy path: the run's row is written; Stripe's meters are read; page by page of tenants each
 * customer's metric is compared (comparison.h); at last the run's row gets its end.
 *
 * Failure modes: if Stripe refuses to tell one figure, that one is unread, and the run goes on. If
 * Stripe or PostgreSQL cannot be reached, the run ends with the error, and its row has no end. */
#ifndef METERLINE_RECONCILE_H
#define METERLINE_RECONCILE_H

#include "common/pg/pg.h"
#include "common/stripe/stripe_usage.h"

#include <stdbool.h>
#include <stdint.h>

struct reconcile;

/* What to compare. Texts are borrowed until done has run. */
struct reconcile_ask {
    const char *reason; /* as in reconcile_runs; a nightly one runs once for all sinks */
    const char *tenant; /* NULL: all */
    const char *at;     /* only periods that contain this time, as PostgreSQL reads it; NULL: all */
    const char *due;    /* minute of the day, UTC, of a nightly run; else NULL */
    bool everything;    /* also meters without submissions or totals of ours */
    bool sent_alone;    /* submissions of unknown outcome do not excuse a drift */
    bool meters_known;  /* the usage's meters were read before: not again */
    bool unproven_alone; /* only what was not compared since a restore and has nothing in flight */
    const char *final_before; /* leave out periods whose invoice was final by then; NULL: none */
    int most;                 /* so many minutes explain a drift, at most */
};

struct reconcile_report {
    int64_t run_id; /* 0: another process makes this run */
    int64_t compared;
    int64_t drifted;
    int64_t unread; /* Stripe refused to tell its figure */
};

/* One comparison, for logs. Texts are borrowed. */
struct reconcile_found {
    const char *tenant;
    const char *metric;
    const char *customer;
    const char *period_start; /* RFC 3339, UTC */
    const char *drift;        /* units; NULL if it was not read … */
    const struct err *error;  /* … and why */
};

struct reconcile_events {
    void (*on_found)(void *owner, const struct reconcile_found *found); /* drift, or unread */
    void (*done)(void *owner, const struct err *error, const struct reconcile_report *report);
    void *owner;
};

/* usage: borrowed; both callbacks from the loop. */
struct reconcile *reconcile_new(struct stripe_usage *usage, struct reconcile_events events);
/* Not while it runs. */
void reconcile_free(struct reconcile *r);

/* Start a run; done exactly once. pg: ready (asserted), and no one else's until done. If it or the
 * api is closed meanwhile, the run ends with ERR_CANCELED. */
void reconcile_start(struct reconcile *r, struct pg *pg, const struct reconcile_ask *ask);

#endif
