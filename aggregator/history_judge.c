#include "aggregator/history.h"

static struct judgement judge_behind(const struct history *h, uint64_t accounted)
{
    struct judgement j = {.verdict = HISTORY_LEDGER_BEHIND};

    /* With the entry of our position still there nothing after it was trimmed. */
    if (!h->last_exists && h->added > accounted + h->length)
        j.missing = (int64_t)(h->added - accounted - h->length);
    return j;
}

struct judgement history_judge(const struct history *h, struct entry_id last, uint64_t accounted,
                               bool counted_before)
{
    struct entry_id zero = {.ms = 0, .seq = 0};
    bool at_start = entry_id_compare(last, zero) == 0;
    uint64_t base = h->added - h->length;

    if (h->group_exists && entry_id_compare(h->group, last) > 0)
        return judge_behind(h, accounted);
    if (at_start && accounted == 0 && !counted_before && !h->group_exists)
        return (struct judgement){.verdict = HISTORY_NEW, .base = base};
    if (h->last_exists || (h->group_exists && entry_id_compare(h->group, last) == 0))
        return (struct judgement){.verdict = HISTORY_INTACT};
    /* An epoch that was opened, and nothing counted in it yet: it begins at what there is. */
    if (at_start && !h->group_exists && accounted == base)
        return (struct judgement){.verdict = HISTORY_INTACT};
    /* One that slept past its lease may set the group back. What we accounted for is gone, and what
     * is there comes after it: trimmed, not lost. */
    if (h->group_exists && accounted == base &&
        (h->length == 0 || entry_id_compare(h->first, last) > 0))
        return (struct judgement){.verdict = HISTORY_INTACT};
    return (struct judgement){.verdict = HISTORY_REDIS_LOST, .base = base};
}
