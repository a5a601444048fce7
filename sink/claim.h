/* Claiming: from dirty totals to submissions, page by page, one transaction a page. */
#ifndef METERLINE_SINK_CLAIM_H
#define METERLINE_SINK_CLAIM_H

#include "common/err.h"
#include "sink/session.h"

#include <stdbool.h>
#include <stdint.h>

struct claimer;

/* What one run did; rows are totals. */
struct claim_report {
    int64_t made; /* submissions written, late ones among them */
    int64_t late;
    int64_t marked;  /* nothing to claim */
    int64_t waiting; /* no minute is free now */
    int64_t outside; /* before the subscription */
    int64_t refused; /* the database would not take them; logged one by one */
    bool busy;       /* another sink claims: its work is ours */
    bool held;       /* ledger_state.sink_hold: nothing may be claimed */
};

/* error: the connection's; what was committed before is in the report and stays. Exactly once. */
typedef void (*claim_done_fn)(void *owner, const struct err *error,
                              const struct claim_report *report);

struct claimer *claimer_new(struct session *session);
void claimer_free(struct claimer *c);

/* Claim all that is dirty. The session must be idle, and is the claimer's until done; no run may be
 * under way. */
void claimer_start(struct claimer *c, claim_done_fn done, void *owner);
/* End with the page at hand, for good. */
void claimer_stop(struct claimer *c);
bool claimer_is_resting(const struct claimer *c);

#endif
