/* One batch after the other, from the feed into the ledger.
 *
 *      IDLE -> JUDGING -> WRITING -> IDLE
 *
 * JUDGING: read versions, parse, look for repeats, ask the ledger about them, find billing periods.
 * WRITING: the transaction is under way, and only its answer tells.
 *
 * Failure modes: a batch that PostgreSQL refuses is halved until the culprit is alone; that entry
 * is rejected with PostgreSQL's words. Periods that changed meanwhile: judged by the new ones.
 * Anything else, also a COMMIT whose answer is lost: forget the batch and read the position again.
 */
#include "aggregator/aggregator.h"
#include "common/clock.h"
#include "common/contract.h"

#include <assert.h>
#include <stdio.h>

enum { PERIOD_ROUNDS_MAX = 200 };

static void run_state(struct aggregator *a);
static void run_periods(struct aggregator *a);

static const bool MAY_GO[3][3] = {
    [WORK_IDLE] = {[WORK_JUDGING] = true},
    [WORK_JUDGING] = {[WORK_WRITING] = true, [WORK_IDLE] = true},
    [WORK_WRITING] = {[WORK_JUDGING] = true, [WORK_IDLE] = true},
};

static void work_go(struct work *w, enum work_state next)
{
    assert(MAY_GO[w->state][next]);
    w->state = next;
}

static void abort_batch(struct aggregator *a)
{
    if (a->work.batch_open)
        batch_abort(&a->batch);
    a->work.batch_open = false;
}

void work_forget(struct aggregator *a)
{
    abort_batch(a);
    ledger_forget_batch(&a->ledger);
    a->work = (struct work){.state = WORK_IDLE, .size_max = UINT32_MAX};
}

/* The machine is not RUNNING any more: nobody waits for this answer. */
static bool is_over(struct aggregator *a, const char *step, const struct err *error)
{
    if (shard_is_stale(a, SHARD_RUNNING))
        return true;
    if (error == NULL)
        return false;
    shard_fail(a, step, error);
    return true;
}

/* On with what is left of the feed's entries, or give them back. */
static void run_rest(struct aggregator *a)
{
    struct work *w = &a->work;

    work_go(w, WORK_IDLE);
    if (stage_is_draining(a->stage)) {
        shard_drain(a);
        return;
    }
    if (w->from < w->entries->count) {
        work_go(w, WORK_JUDGING);
        run_state(a);
        return;
    }
    w->entries = NULL;
    w->size_max = UINT32_MAX;
    feed_give_back(&a->feed);
}

static void take_committed(struct aggregator *a)
{
    struct work *w = &a->work;
    const struct entry *first = &w->entries->list[w->from];
    int64_t commit_us = clock_monotonic_us() - w->write_started_us;

    stage_crash_point("after_commit");
    batch_commit(&a->batch, &a->ledger.stored);
    w->batch_open = false;
    a->table_batches = a->ledger.position.batches;
    dedupe_expire(a->dedupe, a->ledger.stored.committed_ms);
    if (dedupe_shrunk(a->dedupe) > 0)
        log_warn(
            "window_shrunk", LOG_STR("stream", a->stream),
            LOG_I64("window_s", dedupe_window_ms(a->dedupe, a->ledger.stored.committed_ms) / 1000),
            LOG_MSG("DEDUPE_MEMORY_MB is full: older ids are no longer recognised"));
    quota_note(&a->upkeep.quota, &a->batch.tally, (int64_t)first->ms);
    gauges_count_batch(a, commit_us);
    trim_run(a);
    upkeep_poke(&a->upkeep);
    w->from = w->to;
    w->refusal[0] = '\0';
    if (w->size_max < UINT32_MAX / 2)
        w->size_max *= 2;
    run_rest(a);
}

/* Data that PostgreSQL will not take (classes 22 and 23) or that pass one of its limits (54). A
 * failed check is none: the one that data can meet is a day without a partition. */
static bool is_poison(const struct err *e)
{
    return e->kind == ERR_REFUSED && !e->retry && strcmp(e->sqlstate, "23514") != 0 &&
           (strncmp(e->sqlstate, "22", 2) == 0 || strncmp(e->sqlstate, "23", 2) == 0 ||
            strncmp(e->sqlstate, "54", 2) == 0);
}

