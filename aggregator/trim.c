/* After COMMIT, and only then: the group shows the position, and what is committed leaves the
 * stream. A crash before this reads the entries again from last_id, which the transaction moved
 * past them. */
#include "aggregator/shard.h"
#include "common/clock.h"
#include "common/contract.h"

#include <stdlib.h>

enum { DEADLINE_MS = 10000 };

struct trim {
    struct shard *shard;
    uint64_t generation;
    struct trim_seen seen;
};

/* In one step, and only in the stream that the position belongs to: in one that was made anew or
 * rewritten, entries below the position may wait. Where the group is past our position, another one
 * has gone on from there. */
static const char TRIM[] =
    "#!lua flags=allow-oom\n"
    "local function number(id)\n"
    "  local ms, seq = string.match(id, '^(%d+)-(%d+)$')\n"
    "  return string.rep('0', 20 - #ms) .. ms .. string.rep('0', 20 - #seq) .. seq\n"
    "end\n"
    "local function find(list, name)\n"
    "  for _, each in ipairs(list) do if each[2] == name then return each end end\n"
    "  return nil\n"
    "end\n"
    "local group = find(redis.call('XINFO', 'GROUPS', KEYS[1]), ARGV[1])\n"
    "if not group or not find(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1]), ARGV[2]) then\n"
    "  return redis.error_reply('EPOCH the stream was made anew')\n"
    "end\n"
    "for i = 1, #group, 2 do\n"
    "  if group[i] == 'last-delivered-id' and number(group[i + 1]) > number(ARGV[3]) then\n"
    "    return 'passed'\n"
    "  end\n"
    "end\n"
    "redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], ARGV[3], 'ENTRIESREAD', ARGV[4])\n"
    "local trimmed = redis.call('XTRIM', KEYS[1], 'MINID', ARGV[5])\n"
    "return {trimmed, redis.call('XINFO', 'STREAM', KEYS[1])}";

enum { TRIMMED, STREAM, ANSWERS };

/* Returns -1 if the answer has another shape than asked for. */
static int take_answers(struct trim *t, const redisReply *r, struct history *h, struct err *e)
{
    struct position *p = &t->shard->ledger.position;

    if (r->type != REDIS_REPLY_ARRAY || r->elements != ANSWERS ||
        history_take_stream(h, r->element[STREAM]) != 0)
        return err_set(e, ERR_SCHEMA, "the script gave other answers than asked for");
    p->trimmed += (uint64_t)r->element[TRIMMED]->integer;
    if (t->seen.all)
        p->trimmed = h->added - h->length;
    position_note_marked(p, t->seen.last, t->seen.accounted);
    return 0;
}

static void take_answer(struct shard *s, struct trim *t, const struct err *error,
                        const redisReply *r)
{
    struct history h = {.length = 0};
    struct err e;

    if (error == NULL && r->type == REDIS_REPLY_STRING) {
        shard_on_lease_lost(s);
        return;
    }
    if (error == NULL && take_answers(t, r, &h, &e) != 0)
        error = &e;
    if (error != NULL)
        shard_fail(s, "trim", error);
    else
        gauges_take_stream(s, &h, &t->seen);
}

static void take_trimmed(void *owner, const struct err *error, void *reply)
{
    struct trim t = *(struct trim *)owner;

    free(owner);
    if (t.generation == t.shard->generation)
        take_answer(t.shard, &t, error, reply);
    shard_unref(t.shard);
}

/* Everything below the returned id may go. */
static struct entry_id trim_below(const struct shard *s, struct entry_id last, bool *all)
{
    struct entry_id below = entry_id_next(last);
    int64_t keep_ms = s->spec.config->stream_keep_s * 1000;
    struct entry_id keep = {.ms = (uint64_t)(clock_unix_ms() - keep_ms), .seq = 0};

    /* Nothing comes after the greatest id, so that the entry which has it cannot be trimmed. */
    *all =
        entry_id_compare(below, last) > 0 && (keep_ms == 0 || entry_id_compare(keep, below) >= 0);
    return *all || keep_ms == 0 ? below : keep;
}

void trim_run(struct shard *s)
{
    const struct position *p = &s->ledger.position;
    struct trim *t = xcalloc(1, sizeof *t);
    struct entry_id last;
    char below[ENTRY_ID_TEXT_SIZE];
    char mark[EPOCH_MARK_SIZE];

    if (entry_id_parse(p->last_id, &last) != 0)
        abort();
    *t = (struct trim){.shard = shard_ref(s),
                       .generation = s->generation,
                       .seen = {.last = last, .accounted = position_accounted(p)}};
    entry_id_format(trim_below(s, last, &t->seen.all), below);
    epoch_mark_format(&p->mark, mark);
    redis_commandf(s->commands, DEADLINE_MS, take_trimmed, t, "EVAL %s 1 %s %s %s %s %llu %s", TRIM,
                   s->stream, STREAM_GROUP, mark, p->last_id, (unsigned long long)t->seen.accounted,
                   below);
}
