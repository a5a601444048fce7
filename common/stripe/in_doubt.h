/* Submissions in doubt: nobody knows whether Stripe took them. Stripe's own figure for their minute
 * decides. It is read twice, an hour apart, at least 2 h after the last try. If both readings show
 * the quantity, the submission is sent. If both show nothing, it is void, and its usage is claimed
 * again. Anything else is failed, and a person has to look. All times are the database's. */
#ifndef METERLINE_IN_DOUBT_H
#define METERLINE_IN_DOUBT_H

#include "common/pg/pg.h"
#include "common/stripe/stripe_usage.h"

#include <stdbool.h>
#include <stdint.h>

struct doubts;

struct doubts_report {
    int64_t noted; /* first readings */
    int64_t sent;
    int64_t voided;
    int64_t failed;
    int64_t left;   /* after a restore: Stripe does not have them, they wait to be sent */
    int64_t unread; /* Stripe refused to tell, or one changed during the reading: next time */
};

struct doubts_events {
    /* A submission was settled. state: its new one; why: for people. Texts are borrowed. */
    void (*on_settled)(void *owner, const char *identifier, const char *customer, const char *state,
                       const char *why);
    void (*done)(void *owner, const struct err *error, const struct doubts_report *report);
    void *owner;
};

/* usage: borrowed; both callbacks from the loop. */
struct doubts *doubts_new(struct stripe_usage *usage, struct doubts_events events);
/* Not while it runs. */
void doubts_free(struct doubts *d);

/* Which submissions. The text is borrowed until done has run. */
struct doubts_ask {
    const char *tenant; /* NULL: all */
    bool restored; /* after a restore: all that are not settled, by one reading each. What Stripe
                      has is sent; what it does not have waits as before */
    bool meters_known; /* the usage's meters were read before: not again */
};

/* Go through all submissions whose reading is due; done exactly once. pg: ready (asserted), and no
 * one else's until done. */
void doubts_start(struct doubts *d, struct pg *pg, const struct doubts_ask *ask);

#endif
