/* Comparing one place: one customer's metric in one billing period. */
#ifndef METERLINE_RECONCILE_PLACE_H
#define METERLINE_RECONCILE_PLACE_H

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

enum place_outcome {
    PLACE_COMPARED, /* and written to usage_drift; drift says what it is */
    PLACE_NOTHING,  /* Stripe has no meter, and nothing was sent: there is nothing to compare */
    PLACE_UNREAD,   /* Stripe does not tell; the error says why */
    PLACE_FAILED    /* PostgreSQL or Stripe is away: the run is over */
};
typedef void (*place_done_fn)(void *owner, enum place_outcome outcome, struct dec drift,
                              const struct err *error);

struct place_check;

/* usage: borrowed, its meters are loaded before a place is compared. */
struct place_check *place_check_new(struct stripe_usage *usage, place_done_fn done, void *owner);
/* Not while it runs. */
void place_check_free(struct place_check *p);
/* Compare; done exactly once, from the loop. pg as in reconcile_start; t's rows and ask are
 * borrowed until done. */
void place_check_start(struct place_check *p, struct pg *pg, const struct target *t,
                       const struct reconcile_ask *ask, int64_t run_id);

#endif
