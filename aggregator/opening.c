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
    struct aggregator *aggregator;
    uint64_t generation;
};

static struct opening *opening_new(struct aggregator *a)
{
    struct opening *o = xcalloc(1, sizeof *o);

    *o = (struct opening){.aggregator = a, .generation = a->generation};
    return o;
}

/* NULL if the answer is of a life before, or of one that ends in a moment, with PostgreSQL lost. */
static struct aggregator *opening_take(struct opening *o)
{
    struct aggregator *a = o->aggregator;
    bool is_over = o->generation != a->generation || !pg_is_ready(a->pg);

    free(o);
    return is_over ? NULL : a;
}

static void take_group(void *owner, const struct err *error, void *reply)
{
    struct aggregator *a = opening_take(owner);

    (void)reply;
    if (a == NULL)
        return;
    if (error != NULL)
        shard_fail(a, "set group", error);
    else
        opening_done(a);
}

static void set_group(struct aggregator *a)
{
    const struct position *p = &a->ledger.position;
    unsigned long long read = p->base + (uint64_t)(p->processed + p->lost);

    redis_commandf(a->commands, DEADLINE_MS, take_group, opening_new(a),
                   "XGROUP SETID %s %s %s ENTRIESREAD %llu", a->stream, STREAM_GROUP, p->last_id,
                   read);
}

static void take_created(void *owner, const struct err *error, void *reply)
{
    struct aggregator *a = opening_take(owner);

    (void)reply;
    if (a == NULL)
        return;
    if (error != NULL && strncmp(error->text, "BUSYGROUP", 9) != 0)
        shard_fail(a, "create group", error);
    else
        set_group(a);
}

static void ensure_group(struct aggregator *a)
{
    redis_commandf(a->commands, DEADLINE_MS, take_created, opening_new(a),
                   "XGROUP CREATE %s %s %s MKSTREAM", a->stream, STREAM_GROUP,
                   a->ledger.position.last_id);
}

static void take_corrected(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    if (shard_is_stale(a, SHARD_OPENING))
        return;
    if (error == NULL)
        ensure_group(a);
    else if (error->kind == ERR_FENCED)
        shard_on_lease_lost(a);
    else
        shard_fail(a, "correct position", error);
}

/* Told only now: to one that slept past its lease the stream looks just like that. */
static void take_booked(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    if (error == NULL)
        log_error("ledger_behind_stream", LOG_STR("stream", a->stream),
                  LOG_STR("last_id", a->ledger.position.last_id),
                  LOG_I64("lost", a->ledger.position.lost),
                  LOG_MSG("PostgreSQL lost commits; sinks hold until: meterctl restore accept"));
    take_corrected(a, error);
}

static void open_epoch(struct aggregator *a, uint64_t base, const struct history *h)
{
    const char *reason = h->stream_exists ? "redis lost entries" : "redis lost the stream";

    log_error(
        "epoch_opened", LOG_STR("stream", a->stream),
        LOG_I64("ended_epoch", a->ledger.position.epoch),
        LOG_STR("last_id", a->ledger.position.last_id), LOG_U64("entries", h->length),
        LOG_STR("reason", reason),
        LOG_MSG("Redis lost data: reading what it has from the beginning; repeats are recognised"));
    ledger_open_epoch(&a->ledger, base, reason, take_corrected, a);
}

static void act_on(struct aggregator *a, struct judgement j, const struct history *h)
{
    switch (j.verdict) {
    case HISTORY_INTACT:
        ensure_group(a);
        break;
    case HISTORY_NEW:
        if (j.base > 0)
            log_warn("stream_joined_late", LOG_STR("stream", a->stream),
                     LOG_U64("trimmed_before", j.base));
        ledger_set_base(&a->ledger, j.base, take_corrected, a);
        break;
    case HISTORY_REDIS_LOST:
        open_epoch(a, j.base, h);
        break;
    case HISTORY_LEDGER_BEHIND:
        ledger_book_lost(&a->ledger, j.missing, take_booked, a);
        break;
    }
}

/* Returns NULL, or why this Redis must not be used. */
static const char *find_unfit(const struct aggregator *a, const struct history *h)
{
    if (!h->is_master)
        return "it is a replica";
    if (!h->config_known || a->config->allow_volatile_redis)
        return NULL;
    if (h->evicts)
        return "it evicts keys when memory is full: set maxmemory-policy noeviction, or "
               "METERLINE_ALLOW_VOLATILE_REDIS=1";
    if (!h->append_only)
        return "it has no append-only file: set appendonly yes, or "
               "METERLINE_ALLOW_VOLATILE_REDIS=1";
    return NULL;
}

static void warn_of_weakness(struct aggregator *a, const struct history *h)
{
    if (a->volatile_warned)
        return;
    a->volatile_warned = true;
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
static void refuse_redis(struct aggregator *a, const struct history *h, const char *why)
{
    struct err e;

    if (h->is_master && a->table_batches < 0) {
        log_error("redis_refused", LOG_STR("stream", a->stream), LOG_MSG(why));
        stage_finish(a->stage, EXIT_FAILED);
        return;
    }
    err_set(&e, ERR_REFUSED, "this Redis cannot be used: %s", why);
    shard_fail(a, "open stream", &e);
}

static void take_history(void *owner, const struct err *error, const struct history *h)
{
    struct aggregator *a = opening_take(owner);
    const struct position *p;
    const char *unfit;
    struct entry_id last;

    if (a == NULL)
        return;
    if (error != NULL) {
        shard_fail(a, "read history", error);
        return;
    }
    unfit = find_unfit(a, h);
    if (unfit != NULL) {
        refuse_redis(a, h, unfit);
        return;
    }
    warn_of_weakness(a, h);
    p = &a->ledger.position;
    if (entry_id_parse(p->last_id, &last) != 0)
        abort();
    act_on(a, history_judge(h, last, p->base + (uint64_t)(p->processed + p->lost), p->batches > 0),
           h);
}

void opening_run(struct aggregator *a)
{
    history_read(a->commands, a->stream, a->ledger.position.last_id, take_history, opening_new(a));
}