/* PostgreSQL's words may be in any language and are cut: what is kept of them is ASCII. */
static void note_refusal(struct work *w, const struct err *error)
{
    snprintf(w->refusal, sizeof w->refusal, "%s: %.140s", error->sqlstate, error->text);
    for (char *c = w->refusal; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

static void isolate_poison(struct aggregator *a, const struct err *error)
{
    struct work *w = &a->work;
    uint32_t n = w->to - w->from;

    log_warn("batch_refused", LOG_STR("stream", a->stream), LOG_U64("entries", n),
             LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    abort_batch(a);
    if (n == 1)
        note_refusal(w, error);
    w->size_max = n > 1 ? n / 2 : 1;
    work_go(w, WORK_JUDGING);
    run_state(a);
}

static void take_repeat_state(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    if (is_over(a, "read state", error))
        return;
    a->work.period_rounds = 0;
    run_periods(a);
}

static void take_commit(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    if (shard_is_stale(a, SHARD_RUNNING))
        return;
    if (error == NULL) {
        take_committed(a);
    } else if (strcmp(error->sqlstate, SQLSTATE_PERIODS_CHANGED) == 0) {
        work_go(&a->work, WORK_JUDGING);
        ledger_read_state(&a->ledger, take_repeat_state, a);
    } else if (error->kind == ERR_FENCED) {
        log_warn("batch_fenced", LOG_STR("stream", a->stream), LOG_MSG(error->text));
        shard_restart(a, false);
    } else if (is_poison(error) && a->work.refusal[0] == '\0') {
        isolate_poison(a, error);
    } else {
        shard_fail(a, "commit", error);
    }
}

static void run_commit(struct aggregator *a)
{
    struct work *w = &a->work;
    const struct entry *last = &w->entries->list[w->to - 1];
    char id[ENTRY_ID_TEXT_SIZE];

    entry_id_format((struct entry_id){.ms = last->ms, .seq = last->seq}, id);
    work_go(w, WORK_WRITING);
    w->write_started_us = clock_monotonic_us();
    ledger_commit(&a->ledger, &a->batch, id, a->ledger.position.added_seen, take_commit, a);
    stage_crash_point("in_transaction");
}

static void take_periods(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    if (!is_over(a, "read periods", error))
        run_periods(a);
}

/* A round asks for one minute of each tenant; 35 days of usage are not more rounds than this,
 * whatever the billing interval. More would mean periods that do not hold their minutes: say so, do
 * not spin. */
static void run_periods(struct aggregator *a)
{
    struct err e;

    if (!ledger_must_read_periods(&a->ledger, &a->batch)) {
        run_commit(a);
    } else if (a->work.period_rounds++ < PERIOD_ROUNDS_MAX) {
        ledger_read_periods(&a->ledger, &a->batch, take_periods, a);
    } else {
        err_set(&e, ERR_SCHEMA, "billing_period gives periods that do not hold their minute");
        shard_fail(a, "read periods", &e);
    }
}

static void take_confirmed(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    if (is_over(a, "confirm repeats", error))
        return;
    batch_settle(&a->batch);
    run_periods(a);
}

static void run_batch(struct aggregator *a)
{
    struct work *w = &a->work;
    uint32_t left = w->entries->count - w->from;
    uint32_t room = dedupe_batch_max(a->dedupe);
    uint32_t size = left < w->size_max ? left : w->size_max;

    w->to = w->from + (size < room ? size : room);
    w->batch_open = true;
    w->period_rounds = 0;
    batch_begin(&a->batch, a->ledger.catalog, a->dedupe, w->entries, w->from, w->to,
                a->ledger.now_ms, w->refusal[0] != '\0' ? w->refusal : NULL);
    if (ledger_must_confirm(&a->batch))
        ledger_confirm(&a->ledger, &a->batch, take_confirmed, a);
    else
        take_confirmed(a, NULL);
}

static void take_catalog(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    if (!is_over(a, "read catalog", error))
        run_batch(a);
}

static void take_state(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    if (is_over(a, "read state", error))
        return;
    if (a->ledger.catalog_newest != a->ledger.catalog_version)
        ledger_read_catalog(&a->ledger, take_catalog, a);
    else
        run_batch(a);
}

static void run_state(struct aggregator *a)
{
    ledger_read_state(&a->ledger, take_state, a);
}

void work_start(struct aggregator *a)
{
    struct work *w = &a->work;

    /* A connection that is lost is told of in a moment; Redis may answer before. */
    if (w->state != WORK_IDLE || a->ledger.done != NULL || stage_is_draining(a->stage) ||
        !pg_is_ready(a->pg))
        return;
    w->entries = feed_take(&a->feed);
    if (w->entries == NULL)
        return;
    w->from = 0;
    work_go(w, WORK_JUDGING);
    run_state(a);
}
