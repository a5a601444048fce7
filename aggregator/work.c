/* One batch after the other, from the feed into the ledger.
 *
 *      IDLE -> JUDGING -> WRITING -> IDLE -> FOLDING -> IDLE
 *                 ^         |                  ^  |
 *                 |         +---- (refused) ---+  |
 *                 +-------------------------------+
 *
 * JUDGING: read versions, parse, look for repeats, ask the ledger about them; of entries that are
 * read again, what became of them.
 * WRITING: the transaction is under way, and only its answer tells.
 * FOLDING: nothing waits any more, or a batch was refused: what the last ones left is taken over.
 *
 * A batch's minute sums are folded into minute rows and totals in its own transaction. In a backlog
 * with many keys that would touch each row once a batch: there, they are added up in memory until
 * enough have come together.
 *
 * Failure modes: a batch that PostgreSQL refuses is halved until the culprit is alone; that entry
 * is rejected with PostgreSQL's words. Anything else, also a COMMIT whose answer is lost: forget
 * the batch and read the position again.
 */
#include "aggregator/shard.h"
#include "common/clock.h"
#include "common/stage.h"

#include <assert.h>
#include <stdio.h>

/* With few keys a fold costs little. With many it is worth while once each has come this often, or
 * when it becomes large: a million rows take half a minute at worst, and its deadline is two. */
enum {
    FOLD_FEW_ROWS = 2000,
    FOLD_EVENTS_A_KEY = 512,
    FOLD_EVENTS_MAX = 4000000,
    FOLD_ROWS_MAX = 1000000
};

static void run_state(struct shard *s);
static void run_fold(struct shard *s, ledger_done_fn done);

static const bool MAY_GO[4][4] = {
    [WORK_IDLE] = {[WORK_JUDGING] = true, [WORK_FOLDING] = true},
    [WORK_JUDGING] = {[WORK_WRITING] = true, [WORK_IDLE] = true},
    [WORK_WRITING] = {[WORK_JUDGING] = true, [WORK_IDLE] = true, [WORK_FOLDING] = true},
    [WORK_FOLDING] = {[WORK_IDLE] = true, [WORK_JUDGING] = true},
};

static void work_go(struct work *w, enum work_state next)
{
    assert(MAY_GO[w->state][next]);
    w->state = next;
}

static void abort_batch(struct shard *s)
{
    if (s->work.batch_open)
        batch_abort(s->batch);
    s->work.batch_open = false;
}

void work_forget(struct shard *s)
{
    abort_batch(s);
    ledger_forget_batch(&s->ledger);
    unfolded_clear(&s->unfolded);
    s->work = (struct work){.state = WORK_IDLE, .size_max = UINT32_MAX};
}

/* The machine is not RUNNING any more: nobody waits for this answer. */
static bool is_over(struct shard *s, const char *step, const struct err *error)
{
    if (shard_is_stale(s, SHARD_RUNNING))
        return true;
    if (error == NULL)
        return false;
    shard_fail(s, step, error);
    return true;
}

/* On with what is left of the feed's entries, or give them back. */
static void run_rest(struct shard *s)
{
    struct work *w = &s->work;

    work_go(w, WORK_IDLE);
    if (shard_is_leaving(s)) {
        shard_drain(s);
        return;
    }
    if (w->from < w->entries->count) {
        work_go(w, WORK_JUDGING);
        run_state(s);
        return;
    }
    w->entries = NULL;
    w->size_max = UINT32_MAX;
    feed_give_back(&s->feed);
}

static void take_committed(struct shard *s)
{
    struct work *w = &s->work;
    int64_t commit_us = clock_monotonic_us() - w->write_started_us;

    stage_crash_point("after_commit");
    batch_commit(s->batch, &s->ledger.stored);
    w->batch_open = false;
    if (w->spills)
        unfolded_note_written(&s->unfolded, s->batch->tally.count, s->batch->counted);
    s->table_batches = s->ledger.position.batches;
    work_move_window(s);
    gauges_count_batch(s, commit_us);
    trim_run(s);
    s->spec.events.committed(s->spec.events.owner);
    w->from = w->to;
    w->refusal[0] = '\0';
    if (w->size_max < UINT32_MAX / 2)
        w->size_max *= 2;
    run_rest(s);
}

