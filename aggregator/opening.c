/* OPENING: may this Redis be trusted, and is the history intact? Then the group stands where the
 * ledger does, and reading can begin. */
#include "aggregator/shard.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 5000 };

/* Which life of the machine an answer of Redis belongs to: unlike the ledger's, several may be out.
 */
struct opening {
    struct shard *shard;
    uint64_t generation;
};

static struct opening *opening_new(struct shard *s)
{
    struct opening *o = xcalloc(1, sizeof *o);

    *o = (struct opening){.shard = shard_ref(s), .generation = s->generation};
    return o;
}

/* NULL if the answer is of a life before, or of one that ends in a moment, with PostgreSQL lost.
 * The shard may be freed then. */
static struct shard *opening_take(struct opening *o)
{
    struct shard *s = o->shard;
    bool is_over = o->generation != s->generation || !pg_is_ready(s->pg);

    free(o);
    shard_unref(s);
    return is_over ? NULL : s;
}

/* Group and mark stand where the ledger does, in one step. Marks of other epochs go, but not those
 * of another ledger, which may have come meanwhile. XGROUP CREATE takes memory, and must be allowed
 * when Redis has none left: else nothing could ever leave a stream that filled it. */
static const char ENTER[] =
    "#!lua flags=allow-oom\n"
    "local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])\n"
    "for _, consumer in ipairs(consumers) do\n"
    "  local ledger = string.match(consumer[2], '^epoch:.*:([%x-]+):%d+$')\n"
    "  if ledger and ledger ~= ARGV[5] then\n"
    "    return redis.error_reply('FOREIGN the stream belongs to ledger ' .. ledger)\n"
    "  end\n"
    "end\n"
    "local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')\n"
    "if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end\n"
    "redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], ARGV[2], 'ENTRIESREAD', ARGV[3])\n"
    "for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do\n"
    "  if string.sub(consumer[2], 1, 6) == 'epoch:' and consumer[2] ~= ARGV[4] then\n"
    "    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer[2])\n"
    "  end\n"
    "end\n"
    "redis.call('XGROUP', 'CREATECONSUMER', KEYS[1], ARGV[1], ARGV[4])\n"
    "return redis.call('XINFO', 'STREAM', KEYS[1])";

/* The entry that is read first, or one before it: the newest that there was, if none waits. */
static struct entry_id first_unread(const struct history *h, struct entry_id last)
{
    struct entry_id first = h->length > 0 ? h->first : h->newest;

    return entry_id_compare(first, last) > 0 ? first : last;
}

/* Entries that are kept: how far the stream is trimmed is where its first entry begins. */
static void take_entered(void *owner, const struct err *error, void *reply)
{
    struct shard *s = opening_take(owner);
    struct history h = {.length = 0};
    struct position *p;
    struct entry_id last;
    struct err e;

    if (s == NULL)
        return;
    p = &s->ledger.position;
    if (error == NULL && history_take_stream(&h, reply) != 0) {
        err_set(&e, ERR_SCHEMA, "XINFO STREAM has another shape than that of Redis 7.0");
        error = &e;
    }
    if (error != NULL) {
        shard_fail(s, "set group", error);
        return;
    }
    p->trimmed = h.added - h.length;
    if (entry_id_parse(p->last_id, &last) != 0)
        abort();
    position_note_marked(p, last, position_accounted(p));
    s->ledger.reading_ms = first_unread(&h, last).ms;
    if (h.added > p->added_seen)
        p->added_seen = h.added;
    s->spec.events.entered(s->spec.events.owner, s);
    opening_done(s);
}

static void enter(struct shard *s)
{
    const struct position *p = &s->ledger.position;
    char mark[EPOCH_MARK_SIZE];

    if (entry_id_parse(p->repeats_until, &s->batch->repeats_until) != 0)
        abort();
    s->ahead->repeats_until = s->batch->repeats_until;
    epoch_mark_format(&p->mark, mark);
    redis_commandf(s->commands, DEADLINE_MS, take_entered, opening_new(s),
                   "EVAL %s 1 %s %s %s %llu %s %s", ENTER, s->stream, STREAM_GROUP, p->last_id,
                   (unsigned long long)position_accounted(p), mark, p->mark.ledger);
}

