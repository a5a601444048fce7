/* Claiming: from dirty totals to submissions, page by page, one transaction a page. */
#ifndef METERLINE_SINK_CLAIM_H
#define METERLINE_SINK_CLAIM_H

#include "common/err.h"
#include "common/pg/pg_array.h"
#include "sink/session.h"

#include <stdbool.h>
#include <stdint.h>

struct claimer;

/* Runs of one name are made by one sink at a time; those of different names wait for each other's
 * pages, so that a short run of a few tenants never makes a sink skip its cycle. */
#define CLAIM_RUN_CYCLE    "meterline claim cycle"
#define CLAIM_RUN_PRIORITY "meterline claim priority"

/* The tenants are split in halves, one for each claim worker. */
enum { CLAIM_WORKERS = 2 };

struct claim_order {
    const char *run;              /* NULL: wait for any other */
    int half;                     /* of the tenants, from 1; 0: all, and nobody claims beside */
    struct pg_array *tenants;     /* PG_TEXT, borrowed until done; NULL: all */
    void (*on_page)(void *owner); /* a page with submissions was committed; NULL: nobody asks */
    bool rehearsal;               /* all pages in one transaction, which is open when done is called
                                     without an error, and the caller's to roll back; also while sinks
                                     are held */
};

/* What one run did; rows are totals. */
struct claim_report {
    int64_t made; /* submissions written, late, held and carried ones among them */
    int64_t late;
    int64_t held;
    int64_t carried;  /* late ones over into the current period */
    int64_t split;    /* totals of which a part is left: claim again */
    int64_t marked;   /* nothing to claim */
    int64_t waiting;  /* no minute is free now */
    int64_t outside;  /* before the subscription */
    int64_t unmapped; /* no item of the subscription */
    int64_t refused;  /* unreadable, too large, or not taken by the database; logged one by one */
    bool busy;        /* another sink makes this run, and does the work */
    bool on_hold;     /* ledger_state.sink_hold: nothing may be claimed */
    bool unchecked; /* PostgreSQL was started anew, and its ledger may be an older one: nothing may
                       be claimed before the ledger check has passed */
};

/* Runs exactly once. error: the connection's; what was committed before it is in the report, and
 * stays. */
typedef void (*claim_done_fn)(void *owner, const struct err *error,
                              const struct claim_report *report);

struct claimer *claimer_new(struct session *session);
void claimer_free(struct claimer *c);

/* The sum of what several workers did. */
void claim_report_add(struct claim_report *to, const struct claim_report *more);

/* Claim all that is dirty. The session must be idle, and is the claimer's until done; no run may be
 * under way. */
void claimer_start(struct claimer *c, const struct claim_order *order, claim_done_fn done,
                   void *owner);
/* End with the page at hand, for good. */
void claimer_stop(struct claimer *c);
bool claimer_is_resting(const struct claimer *c);

#endif
