#include "aggregator/shard/trim.h"

#include "common/clock.h"
#include "common/contract.h"

#include <stdlib.h>

enum { DEADLINE_MS = 10000 };

struct trim {
    struct trimmed trimmed;
    trim_done_fn done;
    void *owner;
};

/* In one step, and only in the stream that the position belongs to: in one that was made anew,
 * entries below the position may still wait. Where the group is past our position, another process
 * has taken the stream over. */
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

/* Returns -1 with e: fenced, or if the answer has another shape than asked for. */
static int take_answers(struct trimmed *t, const redisReply *r, struct err *e)
{
    if (r->type == REDIS_REPLY_STRING)
        return err_set(e, ERR_FENCED, "another process has taken the stream over");
    if (r->type != REDIS_REPLY_ARRAY || r->elements != ANSWERS ||
        history_take_stream(&t->stream, r->element[STREAM]) != 0)
        return err_set(e, ERR_SCHEMA, "the trim script replied in an unknown form");
    t->entries = (uint64_t)r->element[TRIMMED]->integer;
    return 0;
}

static void take_trimmed(void *owner, const struct err *error, void *reply)
{
    struct trim *t = owner;
    struct err e;
    if (!error && take_answers(&t->trimmed, reply, &e) != 0)
        error = &e;
    t->done(t->owner, error, !error ? &t->trimmed : NULL);
    free(t);
}

/* Everything below the returned id may go. */
static struct entry_id trim_below(struct entry_id last, int64_t keep_ms, bool *all)
{
    struct entry_id below = entry_id_next(last);
    struct entry_id keep = {.ms = (uint64_t)(clock_unix_ms() - keep_ms), .seq = 0};
    /* Nothing comes after the greatest id, so that the entry which has it cannot be trimmed. */
    *all =
        entry_id_compare(below, last) > 0 && (keep_ms == 0 || entry_id_compare(keep, below) >= 0);
    return *all || keep_ms == 0 ? below : keep;
}

void trim_run(struct redis *r, const char *stream, const struct position *p, int64_t keep_ms,
              trim_done_fn done, void *owner)
{
    struct trim *t = xcalloc(1, sizeof *t);
    struct trim_seen *seen = &t->trimmed.seen;
    t->done = done;
    t->owner = owner;
    seen->last = entry_id_of(p->last_id);
    seen->accounted = position_accounted(p);
    char below[ENTRY_ID_TEXT_SIZE];
    entry_id_format(trim_below(seen->last, keep_ms, &seen->all), below);
    char mark[EPOCH_MARK_SIZE];
    epoch_mark_format(&p->mark, mark);
    redis_commandf(r, DEADLINE_MS, take_trimmed, t, "EVAL %s 1 %s %s %s %s %llu %s", TRIM, stream,
                   STREAM_GROUP, mark, p->last_id, (unsigned long long)seen->accounted, below);
}

void trim_note(struct position *p, const struct trimmed *t)
{
    p->trimmed = t->seen.all ? t->stream.added - t->stream.length : p->trimmed + t->entries;
    position_note_marked(p, t->seen.last, t->seen.accounted);
}
