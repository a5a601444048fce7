/* Reads what an account at Stripe has of a catalog, plans, and carries the plan out.
 *
 *   READING --lists read--> planned --something to do--> WRITING --steps done--> READING …
 *                              |
 *                              +-- nothing to do, or only asked --> done
 *
 * The happy path: what the catalog names is read by lists (products by id, prices by lookup key,
 * the rest whole), each step is one POST, and then all is read and planned once more, which finds
 * nothing left to do. So what another run did at the same time, or an answer that Stripe repeated
 * although things have changed since, shows and is set right, up to ROUNDS times.
 *
 * Failure modes. We are killed: each POST has an idempotency key made of what it says and of the
 * round, so that the next run repeats it to the letter, or finds what it made. Stripe refuses a
 * step: the run ends with its words, and what was done before stays, for the next run to find. */
#ifndef METERLINE_CTL_SETUP_RUN_H
#define METERLINE_CTL_SETUP_RUN_H

#include "ctl/ctl.h"
#include "ctl/stripe/setup_plan.h"

#include <jansson.h>
#include <stdbool.h>

struct setup_ask {
    json_t *objects; /* of setup_catalog; borrowed */
    bool only_plan;  /* nothing is changed */
    bool adopt;
    const char *secret_file;                          /* NULL: no endpoint is asked for */
    void (*on_done)(void *owner, const json_t *step); /* a step that was carried out, with its id */
    void *owner;
};

/* Returns the steps: with only_plan those to do, else those that were done (past), each with the
 * id of its object; the caller's. NULL with e; what Stripe said, where an err is too short, was
 * told. */
json_t *setup_run(const struct ctl_config *config, const struct setup_ask *ask, struct err *e);

#endif
