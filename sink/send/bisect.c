/* The happy path: one call holds all, and its outcome is that of each.
 *
 * The failure mode: Stripe refuses the whole call for one submission, without naming it, and takes
 * none. Then the first half of the suspects goes out alone. If it is refused, the culprit is in it,
 * else in the other half, and so on down to the one that is refused by itself. All others then go
 * out in one call again. So one culprit among n costs about log2(n) calls more, one after the
 * other.
 */
#include "sink/send/bisect.h"

#include "common/clock.h"

#include <stdlib.h>

struct bisect {
    struct stripe_caller *caller;
    struct submission_queue rest; /* without an outcome, not in a call */
    int suspects; /* so many of the first ones of rest were refused together; 0: none was */
    struct bisect_terms terms;
};

static void take_call(void *owner, struct submission_queue *called,
                      const struct settle_outcome *outcome);

static int width_of(const struct bisect *b)
{
    if (b->suspects == 0)
        return b->rest.count;
    return b->suspects > 1 ? b->suspects / 2 : 1;
}

static void run_call(struct bisect *b)
{
    struct submission_queue next = {0};
    const struct call_terms terms = {
        .begin_until_ms = b->terms.begin_until_ms, .done = take_call, .owner = b};
    submission_queue_move_some(&next, &b->rest, width_of(b));
    stripe_caller_send(b->caller, &next, &terms);
}

static bool goes_on(const struct bisect *b, const struct settle_outcome *outcome)
{
    bool certain = outcome->state != SETTLE_RETRY || outcome->meter;
    bool well = outcome->peer == SETTLE_PEER_WORKS && certain;
    return b->rest.count > 0 && well && clock_monotonic_ms() <= b->terms.begin_until_ms &&
           b->terms.may_go_on(b->terms.owner);
}

static void take_call(void *owner, struct submission_queue *called,
                      const struct settle_outcome *outcome)
{
    struct bisect *b = owner;
    struct bisect_terms terms = b->terms;
    struct submission_queue ended = {0};
    if (outcome->of_one && called->count > 1) {
        b->suspects = called->count; /* they go back in front */
        submission_queue_move(called, &b->rest);
        submission_queue_move(&b->rest, called);
    } else {
        b->suspects = b->suspects > called->count ? b->suspects - called->count : 0;
        submission_queue_move(&ended, called);
    }
    bool over = !goes_on(b, outcome);
    if (over) {
        for (struct submission *s = b->rest.first; s; s = s->next)
            submission_set_untried(s);
        submission_queue_move(&ended, &b->rest);
        free(b);
    } else {
        run_call(b);
    }
    terms.done(terms.owner, &ended, outcome, over);
}

void bisect_send(struct stripe_caller *caller, struct submission_queue *picked,
                 const struct bisect_terms *terms)
{
    struct bisect *b = xcalloc(1, sizeof *b);
    *b = (struct bisect){.caller = caller, .rest = *picked, .terms = *terms};
    *picked = (struct submission_queue){0};
    run_call(b);
}
