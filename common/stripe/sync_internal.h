/* What the two halves of stripe_sync share: stripe_sync.c has the run, its lease and what it
 * writes; sync_read.c asks Stripe. */
#ifndef METERLINE_SYNC_INTERNAL_H
#define METERLINE_SYNC_INTERNAL_H

#include "common/backoff.h"
#include "common/closing.h"
#include "common/lease_owner.h"
#include "common/machine.h"
#include "common/stripe/objects/observation.h"
#include "common/stripe/stripe_sync.h"

enum sync_state { RESTING, TAKING, WAITING, ASKING, FINDING, WRITING };

extern const struct machine SYNC_MACHINE;

/* In the order of enum sync_step. */
struct sync_list {
    const char *name;
    const struct object_kind *kind;
    const char *query;
    bool recent; /* those of the last two months */
};
extern const struct sync_list SYNC_LISTS[SYNC_STEPS];

struct stripe_sync {
    struct fetcher *fetcher;
    struct pg *pg;
    struct sync_events events;
    char owner_name[LEASE_OWNER_SIZE];
    uv_timer_t timer;
    enum sync_state state;
    void (*again)(struct stripe_sync *s); /* what the timer goes on with */
    struct sync_report report;
    char *after;       /* the last object that was read of this list, or looked for; NULL: none */
    char *started;     /* when the run began, as PostgreSQL tells it */
    int64_t started_s; /* the same, Unix seconds */
    bool from_top;     /* the list is read once more */
    json_t *page;      /* objects of a page */
    int64_t asked_ms;  /* when it was asked for, Unix ms by our clock */
    size_t cut;        /* the first of them whose items may not be complete */
    json_t *batch;     /* observations to be applied */
    char *next_after;
    bool more;         /* pages of this list */
    int asked;         /* answers that are still to come */
    struct err failed; /* one of them */
    int in_page;       /* objects */
    int tries;
    int fenced; /* the lease was another run's, so often */
    struct backoff backoff;
    struct closing closing;
};

void sync_own_text(char **place, char *text);
void sync_forget_page(struct stripe_sync *s);
void sync_end(struct stripe_sync *s, const struct err *error);
/* Again after a while, or never. at_least_ms: for so long nothing helps. */
void sync_try_again(struct stripe_sync *s, void (*again)(struct stripe_sync *), int64_t at_least_ms,
                    const struct err *e);
/* Write the batch, with the place that is reached by it; then go on. */
void sync_write(struct stripe_sync *s);

/* Ask for the next page of the list; for a page of what no list had. */
void sync_ask(struct stripe_sync *s);
void sync_find(struct stripe_sync *s);

#endif
