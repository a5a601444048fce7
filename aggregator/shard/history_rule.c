/* What follows from Redis' side of a stream and the ledger's side of it: which of them lost
 * something, and what is to be done. Pure; history.h has the words. */
#include "aggregator/shard/history.h"

#include <stddef.h>
#include <string.h>

static const struct entry_id START = {.ms = 0, .seq = 0};

static uint64_t greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* 0 where it would be negative. */
static int64_t above(uint64_t a, uint64_t b)
{
    return a > b ? (int64_t)(a - b) : 0;
}

static struct entry_id later(struct entry_id a, struct entry_id b)
{
    return entry_id_compare(a, b) > 0 ? a : b;
}

/* All that is in the stream comes after that entry: then nothing but it, or what came before or was
 * trimmed with it, is gone. */
static bool is_all_after(const struct history *h, struct entry_id id)
{
    return h->length == 0 || entry_id_compare(h->first, id) > 0;
}

/* What was accounted for has left the stream, or is what is there up to the position. More may have
 * left it: somebody removed entries that waited, which the balance shows. A stream that was made
 * anew has not had as many. */
static bool is_same_stream(const struct history *h, const struct standing *s)
{
    uint64_t upto = is_all_after(h, s->last) ? 0 : h->upto;
    return h->added >= greater(s->added_seen, s->accounted) &&
           (is_all_after(h, s->last) || h->last_exists) &&
           h->added - h->length + upto >= s->accounted;
}

static struct judgement judge_behind(const struct history *h, const struct standing *s)
{
    struct judgement j = {.verdict = HISTORY_LEDGER_BEHIND};
    /* With an entry at or before our position still there, nothing after it was trimmed. */
    if (is_all_after(h, s->last))
        j.missing = above(h->added, s->accounted + h->length);
    return j;
}

/* What Redis still has of this or an earlier epoch is a beginning of that epoch's history, and new
 * entries after it. The group stands where everything is counted: read on from there. */
static void begin_at_group(const struct history *h, struct judgement *j)
{
    if (is_all_after(h, h->group)) {
        j->start = h->group;
    } else if (h->read_known && h->read <= h->added && h->added - h->read <= h->length) {
        j->start = h->group;
        j->base = h->read;
    }
}

/* The stream was made anew under us, and some of it was read on as if it were the old one: all that
 * it has up to the position. Then read on. */
static void begin_at_position(const struct history *h, const struct standing *s,
                              struct judgement *j)
{
    uint64_t base = h->added - h->length + s->accounted - s->marked_accounted;
    if (!s->marked_known || !h->last_exists || !is_all_after(h, s->marked_last) || base > h->added)
        return;
    j->start = s->last;
    j->base = base;
    j->gone = above(s->added_seen, s->marked_accounted);
    j->repeats_until = START;
}

static struct judgement judge_lost(const struct history *h, const struct standing *s)
{
    bool marked = s->lineage != LINEAGE_NONE;
    uint64_t still_there = s->lineage == LINEAGE_OURS ? h->added : 0;
    struct judgement j = {.verdict = HISTORY_REDIS_LOST,
                          .base = h->added - h->length,
                          .start = START,
                          .gone = above(s->added_seen, greater(still_there, s->accounted)),
                          .repeats_until = START};
    if (marked)
        begin_at_group(h, &j);
    if (s->accounted == s->base)
        j.repeats_until = s->repeats_until;
    /* A stream made anew holds nothing that was counted. One without a mark may also be as it was
     * before we first saw it: then it has entries up to our position. */
    else if (marked || !is_all_after(h, s->last))
        j.repeats_until = later(s->last, s->repeats_until);
    if (!marked)
        begin_at_position(h, s, &j);
    return j;
}

static struct judgement judge_ours(const struct history *h, const struct standing *s)
{
    int order = entry_id_compare(h->group, s->last);
    if (order > 0)
        return judge_behind(h, s);
    if (h->added < greater(s->added_seen, s->accounted))
        return judge_lost(h, s);
    /* Killed between COMMIT and trimming; or one that slept past its lease set the group back. */
    if (order == 0 || h->last_exists || is_same_stream(h, s))
        return (struct judgement){.verdict = HISTORY_INTACT};
    return judge_lost(h, s);
}

/* Everything that is in the stream is read, also what is kept of the time before the epoch that the
 * ledger forgot: entries of the ended one after our position, which are not lost then. */
static struct judgement judge_lost_epoch(const struct history *h, const struct standing *s)
{
    uint64_t before = h->added - h->length;
    uint64_t base = h->mark.base < before ? h->mark.base : before;
    uint64_t ended = s->added_seen;
    if (strcmp(h->mark.ended, s->token) == 0)
        ended = greater(ended, s->base + (uint64_t)h->mark.ended_added);
    ended = (uint64_t)above(ended, (uint64_t)above(h->mark.base, greater(base, s->accounted)));
    return (struct judgement){.verdict = HISTORY_LEDGER_LOST_EPOCH,
                              .base = base,
                              .start = START,
                              .gone = above(ended, s->accounted),
                              .missing = above(before, base),
                              .repeats_until = later(s->last, s->repeats_until)};
}

static struct judgement judge_unmarked(const struct history *h, const struct standing *s)
{
    bool untouched = s->accounted == s->base && entry_id_compare(s->last, START) == 0;
    if (h->group_exists && entry_id_compare(h->group, s->last) > 0)
        return judge_behind(h, s);
    if (untouched && !s->counted_before)
        return (struct judgement){.verdict = HISTORY_NEW, .base = h->added - h->length};
    if (is_same_stream(h, s))
        return (struct judgement){.verdict = HISTORY_INTACT};
    return judge_lost(h, s);
}

struct judgement history_judge(const struct history *h, const struct standing *s)
{
    switch (s->lineage) {
    case LINEAGE_NONE:
        return judge_unmarked(h, s);
    case LINEAGE_OURS:
        return judge_ours(h, s);
    case LINEAGE_EARLIER:
        return judge_lost(h, s);
    case LINEAGE_LATER:
        return judge_lost_epoch(h, s);
    case LINEAGE_FOREIGN:
        return (struct judgement){.verdict = HISTORY_FOREIGN};
    case LINEAGE_RESET:
        break;
    }
    /* A stream that was made anew begins with its group at the start; one that was adopted goes on
     * from where the other ledger had come to. */
    return (struct judgement){.verdict = HISTORY_RESET_CUT,
                              .base = h->mark.base,
                              .start = h->group,
                              .repeats_until = START};
}

const char *history_durability_fault(const struct history *h, bool allow_volatile)
{
    if (!h->config_known || allow_volatile)
        return NULL;
    if (h->evicts)
        return "it evicts keys when memory is full: set maxmemory-policy noeviction, or "
               "METERLINE_ALLOW_VOLATILE_REDIS=1";
    if (!h->append_only)
        return "it has no append-only file: set appendonly yes, or "
               "METERLINE_ALLOW_VOLATILE_REDIS=1";
    return NULL;
}
