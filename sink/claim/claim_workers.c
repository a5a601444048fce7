#include "sink/claim/claim_workers.h"

#include "common/closing.h"

#include <assert.h>
#include <stdlib.h>

struct claim_workers {
    struct session *sessions[CLAIM_WORKERS];
    struct claimer *claimers[CLAIM_WORKERS];
    struct claim_workers_events events;
    int claiming; /* how many of them are */
    struct claim_report report;
    struct err error; /* of the first that failed */
    bool failed;
    struct closing closing;
};

static void on_page(void *owner)
{
    const struct claim_workers *w = owner;
    w->events.on_page(w->events.owner);
}

struct claim_workers *claim_workers_open(struct stage *stage, const char *url,
                                         struct claim_workers_events events)
{
    struct claim_workers *w = xcalloc(1, sizeof *w);
    const struct session_events up = {.on_usable = events.on_usable, .owner = events.owner};
    w->events = events;
    for (int i = 0; i < CLAIM_WORKERS; i++) {
        w->sessions[i] = session_open(stage, url, "claim", up);
        w->claimers[i] = claimer_new(w->sessions[i]);
    }
    return w;
}

static void take_claims(void *owner, const struct err *error, const struct claim_report *report)
{
    struct claim_workers *w = owner;
    claim_report_add(&w->report, report);
    if (error && !w->failed)
        w->error = *error;
    w->failed |= error != NULL;
    if (--w->claiming == 0)
        w->events.on_done(w->events.owner, w->failed ? &w->error : NULL, &w->report);
}

void claim_workers_start(struct claim_workers *w)
{
    assert(claim_workers_are_idle(w));
    w->report = (struct claim_report){0};
    w->failed = false;
    w->claiming = CLAIM_WORKERS;
    for (int i = 0; i < CLAIM_WORKERS; i++) {
        const struct claim_order order = {
            .run = CLAIM_RUN_CYCLE, .half = i + 1, .on_page = on_page};
        claimer_start(w->claimers[i], &order, take_claims, w);
    }
}

void claim_workers_stop(struct claim_workers *w)
{
    for (int i = 0; i < CLAIM_WORKERS; i++)
        claimer_stop(w->claimers[i]);
}

bool claim_workers_are_resting(const struct claim_workers *w)
{
    return w->claiming == 0;
}

bool claim_workers_are_idle(const struct claim_workers *w)
{
    for (int i = 0; i < CLAIM_WORKERS; i++)
        if (!session_is_idle(w->sessions[i]))
            return false;
    return w->claiming == 0;
}

bool claim_workers_are_usable(const struct claim_workers *w, struct buf *why)
{
    for (int i = 0; i < CLAIM_WORKERS; i++)
        if (!session_is_usable(w->sessions[i], why))
            return false;
    return true;
}

struct session *claim_workers_session(const struct claim_workers *w)
{
    return w->sessions[0];
}

static void release(void *self)
{
    struct claim_workers *w = self;
    for (int i = 0; i < CLAIM_WORKERS; i++)
        claimer_free(w->claimers[i]);
    free(w);
}

void claim_workers_close(struct claim_workers *w, void (*closed)(void *owner), void *owner)
{
    closing_begin(&w->closing, w, release, closed, owner);
    for (int i = 0; i < CLAIM_WORKERS; i++)
        session_close(w->sessions[i], closing_part_closed, closing_part(&w->closing));
    closing_end(&w->closing);
}
