#include "aggregator/shard/batch_loop.h"

#include "common/clock.h"
#include "common/machine.h"
#include "common/stage.h"

#include <stdio.h>

static void run_judging(struct batch_loop *w);

static const struct machine BATCH_LOOP = {
    "batch loop",
    {[BATCH_IDLE] = {"idle", TO(BATCH_JUDGING) | TO(BATCH_FOLDING)},
     [BATCH_JUDGING] = {"judging", TO(BATCH_WRITING) | TO(BATCH_IDLE)},
     [BATCH_WRITING] = {"writing", TO(BATCH_JUDGING) | TO(BATCH_IDLE) | TO(BATCH_FOLDING)},
     [BATCH_FOLDING] = {"folding", TO(BATCH_IDLE) | TO(BATCH_JUDGING)}}};

static void abort_batch(struct batch_loop *w)
{
    if (w->batch_open)
        batch_abort(w->parsed.batch);
    w->batch_open = false;
}

/* The loop was stopped, so this answer is dropped. */
static bool is_late(struct batch_loop *w)
{
    bool late = !w->running;
    if (late)
        w->events.late(w->events.owner);
    return late;
}

static bool is_over(struct batch_loop *w, const char *step, const struct err *error)
{
    if (is_late(w))
        return true;
    if (!error)
        return false;
    w->events.failed(w->events.owner, step, error);
    return true;
}

/* All sums that are here. */
static struct ledger_sums all_sums(struct batch_loop *w, const struct minute_sums *own, bool fold)
{
    struct pending_sums *p = &w->pending;
    const struct minute_sums *kept = pending_sums_sort(p, w->ledger->catalog_version);
    return (struct ledger_sums){.own = own,
                                .fold = fold,
                                .kept = kept,
                                .batches = p->batches,
                                .first_batch = p->first_batch};
}

static void run_fold(struct batch_loop *w, ledger_done_fn done)
{
    machine_go(&BATCH_LOOP, w->state, BATCH_FOLDING);
    ledger_fold(w->ledger, all_sums(w, NULL, true), done, w);
}

/* Go on with the entries that are left, or give them back to the reader. */
static void run_rest(struct batch_loop *w)
{
    machine_go(&BATCH_LOOP, w->state, BATCH_IDLE);
    if (w->leaving) {
        w->events.rested(w->events.owner);
        return;
    }
    if (w->from < w->entries->count) {
        run_judging(w);
        return;
    }
    w->entries = NULL;
    w->size_max = UINT32_MAX;
    stream_reader_give_back(w->reader);
}

static void take_committed(struct batch_loop *w)
{
    int64_t commit_us = clock_monotonic_us() - w->write_started_us;
    stage_crash_point("after_commit");
    batch_commit(w->parsed.batch, &w->ledger->stored);
    w->batch_open = false;
    if (w->spills)
        pending_sums_note_written(&w->pending, w->parsed.batch->sums.count,
                                  w->parsed.batch->counted);
    w->events.committed(w->events.owner, w->parsed.batch, commit_us);
    w->from = w->to;
    w->refusal[0] = '\0';
    if (w->size_max < UINT32_MAX / 2)
        w->size_max *= 2;
    run_rest(w);
}