/* PostgreSQL's words may be in any language and are cut: what is kept of them is ASCII. */
static void note_refusal(struct work *w, const struct err *error)
{
    snprintf(w->refusal, sizeof w->refusal, "%s: %.140s", error->sqlstate, error->text);
    for (char *c = w->refusal; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

static void judge_again(struct shard *s)
{
    work_go(&s->work, WORK_JUDGING);
    run_state(s);
}

static void take_fold_before(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (!is_over(s, "fold", error))
        judge_again(s);
}

/* What was pending before is none of the culprit's, and would be written again with each half. */
static void isolate_poison(struct shard *s, const struct err *error)
{
    struct work *w = &s->work;
    uint32_t n = w->to - w->from;

    log_warn("batch_refused", LOG_STR("stream", s->stream), LOG_U64("entries", n),
             LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    abort_batch(s);
    if (n == 1)
        note_refusal(w, error);
    w->size_max = n > 1 ? n / 2 : 1;
    if (w->kept)
        unfolded_lose(&s->unfolded); /* its sums are among them */
    if (s->unfolded.events > 0)
        run_fold(s, take_fold_before);
    else
        judge_again(s);
}

static void take_commit(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (shard_is_stale(s, SHARD_RUNNING))
        return;
    if (error == NULL) {
        take_committed(s);
    } else if (error->kind == ERR_FENCED) {
        log_warn("batch_fenced", LOG_STR("stream", s->stream), LOG_MSG(error->text));
        shard_restart(s, false);
    } else if (pg_is_data_fault(error) && s->work.refusal[0] == '\0') {
        isolate_poison(s, error);
    } else {
        shard_fail(s, "commit", error);
    }
}

/* Every caller of fold_usage gets its rows here, before its own answer. */
void work_take_totals(void *owner, PGresult *rows)
{
    struct shard *s = owner;

    s->spec.events.totals(s->spec.events.owner, rows, s->unfolded.from_ms);
    unfolded_clear(&s->unfolded);
}

/* Its sums come together with those that are pending. */
static bool must_fold(const struct shard *s)
{
    const struct unfolded *u = &s->unfolded;
    const struct batch *b = s->batch;
    int64_t events = u->events + b->counted;

    /* What PostgreSQL may refuse is folded in its own transaction: later it would refuse others. */
    return events > 0 &&
           (b->tally.has_large || b->tally.count < FOLD_FEW_ROWS || !feed_has_more(&s->feed) ||
            events >= (int64_t)b->tally.count * FOLD_EVENTS_A_KEY || events >= FOLD_EVENTS_MAX ||
            u->rows >= FOLD_ROWS_MAX || u->lost);
}

static void keep_sums(struct shard *s)
{
    struct unfolded *u = &s->unfolded;
    const struct batch *b = s->batch;

    unfolded_add(u, &b->tally, s->ledger.catalog_version, b->counted);
    if (batch_waits(b))
        unfolded_note_waiting(u, s->ledger.next_batch);
}

/* All sums that are here. */
static struct ledger_sums take_sums(struct shard *s, const struct tally *own, bool fold)
{
    struct unfolded *u = &s->unfolded;
    struct ledger_sums sums = {.own = own, .fold = fold};

    sums.kept = unfolded_sort(u, s->ledger.catalog_version);
    sums.batches = u->batches;
    sums.first_batch = u->first_batch;
    return sums;
}

/* What is kept may follow the commit's last statement, on which PostgreSQL works meanwhile. */
static void run_commit(struct shard *s)
{
    struct work *w = &s->work;
    struct tally *own = &s->batch->tally;
    const struct entry *last = &w->entries->list[w->to - 1];
    char id[ENTRY_ID_TEXT_SIZE];
    bool folds = must_fold(s);
    struct ledger_sums sums = {.own = NULL};

    entry_id_format((struct entry_id){.ms = last->ms, .seq = last->seq}, id);
    if (s->unfolded.events == 0)
        s->unfolded.from_ms = (int64_t)w->entries->list[w->from].ms;
    w->kept = !folds && !unfolded_is_full(&s->unfolded);
    w->spills = !folds && !w->kept;
    if (!w->kept) {
        tally_sort(own);
        sums = take_sums(s, own, folds);
    }
    ledger_commit(&s->ledger, id, s->ledger.position.added_seen, sums);
    stage_crash_point("in_transaction");
    if (w->kept)
        keep_sums(s);
    work_parse_ahead(s);
}

/* This turn of the loop is a long one: both servers are kept at work meanwhile. */
static void on_slice(void *owner, int slice)
{
    struct shard *s = owner;

    (void)slice;
    ledger_add_slice(&s->ledger);
    feed_poll(&s->feed);
}

static void run_write(struct shard *s)
{
    work_go(&s->work, WORK_WRITING);
    s->work.write_started_us = clock_monotonic_us();
    ledger_begin(&s->ledger, s->batch, take_commit, s);
    batch_settle(s->batch, on_slice, s);
    run_commit(s);
}

static void take_confirmed(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (is_over(s, "confirm repeats", error))
        return;
    run_write(s);
}

static void judge(struct shard *s)
{
    s->work.batch_open = true;
    batch_probe(s->batch, s->ledger.now_ms);
    feed_poll(&s->feed);
    if (ledger_must_confirm(s->batch))
        ledger_confirm(&s->ledger, s->batch, take_confirmed, s);
    else
        take_confirmed(s, NULL);
}

static void take_again(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (is_over(s, "look up entries read again", error))
        return;
    batch_settle_again(s->batch);
    judge(s);
}

static void run_batch(struct shard *s)
{
    struct work *w = &s->work;
    uint32_t left = w->entries->count - w->from;
    uint32_t room = dedupe_batch_max(s->dedupe);
    uint32_t size = left < w->size_max ? left : w->size_max;

    w->to = w->from + (size < room ? size : room);
    work_parse(s);
    s->batch->dropped_until_ms = s->ledger.dropped_until_ms;
    s->batch->rejects_dropped_until_ms = s->ledger.rejects_dropped_until_ms;
    if (batch_again_count(s->batch) > 0)
        ledger_find_again(&s->ledger, s->batch, take_again, s);
    else
        judge(s);
}

static void take_catalog(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (!is_over(s, "read catalog", error))
        run_batch(s);
}

static void take_state(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (is_over(s, "read state", error))
        return;
    if (s->ledger.catalog_newest != s->ledger.catalog_version)
        ledger_read_catalog(&s->ledger, take_catalog, s);
    else
        run_batch(s);
}

static void run_state(struct shard *s)
{
    ledger_read_state(&s->ledger, take_state, s);
}

void work_start(struct shard *s)
{
    struct work *w = &s->work;

    /* A connection that is lost is told of in a moment; Redis may answer before. */
    if (w->state != WORK_IDLE || s->ledger.done != NULL || shard_is_leaving(s) ||
        !pg_is_ready(s->pg))
        return;
    w->entries = feed_take(&s->feed);
    if (w->entries == NULL)
        return;
    w->from = 0;
    work_go(w, WORK_JUDGING);
    run_state(s);
    work_parse_whole(s, w->entries, w->entries->count);
}

static void take_fold(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (is_over(s, "fold", error))
        return;
    work_go(&s->work, WORK_IDLE);
    if (shard_is_leaving(s))
        shard_drain(s);
    else
        work_start(s);
    feed_resume(&s->feed);
}

static void run_fold(struct shard *s, ledger_done_fn done)
{
    work_go(&s->work, WORK_FOLDING);
    ledger_fold(&s->ledger, take_sums(s, NULL, true), done, s);
}

bool work_fold_rest(struct shard *s)
{
    struct work *w = &s->work;

    if (w->state != WORK_IDLE || s->unfolded.events == 0 || s->ledger.done != NULL ||
        !pg_is_ready(s->pg))
        return false;
    run_fold(s, take_fold);
    return true;
}
