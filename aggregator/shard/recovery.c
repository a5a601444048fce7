#include "aggregator/shard/recovery.h"

#include "aggregator/shard/history.h"
#include "aggregator/shard/pending_reply.h"
#include "common/clock.h"
#include "common/contract.h"

#include <stdio.h>
#include <string.h>

enum { DEADLINE_MS = 5000 };

/* NULL if the reply is to an earlier recovery, or to one that ends in a moment, with PostgreSQL
 * lost. */
static struct recovery *own_reply(void *pending)
{
    struct recovery *r = pending_reply_owner(pending);
    return r && pg_is_ready(r->spec.ledger->pg) ? r : NULL;
}

void recovery_stop(struct recovery *r)
{
    r->running = false;
    r->generation++;
}

static void fail(struct recovery *r, const char *step, const struct err *error)
{
    recovery_stop(r);
    r->spec.events.failed(r->spec.events.owner, step, error);
}

/* The ledger answers an earlier recovery. */
static bool is_late(struct recovery *r)
{
    bool late = !r->running;
    if (late)
        r->spec.events.late(r->spec.events.owner);
    return late;
}

/* Moves group and mark to where the ledger stands, in one step. Marks of other epochs are deleted,
 * but a mark of another ledger, which may have come meanwhile, is an error. XGROUP CREATE takes
 * memory, and must be allowed when Redis has none left: else a stream that filled it could never be
 * emptied. */
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

/* Where entries are kept behind the position, the first one tells how far the stream is trimmed. */
static void note_entered(struct ledger *l, const struct history *h)
{
    struct position *p = &l->position;
    struct entry_id last = entry_id_of(p->last_id);
    p->trimmed = h->added - h->length;
    position_note_marked(p, last, position_accounted(p));
    l->reading_ms = first_unread(h, last).ms;
    if (h->added > p->added_seen)
        p->added_seen = h->added;
}

static void take_entered(void *owner, const struct err *error, void *reply)
{
    struct recovery *r = own_reply(owner);
    struct history h = {.length = 0};
    if (!r)
        return;
    struct err e;
    if (!error && history_take_stream(&h, reply) != 0) {
        err_set(&e, ERR_SCHEMA,
                "XINFO STREAM replied in an unknown form; Redis 7.0 or later is needed");
        error = &e;
    }
    if (error) {
        fail(r, "set group", error);
        return;
    }
    note_entered(r->spec.ledger, &h);
    log_repeat_recovered(&r->foreign_repeats);
    recovery_stop(r);
    r->spec.events.recovered(r->spec.events.owner);
}

static void enter(struct recovery *r)
{
    const struct position *p = &r->spec.ledger->position;
    char mark[EPOCH_MARK_SIZE];
    epoch_mark_format(&p->mark, mark);
    redis_commandf(r->spec.redis, DEADLINE_MS, take_entered, pending_reply_new(r, &r->generation),
                   "EVAL %s 1 %s %s %s %llu %s %s", ENTER, r->spec.stream, STREAM_GROUP, p->last_id,
                   (unsigned long long)position_accounted(p), mark, p->mark.ledger);
}

static void take_acquired(void *owner, const struct err *error)
{
    struct recovery *r = owner;
    if (is_late(r))
        return;
    struct err e;
    if (!error && !r->spec.ledger->owned) {
        err_set(&e, ERR_FENCED, "another process took the lease");
        error = &e;
    }
    if (error)
        fail(r, "read position", error);
    else
        enter(r);
}

static void take_corrected(void *owner, const struct err *error)
{
    struct recovery *r = owner;
    if (is_late(r))
        return;
    if (error)
        fail(r, "correct position", error);
    else
        ledger_acquire(r->spec.ledger, take_acquired, r);
}

/* Logged only now: to a process that slept past its lease the stream looks just like that. */
static void take_booked(void *owner, const struct err *error)
{
    struct recovery *r = owner;
    if (!error)
        log_error(ledger_behind_stream, LOG_STR("stream", r->spec.stream),
                  LOG_I64("epoch", r->spec.ledger->position.epoch),
                  LOG_STR("last_id", r->spec.ledger->position.last_id),
                  LOG_I64("lost", r->found.missing), LOG_I64("ended_lost", r->found.gone),
                  LOG_MSG("PostgreSQL lost commits; sinks hold until: meterctl restore accept"));
    take_corrected(r, error);
}

static void take_opened(void *owner, const struct err *error)
{
    struct recovery *r = owner;
    const struct position *p = &r->spec.ledger->position;
    if (!error && r->found.verdict == HISTORY_RESET_CUT)
        log_warn(epoch_opened, LOG_STR("stream", r->spec.stream), LOG_I64("ended_epoch", p->epoch),
                 LOG_STR("reason", "reset"), LOG_MSG("finished what meterctl stream reset began"));
    else if (!error)
        log_error(epoch_opened, LOG_STR("stream", r->spec.stream), LOG_I64("ended_epoch", p->epoch),
                  LOG_STR("last_id", p->last_id), LOG_I64("lost", r->found.gone),
                  LOG_U64("start_ms", r->found.start.ms), LOG_STR("reason", "redis lost entries"),
                  LOG_MSG("Redis lost entries; reading goes on from where its stream is certainly "
                          "counted, and repeats are recognised"));
    take_corrected(r, error);
}

