/* Comparing one customer's usage of one metric in one billing period: what we sent, and what Stripe
 * has counted. The result goes to usage_drift. */
#ifndef METERLINE_COMPARISON_H
#define METERLINE_COMPARISON_H

#include "common/stripe/reconcile.h"

/* Columns of reconcile_targets.sql. */
enum target_column {
    TARGET_TENANT,
    TARGET_METRIC, /* NULL: a tenant without anything to compare */
    TARGET_CUSTOMER,
    TARGET_EVENT_NAME,
    TARGET_ITEM,
    TARGET_NEWEST,
    TARGET_PERIOD_START,
    TARGET_PERIOD_END,
    TARGET_START_S,
    TARGET_END_S,
    TARGET_PERIOD /* period_start for people: RFC 3339, UTC */
};

/* One row of its (text) result. */
struct target {
    const PGresult *rows;
    int row;
};
/* A target_column's text, NULL for SQL NULL. Borrowed from the rows. */
const char *target_text(const struct target *t, int column);

enum comparison_outcome {
    COMPARISON_WRITTEN, /* to usage_drift; drift is what was found */
    COMPARISON_NOTHING, /* Stripe has no meter, and nothing was sent */
    COMPARISON_UNREAD,  /* Stripe refused to tell its figure; error says why */
    COMPARISON_FAILED   /* PostgreSQL or Stripe cannot be reached: the run is over */
};
typedef void (*comparison_done_fn)(void *owner, enum comparison_outcome outcome, struct dec drift,
                                   const struct err *error);

struct comparison;

/* usage: borrowed; stripe_usage_load must have run before a comparison starts. */
struct comparison *comparison_new(struct stripe_usage *usage, comparison_done_fn done, void *owner);
/* Not while it runs. */
void comparison_free(struct comparison *c);
/* Compare; done exactly once, from the loop. pg as in reconcile_start; t's rows and ask are
 * borrowed until done. */
void comparison_start(struct comparison *c, struct pg *pg, const struct target *t,
                      const struct reconcile_ask *ask, int64_t run_id);

#endif
