#include "sink/claim/claim_workers.h"

#include <assert.h>
#include <stdlib.h>

struct halves {
    struct session *sessions[CLAIM_HALVES];
    struct claimer *claimers[CLAIM_HALVES];
    struct halves_events events;
    int claiming; /* so many of them are */
    struct claim_report report;
    struct err error; /* of the first that failed */
    bool failed;
    int open; /* sessions */
    void (*closed)(void *owner);
    void *closed_owner;
};

static void on_usable(void *owner)
{
    const struct halves *l = owner;
    l->events.on_usable(l->events.owner);
}

static void on_page(void *owner)
{
    const struct halves *l = owner;
    l->events.on_page(l->events.owner);
}

struct halves *halves_open(struct stage *stage, const char *url, struct halves_events events)
{
    struct halves *l = xcalloc(1, sizeof *l);
    l->events = events;
    l->open = CLAIM_HALVES;
    for (int i = 0; i < CLAIM_HALVES; i++) {
        l->sessions[i] = session_open(stage, url, "claim",
                                      (struct session_events){.on_usable = on_usable, .owner = l});
        l->claimers[i] = claimer_new(l->sessions[i]);
    }
    return l;
}

static void take_claims(void *owner, const struct err *error, const struct claim_report *report)
{
    struct halves *l = owner;
    claim_report_add(&l->report, report);
    if (error && !l->failed)
        l->error = *error;
    l->failed |= error != NULL;
    if (--l->claiming == 0)
        l->events.on_done(l->events.owner, l->failed ? &l->error : NULL, &l->report);
}

void halves_start(struct halves *l)
{
    assert(halves_are_idle(l));
    l->report = (struct claim_report){0};
    l->failed = false;
    l->claiming = CLAIM_HALVES;
    for (int i = 0; i < CLAIM_HALVES; i++) {
        const struct claim_order order = {
            .run = CLAIM_RUN_CYCLE, .half = i + 1, .on_page = on_page};
        claimer_start(l->claimers[i], &order, take_claims, l);
    }
}

void halves_stop(struct halves *l)
{
    for (int i = 0; i < CLAIM_HALVES; i++)
        claimer_stop(l->claimers[i]);
}

bool halves_are_resting(const struct halves *l)
{
    return l->claiming == 0;
}

bool halves_are_idle(const struct halves *l)
{
    for (int i = 0; i < CLAIM_HALVES; i++)
        if (!session_is_idle(l->sessions[i]))
            return false;
    return l->claiming == 0;
}

bool halves_are_usable(const struct halves *l, struct buf *why)
{
    for (int i = 0; i < CLAIM_HALVES; i++)
        if (!session_is_usable(l->sessions[i], why))
            return false;
    return true;
}

struct session *halves_session(const struct halves *l)
{
    return l->sessions[0];
}

static void on_closed(void *owner)
{
    struct halves *l = owner;
    void (*closed)(void *owner) = l->closed;
    void *closed_owner = l->closed_owner;
    if (--l->open > 0)
        return;
    for (int i = 0; i < CLAIM_HALVES; i++)
        claimer_free(l->claimers[i]);
    free(l);
    closed(closed_owner);
}

void halves_close(struct halves *l, void (*closed)(void *owner), void *owner)
{
    l->closed = closed;
    l->closed_owner = owner;
    for (int i = 0; i < CLAIM_HALVES; i++)
        session_close(l->sessions[i], on_closed, l);
}
