/* Resolving what is in doubt, by Stripe's own summary: read twice, an hour apart, at least 2 h
 * after the last try. Both say that it is there: sent. Both say that nothing is: void, and claimed
 * anew. Anything else: failed, for a person. All times are the database's. */
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
    int64_t left;   /* after a restore: Stripe holds nothing of them, they wait to be sent */
    int64_t unread; /* Stripe did not tell, or something of theirs was under way */
};

struct doubts_events {
    /* One was settled. state: its new one; why: for people. Borrowed. */
    void (*on_settled)(void *owner, const char *identifier, const char *customer, const char *state,
                       const char *why);
    void (*done)(void *owner, const struct err *error, const struct doubts_report *report);
    void *owner;
};

/* usage: borrowed; both callbacks from the loop. */
struct doubts *doubts_new(struct stripe_usage *usage, struct doubts_events events);
/* Not while it runs. */
void doubts_free(struct doubts *d);

/* Which. The text is borrowed until done has run. */
struct doubts_ask {
    const char *tenant; /* NULL: all */
    bool restored;     /* after a restore, all that is not settled, by one reading each: what Stripe
                          holds is sent, what it does not waits as it did */
    bool meters_known; /* the usage's meters were read before: not again */
};

/* Go through all whose reading is due; done exactly once. pg: ready (asserted), and no one else's
 * until done. */
void doubts_start(struct doubts *d, struct pg *pg, const struct doubts_ask *ask);

#endif
