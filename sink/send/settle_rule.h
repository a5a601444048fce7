/* What becomes of a submission after one try. Pure.
 *
 * Only an answer that is certainly Stripe's own, and final, settles a submission. After anything
 * else the same bytes are sent again under the same key, until 23 h have passed, or until Stripe
 * can give nothing but a stored failure for that key. A stored refusal that may pass leaves no
 * doubt: nothing was taken under that key, nor can be, so that another key is used. */
#ifndef METERLINE_SINK_SETTLE_RULE_H
#define METERLINE_SINK_SETTLE_RULE_H

#include "common/err.h"
#include "sink/transport/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How one try ended. */
struct settle_try {
    const struct transport *transport;
    const struct usage *usage; /* what a receipt is compared with: see transport.h */
    bool sent_before;          /* an earlier try may have reached Stripe */
    bool repeated;             /* so may an earlier writing of this one */
    const struct err *error;   /* no answer, and why; else NULL and … */
    int status;                /* … the answer */
    const char *body;          /* length bytes; may be anything */
    size_t body_length;
    const char *should_retry;   /* Stripe-Should-Retry, or NULL */
    const char *retry_after;    /* Retry-After, or NULL */
    const char *limited_reason; /* Stripe-Rate-Limited-Reason, or NULL */
    const char *replayed;       /* Idempotent-Replayed, or NULL */
};

enum settle_state {
    SETTLE_SENT,     /* Stripe holds it */
    SETTLE_RETRY,    /* pending again, the same bytes after a wait */
    SETTLE_IN_DOUBT, /* nobody can tell yet; never sent again blindly */
    SETTLE_FAILED,   /* refused for good: a person decides */
    SETTLE_LATE      /* refused since its period takes nothing any more: a person decides */
};

/* What the try tells of all other submissions. */
enum settle_peer {
    SETTLE_PEER_WORKS,
    SETTLE_PEER_UNSURE, /* no answer, or not Stripe's */
    SETTLE_PEER_AWAY,   /* no connection, or no TLS: nothing was sent */
    SETTLE_PEER_REFUSES /* the key or the account: 401, 403 */
};

struct settle_outcome {
    enum settle_state state;
    enum settle_peer peer;
    const char *label;      /* of meterline_stripe_requests_total{outcome}; static */
    bool unsent;            /* this try surely changed nothing at Stripe */
    bool of_one;            /* a refusal of one submission: of many in a call, it is not known whose
                               it is, and none was taken */
    bool known;             /* in doubt since Stripe knew its identifier or key before */
    bool meter;             /* refused for its meter, which all of the event name share */
    bool key_spent;         /* Stripe stored this refusal, which may pass, for the key: the next try
                               needs another one */
    bool slow_down;         /* the account's rate limit */
    int64_t retry_after_ms; /* wait at least so long; 0: no wish */
    struct err error;       /* ERR_NONE when sent */
};

/* Fill in the answer; t borrows from it. */
void settle_try_read(struct settle_try *t, const struct http_answer *answer);

void settle_rule_judge(const struct settle_try *t, struct settle_outcome *out);

/* The name in usage_submissions.state. Static. */
const char *settle_state_name(enum settle_state state);

#endif
