#include "sink/life/life_rule.h"

#include <stdlib.h>
#include <string.h>

/* Redis entry ids, <ms>-<seq>. */
static bool is_past(const char *a, const char *b)
{
    char *rest_a;
    char *rest_b;
    uint64_t ms_a = strtoull(a, &rest_a, 10);
    uint64_t ms_b = strtoull(b, &rest_b, 10);

    if (ms_a != ms_b)
        return ms_a > ms_b;
    return *rest_a == '-' && *rest_b == '-' &&
           strtoull(rest_a + 1, NULL, 10) > strtoull(rest_b + 1, NULL, 10);
}

static bool is_ours(const struct life_facts *f, const struct life_stream *s)
{
    return s->marked && strcmp(s->mark.ledger, f->ledger) == 0;
}

/* A mark of an epoch before ours: Redis is the one that went back. That of the epoch which
 * `meterctl stream reset` or `adopt` is about to open: the ledger knows of it. */
static bool is_behind(const struct life_stream *s)
{
    if (strcmp(s->mark.token, s->reset_token) == 0)
        return false;
    if (s->mark.epoch != s->epoch)
        return s->mark.epoch > s->epoch;
    if (strcmp(s->mark.token, s->token) != 0)
        return true;
    return s->group_id && is_past(s->group_id, s->last_id);
}

static bool is_same_redis(const struct life_facts *f)
{
    return *f->redis && strcmp(f->redis, f->saw_redis) == 0;
}

enum life_verdict life_judge(const struct life_facts *f)
{
    bool any = false;

    for (int i = 0; i < f->count; i++) {
        if (!is_ours(f, &f->streams[i]))
            continue;
        if (is_behind(&f->streams[i]))
            return LIFE_BEHIND;
        any = true;
    }
    if (f->sent_known && f->sent > f->picks)
        return LIFE_BEHIND;
    if (f->sent_known)
        return is_same_redis(f) ? LIFE_WHOLE : LIFE_UNSURE;
    if (!f->has_past || (f->is_first && f->picks == 0 && any))
        return LIFE_WHOLE;
    return LIFE_UNKNOWN;
}

const char *life_verdict_name(enum life_verdict verdict)
{
    switch (verdict) {
    case LIFE_WHOLE:
        return NULL;
    case LIFE_BEHIND:
        return "behind";
    case LIFE_UNSURE:
        return "unsure";
    case LIFE_UNKNOWN:
        break;
    }
    return "unknown";
}
