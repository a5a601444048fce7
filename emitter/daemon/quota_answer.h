/* What a check of a quota is answered, as HTTP. Pure. */
#ifndef METERLINE_EMITTER_QUOTA_ANSWER_H
#define METERLINE_EMITTER_QUOTA_ANSWER_H

#include "common/err.h"
#include "common/events/slice.h"
#include "common/str.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

enum { QUOTA_HEADER_SIZE = 128 };
#define QUOTA_UNKNOWN "unknown" /* the verdict while Redis does not answer */

struct quota_ask {
    struct slice tenant;
    struct slice metric;
    struct slice quantity;
};

struct quota_answer {
    int status;                     /* 200, or 429 */
    const char *verdict;            /* allow, allow_over, deny, unknown */
    const char *reason;             /* ok, soft_cap, hard_cap, … */
    int64_t ends_ms;                /* Unix, when used begins anew; 0: not known */
    char limit[QUOTA_HEADER_SIZE];  /* RateLimit, up to its ";t="; "": there is no limit */
    char policy[QUOTA_HEADER_SIZE]; /* RateLimit-Policy */
    struct buf body;
};

/* Is it something to ask? Returns 0, or -1 with e. */
int quota_ask_check(const struct quota_ask *ask, struct err *e);
/* Of what meterline_check and meterline_reserve answer. Returns 0, or -1: it is another answer. */
int quota_answer_take(struct quota_answer *a, const struct quota_ask *ask, const redisReply *reply);
/* Redis did not say. */
void quota_answer_fail(struct quota_answer *a, const struct quota_ask *ask, bool is_open);
/* Seconds until it may be asked again. now_ms: Unix. */
int64_t quota_answer_wait_s(const struct quota_answer *a, int64_t now_ms);
void quota_answer_done(struct quota_answer *a);

#endif
