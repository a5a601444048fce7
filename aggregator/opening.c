/* OPENING: may this Redis be trusted, and is the history intact? Then the group stands where the
 * ledger does, and reading can begin. */
#include "aggregator/aggregator.h"
#include "common/clock.h"
#include "common/contract.h"

#include <stdlib.h>

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

    *o = (struct opening){.shard = s, .generation = s->generation};
    return o;
}

/* NULL if the answer is of a life before, or of one that ends in a moment, with PostgreSQL lost. */
static struct shard *opening_take(struct opening *o)
{
    struct shard *s = o->shard;
    bool is_over = o->generation != s->generation || !pg_is_ready(s->pg);

    free(o);
    return is_over ? NULL : s;
}

static void take_group(void *owner, const struct err *error, void *reply)
{
    struct shard *s = opening_take(owner);

    (void)reply;
    if (s == NULL)
        return;
    if (error != NULL)
        shard_fail(s, "set group", error);
    else
        opening_done(s);
}

static void set_group(struct shard *s)
{
    const struct position *p = &s->ledger.position;
    unsigned long long read = p->base + (uint64_t)(p->processed + p->lost);

    redis_commandf(s->process->commands, DEADLINE_MS, take_group, opening_new(s),
                   "XGROUP SETID %s %s %s ENTRIESREAD %llu", s->stream, STREAM_GROUP, p->last_id,
                   read);
}

static void take_created(void *owner, const struct err *error, void *reply)
{
    struct shard *s = opening_take(owner);

    (void)reply;
    if (s == NULL)
        return;
    if (error != NULL && strncmp(error->text, "BUSYGROUP", 9) != 0)
        shard_fail(s, "create group", error);
    else
        set_group(s);
}

static void ensure_group(struct shard *s)
{
    redis_commandf(s->process->commands, DEADLINE_MS, take_created, opening_new(s),
                   "XGROUP CREATE %s %s %s MKSTREAM", s->stream, STREAM_GROUP,
                   s->ledger.position.last_id);
}

static void take_corrected(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (shard_is_stale(s, SHARD_OPENING))
        return;
    if (error == NULL)
        ensure_group(s);
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
                  LOG_STR("last_id", s->ledger.position.last_id),
                  LOG_I64("lost", s->ledger.position.lost),
                  LOG_MSG("PostgreSQL lost commits; sinks hold until: meterctl restore accept"));
    take_corrected(s, error);
}

static void open_epoch(struct shard *s, uint64_t base, const struct history *h)
{
    const char *reason = h->stream_exists ? "redis lost entries" : "redis lost the stream";

    log_error(
        "epoch_opened", LOG_STR("stream", s->stream),
        LOG_I64("ended_epoch", s->ledger.position.epoch),
        LOG_STR("last_id", s->ledger.position.last_id), LOG_U64("entries", h->length),
        LOG_STR("reason", reason),
        LOG_MSG("Redis lost data: reading what it has from the beginning; repeats are recognised"));
    ledger_open_epoch(&s->ledger, base, reason, take_corrected, s);
}

static void act_on(struct shard *s, struct judgement j, const struct history *h)
{
    switch (j.verdict) {
    case HISTORY_INTACT:
        ensure_group(s);
        break;
    case HISTORY_NEW:
        if (j.base > 0)
            log_warn("stream_joined_late", LOG_STR("stream", s->stream),
                     LOG_U64("trimmed_before", j.base));
        ledger_set_base(&s->ledger, j.base, take_corrected, s);
        break;
    case HISTORY_REDIS_LOST:
        open_epoch(s, j.base, h);
        break;
    case HISTORY_LEDGER_BEHIND:
        ledger_book_lost(&s->ledger, j.missing, take_booked, s);
        break;
    }
}

/* Returns NULL, or why this Redis must not be used. */
static const char *find_unfit(const struct shard *s, const struct history *h)
{
    if (!h->is_master)
        return "it is a replica";
    if (!h->config_known || s->process->config->allow_volatile_redis)
        return NULL;
    if (h->evicts)
        return "it evicts keys when memory is full: set maxmemory-policy noeviction, or "
               "METERLINE_ALLOW_VOLATILE_REDIS=1";
    if (!h->append_only)
        return "it has no append-only file: set appendonly yes, or "
               "METERLINE_ALLOW_VOLATILE_REDIS=1";
    return NULL;
}

static void warn_of_weakness(struct shard *s, const struct history *h)
{
    if (s->process->volatile_warned)
        return;
    s->process->volatile_warned = true;
    if (!h->config_known)
        log_warn("redis_durability_unknown",
                 LOG_MSG("CONFIG GET is not allowed: cannot tell whether Redis keeps entries"));
    else if (h->evicts || !h->append_only)
        log_warn("redis_volatile", LOG_MSG("Redis may lose entries, as allowed by setting"));
    else if (!h->fsync_always)
        log_warn("redis_durability_weak",
                 LOG_MSG("appendfsync is not always: a power loss may lose the last entries"));
}

/* A Redis that was never fit ends the start; one that became unfit is waited for. */
static void refuse_redis(struct shard *s, const struct history *h, const char *why)
{
    struct err e;

    if (h->is_master && s->table_batches < 0) {
        log_error("redis_refused", LOG_STR("stream", s->stream), LOG_MSG(why));
        stage_finish(s->process->stage, EXIT_FAILED);
        return;
    }
    err_set(&e, ERR_REFUSED, "this Redis cannot be used: %s", why);
    shard_fail(s, "open stream", &e);
}

static void take_history(void *owner, const struct err *error, const struct history *h)
{
    struct shard *s = opening_take(owner);
    const struct position *p;
    const char *unfit;
    struct entry_id last;

    if (s == NULL)
        return;
    if (error != NULL) {
        shard_fail(s, "read history", error);
        return;
    }
    unfit = find_unfit(s, h);
    if (unfit != NULL) {
        refuse_redis(s, h, unfit);
        return;
    }
    warn_of_weakness(s, h);
    p = &s->ledger.position;
    if (entry_id_parse(p->last_id, &last) != 0)
        abort();
    act_on(s, history_judge(h, last, p->base + (uint64_t)(p->processed + p->lost), p->batches > 0),
           h);
}

void opening_run(struct shard *s)
{
    history_read(s->process->commands, s->stream, s->ledger.position.last_id, take_history,
                 opening_new(s));
}