/* PostgreSQL's message may be in any language and is cut: only ASCII is kept. */
static void note_refusal(struct batch_loop *w, const struct err *error)
{
    snprintf(w->refusal, sizeof w->refusal, "%s: %.140s", error->sqlstate, error->text);
    for (char *c = w->refusal; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

static void take_fold_before(void *owner, const struct err *error)
{
    struct batch_loop *w = owner;
    if (!is_over(w, "fold", error))
        run_judging(w);
}

/* What was pending before is not the culprit's, and would be written again with each half. */
static void isolate_poison(struct batch_loop *w, const struct err *error)
{
    uint32_t n = w->to - w->from;
    log_warn(batch_refused, LOG_STR("stream", w->stream), LOG_U64("entries", n),
             LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    abort_batch(w);
    if (n == 1)
        note_refusal(w, error);
    w->size_max = n > 1 ? n / 2 : 1;
    if (w->kept)
        pending_sums_lose(&w->pending); /* its sums are among them */
    if (w->pending.events > 0)
        run_fold(w, take_fold_before);
    else
        run_judging(w);
}

static void take_commit(void *owner, const struct err *error)
{
    struct batch_loop *w = owner;
    if (is_late(w))
        return;
    if (!error)
        take_committed(w);
    else if (pg_is_data_fault(error) && w->refusal[0] == '\0')
        isolate_poison(w, error);
    else if (error->kind == ERR_FENCED)
        w->events.fenced(w->events.owner, error);
    else
        w->events.failed(w->events.owner, "commit", error);
}

/* Every caller of fold_usage gets its rows here, before its own answer. */
static void take_totals(void *owner, PGresult *rows)
{
    struct batch_loop *w = owner;
    w->events.totals(w->events.owner, rows, w->pending.from_ms);
    pending_sums_clear(&w->pending);
}

static void keep_sums(struct batch_loop *w)
{
    struct pending_sums *p = &w->pending;
    const struct batch *b = w->parsed.batch;
    pending_sums_add(p, &b->sums, w->ledger->catalog_version, b->counted);
    if (batch_waits(b))
        pending_sums_note_waiting(p, w->ledger->next_batch);
}

/* Sums kept in memory are added after the last statement was sent, while PostgreSQL works. */
static void run_commit(struct batch_loop *w)
{
    struct minute_sums *own = &w->parsed.batch->sums;
    char id[ENTRY_ID_TEXT_SIZE];
    bool folds = pending_sums_must_fold(&w->pending, own, w->parsed.batch->counted,
                                        stream_reader_has_more(w->reader));
    struct ledger_sums sums = {.own = NULL};
    entry_id_format(entries_id(w->entries, w->to - 1), id);
    if (w->pending.events == 0)
        w->pending.from_ms = (int64_t)w->entries->list[w->from].ms;
    w->kept = !folds && !pending_sums_is_full(&w->pending);
    w->spills = !folds && !w->kept;
    if (!w->kept) {
        minute_sums_sort(own);
        sums = all_sums(w, own, folds);
    }
    ledger_commit(w->ledger, id, w->ledger->position.added_seen, sums);
    stage_crash_point("in_transaction");
    if (w->kept)
        keep_sums(w);
    batch_loop_parse_ahead(w);
}

/* This turn of the event loop is a long one: both servers are kept busy meanwhile. */
static void on_slice(void *owner, int slice)
{
    struct batch_loop *w = owner;
    (void)slice;
    ledger_add_slice(w->ledger);
    stream_reader_poll(w->reader);
}

static void take_confirmed(void *owner, const struct err *error)
{
    struct batch_loop *w = owner;
    if (is_over(w, "confirm repeats", error))
        return;
    machine_go(&BATCH_LOOP, w->state, BATCH_WRITING);
    w->write_started_us = clock_monotonic_us();
    ledger_begin(w->ledger, w->parsed.batch, take_commit, w);
    batch_settle(w->parsed.batch, on_slice, w);
    run_commit(w);
}

static void judge(struct batch_loop *w)
{
    w->batch_open = true;
    batch_probe(w->parsed.batch, w->ledger->now_ms);
    stream_reader_poll(w->reader);
    if (ledger_must_look_up(w->parsed.batch))
        ledger_lookup(w->ledger, w->parsed.batch, take_confirmed, w);
    else
        take_confirmed(w, NULL);
}

static void take_again(void *owner, const struct err *error)
{
    struct batch_loop *w = owner;
    if (is_over(w, "look up entries read again", error))
        return;
    batch_settle_again(w->parsed.batch);
    judge(w);
}

static void run_batch(struct batch_loop *w)
{
    uint32_t left = w->entries->count - w->from;
    uint32_t room = dedupe_batch_max(w->dedupe);
    uint32_t size = left < w->size_max ? left : w->size_max;
    w->to = w->from + (size < room ? size : room);
    parse_ahead_take(&w->parsed, w->entries, w->from, w->to,
                     w->refusal[0] != '\0' ? w->refusal : NULL);
    w->parsed.batch->dropped_until_ms = w->ledger->dropped_until_ms;
    w->parsed.batch->rejects_dropped_until_ms = w->ledger->rejects_dropped_until_ms;
    if (batch_again_count(w->parsed.batch) > 0)
        ledger_find_again(w->ledger, w->parsed.batch, take_again, w);
    else
        judge(w);
}

static void take_catalog(void *owner, const struct err *error)
{
    struct batch_loop *w = owner;
    if (!is_over(w, "read catalog", error))
        run_batch(w);
}

static void take_state(void *owner, const struct err *error)
{
    struct batch_loop *w = owner;
    if (is_over(w, "read state", error))
        return;
    if (w->ledger->catalog_newest != w->ledger->catalog_version)
        ledger_read_catalog(w->ledger, take_catalog, w);
    else
        run_batch(w);
}

static void run_judging(struct batch_loop *w)
{
    machine_go(&BATCH_LOOP, w->state, BATCH_JUDGING);
    ledger_read_state(w->ledger, take_state, w);
}

void batch_loop_poke(struct batch_loop *w)
{
    /* That a connection was lost may be reported only after Redis has answered. */
    if (w->state != BATCH_IDLE || w->ledger->done || w->leaving || !pg_is_ready(w->ledger->pg))
        return;
    w->entries = stream_reader_take(w->reader);
    if (!w->entries)
        return;
    w->from = 0;
    run_judging(w);
    parse_ahead_run(&w->parsed, w->entries, w->entries->count);
}

static void take_fold(void *owner, const struct err *error)
{
    struct batch_loop *w = owner;
    if (is_over(w, "fold", error))
        return;
    machine_go(&BATCH_LOOP, w->state, BATCH_IDLE);
    if (w->leaving)
        w->events.rested(w->events.owner);
    else
        batch_loop_poke(w);
    stream_reader_resume(w->reader);
}

bool batch_loop_fold_rest(struct batch_loop *w)
{
    if (w->state != BATCH_IDLE || w->pending.events == 0 || w->ledger->done ||
        !pg_is_ready(w->ledger->pg))
        return false;
    run_fold(w, take_fold);
    return true;
}

void batch_loop_parse_ahead(struct batch_loop *w)
{
    uint32_t whole;
    const struct entries *entries = stream_reader_filling(w->reader, &whole);
    /* What was taken is parsed already, and about to become the batch on its way. */
    if (!w->running || (w->state == BATCH_JUDGING && parse_ahead_has(&w->parsed, w->entries)))
        return;
    parse_ahead_run(&w->parsed, entries, whole);
}

bool batch_loop_is_writing(const struct batch_loop *w)
{
    return w->state == BATCH_WRITING || w->state == BATCH_FOLDING;
}

void batch_loop_leave(struct batch_loop *w)
{
    w->leaving = true;
}

void batch_loop_init(struct batch_loop *w, struct batch_loop_spec spec)
{
    *w = (struct batch_loop){.stream = spec.stream,
                             .ledger = spec.ledger,
                             .reader = spec.reader,
                             .events = spec.events,
                             .size_max = UINT32_MAX};
    parse_ahead_init(&w->parsed, spec.ledger, spec.stream, spec.shard, spec.shards, spec.key);
    pending_sums_init(&w->pending, spec.key);
    spec.ledger->on_totals = take_totals;
    spec.ledger->totals_owner = w;
}

void batch_loop_done(struct batch_loop *w)
{
    parse_ahead_done(&w->parsed);
    pending_sums_done(&w->pending);
}

void batch_loop_start(struct batch_loop *w, struct dedupe *dedupe, struct entry_id repeats_until)
{
    w->running = true;
    w->dedupe = dedupe;
    w->parsed.dedupe = dedupe;
    parse_ahead_set_repeats(&w->parsed, repeats_until);
}

void batch_loop_stop(struct batch_loop *w)
{
    abort_batch(w);
    ledger_forget_batch(w->ledger);
    pending_sums_clear(&w->pending);
    w->running = false;
    w->state = BATCH_IDLE;
    w->entries = NULL;
    w->size_max = UINT32_MAX;
    w->refusal[0] = '\0';
}
