/* The happy path: one call holds all, and its outcome is that of each.
 *
 * The failure mode: Stripe refuses the call for one that is not known, and takes none. Then the
 * first half goes out alone, down to the one that is refused by itself; each call that is taken
 * doubles the next one. So one culprit among n costs about 2 log2(n) calls, one after the other,
 * and all others are sent. */
#include "sink/batch.h"

#include "common/clock.h"

#include <stdlib.h>

struct batch {
    struct caller *caller;
    struct submission_queue rest; /* without an outcome, not in a call */
    int width;                    /* of the next call */
    struct batch_terms terms;
};

static void take_call(void *owner, struct submission_queue *called,
                      const struct settle_outcome *outcome);

static void run_call(struct batch *b)
{
    struct submission_queue next = {0};
    const struct call_terms terms = {
        .begin_until_ms = b->terms.begin_until_ms, .done = take_call, .owner = b};
    submission_queue_move_some(&next, &b->rest, b->width);
    caller_send(b->caller, &next, &terms);
}

/* Those that were refused together go back in front. */
static void halve(struct batch *b, struct submission_queue *called)
{
    b->width = called->count / 2;
    submission_queue_move(called, &b->rest);
    submission_queue_move(&b->rest, called);
}

static void give_up_rest(struct batch *b, struct submission_queue *ended)
{
    for (struct submission *s = b->rest.first; s; s = s->next)
        caller_hand_back(s);
    submission_queue_move(ended, &b->rest);
}

static bool goes_on(const struct batch *b, const struct settle_outcome *outcome)
{
    bool well = outcome->peer == SETTLE_PEER_WORKS && outcome->state != SETTLE_RETRY;
    return b->rest.count > 0 && well && clock_monotonic_ms() <= b->terms.begin_until_ms &&
           b->terms.may_go_on(b->terms.owner);
}

static void take_call(void *owner, struct submission_queue *called,
                      const struct settle_outcome *outcome)
{
    struct batch *b = owner;
    struct batch_terms terms = b->terms;
    struct submission_queue ended = {0};
    if (outcome->of_one && called->count > 1) {
        halve(b, called);
    } else {
        b->width = 2 * called->count;
        submission_queue_move(&ended, called);
    }
    bool over = !goes_on(b, outcome);
    if (over) {
        give_up_rest(b, &ended);
        free(b);
    } else {
        run_call(b);
    }
    terms.done(terms.owner, &ended, outcome, over);
}

void batch_send(struct caller *caller, struct submission_queue *picked,
                const struct batch_terms *terms)
{
    struct batch *b = xcalloc(1, sizeof *b);
    *b = (struct batch){.caller = caller, .rest = *picked, .width = picked->count, .terms = *terms};
    *picked = (struct submission_queue){0};
    run_call(b);
}