static void open_epoch(struct recovery *r, const char *reason, const char *token)
{
    const struct judgement *j = &r->found;
    struct epoch_change change = {.reason = reason,
                                  .gone = j->gone,
                                  .start = j->start,
                                  .base = j->base,
                                  .lost = j->missing,
                                  .repeats_until = j->repeats_until,
                                  .token = token,
                                  .hold = j->verdict == HISTORY_LEDGER_LOST_EPOCH};
    ledger_open_epoch(r->spec.ledger, &change, change.hold ? take_booked : take_opened, r);
}

static void refuse_stream(struct recovery *r, const struct history *h)
{
    snprintf(r->foreign_ledger, sizeof r->foreign_ledger, "%s", h->mark.ledger);
    uint64_t suppressed;
    if (log_repeat_failed(&r->foreign_repeats, clock_monotonic_ms(), &suppressed))
        log_error(stream_refused, LOG_STR("stream", r->spec.stream),
                  LOG_STR("ledger", h->mark.ledger),
                  LOG_STR("own_ledger", r->spec.ledger->position.mark.ledger),
                  LOG_U64("held_back", suppressed),
                  LOG_MSG("the stream belongs to another ledger (its table ledger_identity has "
                          "that id); correct DATABASE_URL or REDIS_URL, or take the stream "
                          "over: meterctl stream adopt"));
    recovery_stop(r);
    r->spec.events.foreign(r->spec.events.owner);
}

static void act_on(struct recovery *r, const struct history *h)
{
    const struct judgement *j = &r->found;
    if (j->verdict != HISTORY_FOREIGN)
        r->foreign_ledger[0] = '\0';
    switch (j->verdict) {
    case HISTORY_FOREIGN:
        refuse_stream(r, h);
        break;
    case HISTORY_INTACT:
        enter(r);
        break;
    case HISTORY_NEW:
        if (j->base > 0)
            log_warn(
                stream_joined_late, LOG_STR("stream", r->spec.stream),
                LOG_U64("trimmed_before", j->base),
                LOG_MSG(
                    "somebody trimmed the stream before it was first counted: counting begins with "
                    "what is left; if what is gone was usage, send it again"));
        ledger_set_base(r->spec.ledger, j->base, take_corrected, r);
        break;
    case HISTORY_REDIS_LOST:
        open_epoch(r, h->stream_exists ? "redis lost entries" : "redis lost the stream", NULL);
        break;
    case HISTORY_LEDGER_BEHIND:
        ledger_book_lost(r->spec.ledger, j->missing, take_booked, r);
        break;
    case HISTORY_LEDGER_LOST_EPOCH:
        open_epoch(r, "postgres lost commits", h->mark.token);
        break;
    case HISTORY_RESET_CUT:
        open_epoch(r, "reset", h->mark.token);
        break;
    }
}

static void warn_of_weakness(struct recovery *r, const struct history *h)
{
    if (*r->spec.weakness_logged)
        return;
    *r->spec.weakness_logged = true;
    if (!h->config_known)
        log_warn(redis_durability_unknown,
                 LOG_MSG("CONFIG GET is not allowed: cannot tell whether Redis keeps entries"));
    else if (h->evicts || !h->append_only)
        log_warn(redis_volatile,
                 LOG_MSG("Redis may lose entries, which METERLINE_ALLOW_VOLATILE_REDIS allows"));
    else if (!h->fsync_always)
        log_warn(redis_durability_weak,
                 LOG_MSG("appendfsync is not always: a power loss may lose the last entries, and "
                         "so may a crash of Redis while its disk is busy"));
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
    struct epoch_mark *own = &l->position.mark;
    if (h->mark_exists && strcmp(h->mark.ledger, own->ledger) == 0 &&
        h->mark.takeovers > own->takeovers)
        l->takeovers_seen = own->takeovers = h->mark.takeovers;
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
                         .marked_accounted = p->marked_accounted,
                         .last = entry_id_of(p->last_id),
                         .repeats_until = entry_id_of(p->repeats_until)};
    return history_judge(h, &s);
}

static void take_history(void *owner, const struct err *error, const struct history *h)
{
    struct recovery *r = own_reply(owner);
    if (!r)
        return;
    if (error) {
        fail(r, "read history", error);
        return;
    }
    if (!h->is_master) { /* it was demoted since we connected, and what it has may be old */
        redis_found_replica(r->spec.redis);
        return;
    }
    const char *unfit = history_durability_fault(h, r->spec.config->allow_volatile_redis);
    if (unfit)
        recovery_stop(r);
    r->spec.events.redis_judged(r->spec.events.owner, unfit);
    if (unfit)
        return;
    warn_of_weakness(r, h);
    note_takeovers(r->spec.ledger, h);
    r->found = judge(r->spec.ledger, h);
    act_on(r, h);
}

void recovery_init(struct recovery *r, struct recovery_spec spec)
{
    *r = (struct recovery){.spec = spec};
}

void recovery_run(struct recovery *r)
{
    r->running = true;
    history_read(r->spec.redis, r->spec.stream, r->spec.ledger->position.last_id, take_history,
                 pending_reply_new(r, &r->generation));
}