static void take_acquired(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (shard_is_stale(s, SHARD_OPENING))
        return;
    if (error != NULL)
        shard_fail(s, "read position", error);
    else if (!s->ledger.owned)
        shard_on_lease_lost(s);
    else
        enter(s);
}

static void take_corrected(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (shard_is_stale(s, SHARD_OPENING))
        return;
    if (error == NULL)
        ledger_acquire(&s->ledger, take_acquired, s);
    else if (error->kind == ERR_FENCED)
        shard_on_lease_lost(s);
    else
        shard_fail(s, "correct position", error);
}

/* Told only now: to one that slept past its lease the stream looks just like that. */
static void take_booked(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (error == NULL)
        log_error("ledger_behind_stream", LOG_STR("stream", s->stream),
                  LOG_I64("epoch", s->ledger.position.epoch),
                  LOG_STR("last_id", s->ledger.position.last_id), LOG_I64("lost", s->found.missing),
                  LOG_I64("ended_lost", s->found.gone),
                  LOG_MSG("PostgreSQL lost commits; sinks hold until: meterctl restore accept"));
    take_corrected(s, error);
}

static void take_opened(void *owner, const struct err *error)
{
    struct shard *s = owner;
    const struct position *p = &s->ledger.position;

    if (error == NULL && s->found.verdict == HISTORY_RESET_CUT)
        log_warn("epoch_opened", LOG_STR("stream", s->stream), LOG_I64("ended_epoch", p->epoch),
                 LOG_STR("reason", "reset"), LOG_MSG("finished what meterctl stream reset began"));
    else if (error == NULL)
        log_error("epoch_opened", LOG_STR("stream", s->stream), LOG_I64("ended_epoch", p->epoch),
                  LOG_STR("last_id", p->last_id), LOG_I64("lost", s->found.gone),
                  LOG_U64("start_ms", s->found.start.ms), LOG_STR("reason", "redis lost entries"),
                  LOG_MSG("Redis lost data: reading on from where the stream it has is surely "
                          "counted; repeats are recognised"));
    take_corrected(s, error);
}

static void open_epoch(struct shard *s, const char *reason, const char *token)
{
    const struct judgement *j = &s->found;
    struct epoch_change change = {.reason = reason,
                                  .gone = j->gone,
                                  .start = j->start,
                                  .base = j->base,
                                  .lost = j->missing,
                                  .repeats_until = j->repeats_until,
                                  .token = token,
                                  .hold = j->verdict == HISTORY_LEDGER_LOST_EPOCH};

    ledger_open_epoch(&s->ledger, &change, change.hold ? take_booked : take_opened, s);
}

/* Another ledger's stream. A process that was started with wrong settings ends, and one that has
 * counted before waits: the other ledger may have been the mistake. */
static void refuse_stream(struct shard *s, const struct history *h)
{
    uint64_t held;

    snprintf(s->foreign_ledger, sizeof s->foreign_ledger, "%s", h->mark.ledger);
    if (log_repeat_failed(&s->foreign, clock_monotonic_ms(), &held))
        log_error("stream_refused", LOG_STR("stream", s->stream), LOG_STR("ledger", h->mark.ledger),
                  LOG_STR("own_ledger", s->ledger.position.mark.ledger), LOG_U64("held_back", held),
                  LOG_MSG("the stream belongs to another ledger (its table ledger_identity has "
                          "that id): set DATABASE_URL or REDIS_URL right; or take the stream "
                          "over: meterctl stream adopt"));
    if (s->spec.told->entered)
        shard_restart(s, true);
    else
        s->spec.events.refused(s->spec.events.owner, EXIT_SETTINGS);
}

static void act_on(struct shard *s, const struct history *h)
{
    const struct judgement *j = &s->found;

    if (j->verdict != HISTORY_FOREIGN)
        s->foreign_ledger[0] = '\0';
    switch (j->verdict) {
    case HISTORY_FOREIGN:
        refuse_stream(s, h);
        break;
    case HISTORY_INTACT:
        enter(s);
        break;
    case HISTORY_NEW:
        if (j->base > 0)
            log_warn("stream_joined_late", LOG_STR("stream", s->stream),
                     LOG_U64("trimmed_before", j->base));
        ledger_set_base(&s->ledger, j->base, take_corrected, s);
        break;
    case HISTORY_REDIS_LOST:
        open_epoch(s, h->stream_exists ? "redis lost entries" : "redis lost the stream", NULL);
        break;
    case HISTORY_LEDGER_BEHIND:
        ledger_book_lost(&s->ledger, j->missing, take_booked, s);
        break;
    case HISTORY_LEDGER_LOST_EPOCH:
        open_epoch(s, "postgres lost commits", h->mark.token);
        break;
    case HISTORY_RESET_CUT:
        open_epoch(s, "reset", h->mark.token);
        break;
    }
}

