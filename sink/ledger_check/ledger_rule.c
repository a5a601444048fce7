#include "sink/ledger_check/ledger_rule.h"

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

static bool is_of_ledger(const struct ledger_facts *f, const struct ledger_stream *s)
{
    return s->marked && strcmp(s->mark.ledger, f->ledger) == 0;
}

/* A mark of an earlier epoch tells that Redis is the one that went back. The ledger knows of the
 * epoch that `meterctl stream reset` or `adopt` is about to open. */
static bool is_behind(const struct ledger_stream *s)
{
    if (strcmp(s->mark.token, s->reset_token) == 0)
        return false;
    if (s->mark.epoch != s->epoch)
        return s->mark.epoch > s->epoch;
    if (strcmp(s->mark.token, s->token) != 0)
        return true;
    return s->group_id && is_past(s->group_id, s->last_id);
}

static bool is_same_redis(const struct ledger_facts *f)
{
    return *f->redis && strcmp(f->redis, f->saw_redis) == 0;
}

enum ledger_verdict ledger_judge(const struct ledger_facts *f)
{
    bool any = false;
    for (int i = 0; i < f->count; i++) {
        if (!is_of_ledger(f, &f->streams[i]))
            continue;
        if (is_behind(&f->streams[i]))
            return LEDGER_BEHIND;
        any = true;
    }
    if (f->sent_known && f->sent > f->picks)
        return LEDGER_BEHIND;
    if (f->sent_known)
        return is_same_redis(f) ? LEDGER_INTACT : LEDGER_UNSURE;
    if (!f->has_past || (f->is_first && f->picks == 0 && any))
        return LEDGER_INTACT;
    return LEDGER_UNKNOWN;
}

const char *ledger_verdict_name(enum ledger_verdict verdict)
{
    switch (verdict) {
    case LEDGER_INTACT:
        return NULL;
    case LEDGER_BEHIND:
        return "behind";
    case LEDGER_UNSURE:
        return "unsure";
    case LEDGER_UNKNOWN:
        break;
    }
    return "unknown";
}