static void warn_of_weakness(struct shard *s, const struct history *h)
{
    if (s->spec.told->weakness)
        return;
    s->spec.told->weakness = true;
    if (!h->config_known)
        log_warn("redis_durability_unknown",
                 LOG_MSG("CONFIG GET is not allowed: cannot tell whether Redis keeps entries"));
    else if (h->evicts || !h->append_only)
        log_warn("redis_volatile", LOG_MSG("Redis may lose entries, as allowed by setting"));
    else if (!h->fsync_always)
        log_warn("redis_durability_weak",
                 LOG_MSG("appendfsync is not always: a power loss may lose the last entries, and "
                         "so may a crash of Redis while its disk is busy"));
}

/* A Redis that was never fit ends the start; one that became unfit is waited for. */
static void refuse_redis(struct shard *s, const char *why)
{
    struct err e;

    if (s->table_batches < 0) {
        log_error("redis_refused", LOG_STR("stream", s->stream), LOG_MSG(why));
        s->spec.events.refused(s->spec.events.owner, EXIT_FAILED);
        return;
    }
    err_set(&e, ERR_REFUSED, "this Redis cannot be used: %s", why);
    shard_fail(s, "open stream", &e);
}

static enum lineage find_lineage(const struct ledger *l, const struct history *h)
{
    const struct position *p = &l->position;

    if (!h->mark_exists)
        return LINEAGE_NONE;
    if (strcmp(h->mark.ledger, p->mark.ledger) != 0)
        return LINEAGE_FOREIGN;
    if (strcmp(h->mark.token, p->mark.token) == 0)
        return LINEAGE_OURS;
    if (strcmp(h->mark.token, p->reset_token) == 0)
        return LINEAGE_RESET;
    return ledger_knows_epoch(l, h->mark.token) ? LINEAGE_EARLIER : LINEAGE_LATER;
}

static void note_takeovers(struct ledger *l, const struct history *h)
{
    struct epoch_mark *ours = &l->position.mark;

    if (!h->mark_exists || strcmp(h->mark.ledger, ours->ledger) != 0 ||
        h->mark.takeovers <= ours->takeovers)
        return;
    l->takeovers_seen = ours->takeovers = h->mark.takeovers;
}

static struct judgement judge(const struct ledger *l, const struct history *h)
{
    const struct position *p = &l->position;
    struct standing s = {.lineage = find_lineage(l, h),
                         .base = p->base,
                         .accounted = position_accounted(p),
                         .added_seen = p->added_seen,
                         .counted_before = p->batches > 0,
                         .token = p->mark.token,
                         .marked_known = p->marked_known,
                         .marked_last = p->marked_last,
                         .marked_accounted = p->marked_accounted};

    if (entry_id_parse(p->last_id, &s.last) != 0 ||
        entry_id_parse(p->repeats_until, &s.repeats_until) != 0)
        abort();
    return history_judge(h, &s);
}

static void take_history(void *owner, const struct err *error, const struct history *h)
{
    struct shard *s = opening_take(owner);
    const char *unfit;

    if (s == NULL)
        return;
    if (error != NULL) {
        shard_fail(s, "read history", error);
        return;
    }
    if (!h->is_master) { /* since we connected; what it has may be old */
        redis_found_replica(s->commands);
        return;
    }
    unfit = durable_why_not(s, h);
    if (unfit != NULL) {
        refuse_redis(s, unfit);
        return;
    }
    durable_take(s, NULL);
    warn_of_weakness(s, h);
    note_takeovers(&s->ledger, h);
    s->found = judge(&s->ledger, h);
    act_on(s, h);
}

void opening_run(struct shard *s)
{
    history_read(s->commands, s->stream, s->ledger.position.last_id, take_history, opening_new(s));
}
