/* The batch loop on a ledger and a stream reader that are played here. */
#include "aggregator/shard/batch_loop.h"

#include "aggregator/batch/catalog.h"
#include "common/clock.h"
#include "common/contract.h"
#include "fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/story.h"

enum { NOW_S = 1795000000, MANY = 2500 };

static const int64_t NOW = NOW_S * 1000LL;
static const unsigned char KEY[16] = "a fixed test key";

static struct ledger ledger;
static struct stream_reader reader;
static struct batch_loop loop;
static struct dedupe *dedupe;
static struct entries waiting, filling; /* the reader's */
static bool due;                        /* waiting may be taken */
static bool more;                       /* in the stream */
static bool pg_ready;
static int64_t counted, rejected, duplicates;
static const char *rejected_as;
static char rejected_detail[160];
static int64_t from_ms;
static int slices;

/* The stream reader. */

typedef const struct entries *entries_pointer;

FAKE(entries_pointer, stream_reader_take, struct stream_reader *f)
{
    (void)f;
    if (!due)
        return NULL;
    due = false;
    tell("take:%u", waiting.count);
    return &waiting;
}

FAKE(void, stream_reader_give_back, struct stream_reader *f)
{
    (void)f;
    tell("back");
}

FAKE(void, stream_reader_poll, struct stream_reader *f)
{
    (void)f;
}

FAKE(void, stream_reader_resume, struct stream_reader *f)
{
    (void)f;
    tell("resume");
}

FAKE(bool, stream_reader_has_more, const struct stream_reader *f)
{
    (void)f;
    return more;
}

FAKE(entries_pointer, stream_reader_filling, const struct stream_reader *f, uint32_t *complete)
{
    (void)f;
    *complete = filling.count;
    return &filling;
}

/* The ledger: one call at a time, answered by the test. */

FAKE(bool, pg_is_ready, const struct pg *pg)
{
    (void)pg;
    return pg_ready;
}

static void ask(ledger_done_fn done, void *owner)
{
    assert_null(ledger.done);
    ledger.done = done;
    ledger.done_owner = owner;
}

static void answer_with(const struct err *error)
{
    ledger_done_fn done = ledger.done;

    assert_non_null(done);
    ledger.done = NULL;
    done(ledger.done_owner, error);
}

static void answer(void)
{
    answer_with(NULL);
}

static void refuse(enum err_kind kind, const char *sqlstate)
{
    struct err e;

    (void)err_set(&e, kind, "d\xc3\xa9j\xc3\xa0 vu");
    (void)snprintf(e.sqlstate, sizeof e.sqlstate, "%s", sqlstate);
    answer_with(&e);
}

FAKE(void, ledger_read_state, struct ledger *l, ledger_done_fn done, void *owner)
{
    l->now_ms = NOW;
    tell("state");
    ask(done, owner);
}

FAKE(void, ledger_read_catalog, struct ledger *l, ledger_done_fn done, void *owner)
{
    l->catalog_version = l->catalog_newest;
    tell("catalog");
    ask(done, owner);
}

FAKE(void, ledger_find_again, struct ledger *l, struct batch *b, ledger_done_fn done, void *owner)
{
    (void)l;
    tell("again:%u", batch_again_count(b));
    ask(done, owner);
}

FAKE(void, ledger_lookup, struct ledger *l, struct batch *b, ledger_done_fn done, void *owner)
{
    (void)l;
    tell("confirm:%u", b->candidates_count);
    ask(done, owner);
}

FAKE(void, ledger_begin, struct ledger *l, struct batch *b, ledger_done_fn done, void *owner)
{
    (void)l;
    slices = 0;
    tell("begin:%u-%u", b->from, b->to);
    ask(done, owner);
}

FAKE(void, ledger_add_slice, struct ledger *l)
{
    (void)l;
    slices++;
}

FAKE(void, ledger_commit, struct ledger *l, const char *last_id, uint64_t entries_added,
     struct ledger_sums sums)
{
    (void)last_id;
    (void)entries_added;
    l->stored = (struct dedupe_batch){
        .batch_id = l->next_batch++, .committed_ms = NOW, .entry_ms = NOW, .day = 7, .epoch = 1};
    tell("commit%s%s", sums.own ? "+own" : "", sums.fold ? "+fold" : "");
}

FAKE(void, ledger_fold, struct ledger *l, struct ledger_sums sums, ledger_done_fn done, void *owner)
{
    (void)l;
    assert_true(sums.fold);
    tell("fold:%lld", (long long)sums.batches);
    ask(done, owner);
}

FAKE(void, ledger_forget_batch, struct ledger *l)
{
    (void)l;
    tell("forget");
}

/* A fold's rows come before its answer. */
static void answer_folded(void)
{
    ledger.on_totals(ledger.totals_owner, NULL);
    answer();
}

/* Events. */

static void on_committed(void *owner, const struct batch *b, int64_t commit_us)
{
    (void)owner;
    assert_true(commit_us >= 0);
    counted += b->counted;
    rejected += b->rejected;
    duplicates += b->duplicates;
    if (b->rejections_count > 0) {
        rejected_as = b->rejections[0].reason;
        (void)snprintf(rejected_detail, sizeof rejected_detail, "%s", b->rejections[0].detail);
    }
    tell("committed:%lld", (long long)b->counted);
}

static void on_totals(void *owner, PGresult *rows, int64_t ms)
{
    (void)owner;
    (void)rows;
    from_ms = ms;
}

static void on_fenced(void *owner, const struct err *error)
{
    (void)owner;
    assert_int_equal(error->kind, ERR_FENCED);
    tell("fenced");
}

static void on_failed(void *owner, const char *step, const struct err *error)
{
    (void)owner;
    tell("failed(%s, %s)", step, err_kind_name(error->kind));
}

static void on_rested(void *owner)
{
    (void)owner;
    tell("rested");
}

static void on_late(void *owner)
{
    (void)owner;
    tell("late");
}

static struct text text_of(const char *t)
{
    return (struct text){.data = t, .length = (uint32_t)strlen(t)};
}

/* The next entry, of that tenant and with that id. */
static void add(struct entries *e, const char *tenant, const char *id)
{
    entries_add(e, (uint64_t)NOW, e->count);
    entries_add_field(e, TEXT("tenant"), text_of(tenant));
    entries_add_field(e, TEXT("metric"), TEXT("tokens"));
    entries_add_field(e, TEXT("id"), text_of(id));
}

static const char *name(int n)
{
    static char names[MANY][8];

    (void)snprintf(names[n], sizeof names[n], "n%d", n);
    return names[n];
}

static void fill(int first, int count)
{
    entries_clear(&waiting);
    for (int i = first; i < first + count; i++)
        add(&waiting, "a", name(i));
    due = true;
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    *story = '\0';
    counted = rejected = duplicates = from_ms = 0;
    rejected_as = NULL;
    due = more = false;
    pg_ready = true;
    ledger = (struct ledger){.catalog = catalog_new(), .now_ms = NOW, .next_batch = 1};
    assert_int_equal(catalog_add(ledger.catalog,
                                 &(struct metric_def){.name = "tokens", .aggregation = AGG_SUM},
                                 &e),
                     0);
    assert_int_equal(catalog_link(ledger.catalog, &e), 0);
    dedupe = dedupe_new(DEDUPE_MEMORY_MIN_BYTES, 24 * HOUR_MS, KEY);
    batch_loop_init(&loop, (struct batch_loop_spec){.stream = STREAM_KEY,
                                                    .ledger = &ledger,
                                                    .reader = &reader,
                                                    .shards = 1,
                                                    .key = KEY,
                                                    .events = {.committed = on_committed,
                                                               .totals = on_totals,
                                                               .fenced = on_fenced,
                                                               .failed = on_failed,
                                                               .rested = on_rested,
                                                               .late = on_late}});
    batch_loop_start(&loop, dedupe, (struct entry_id){0, 0});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    batch_loop_done(&loop);
    dedupe_free(dedupe);
    catalog_free(ledger.catalog);
    entries_done(&waiting);
    entries_done(&filling);
    return 0;
}

static void a_batch_is_judged_written_and_given_back(void **state)
{
    (void)state;
    fill(0, 3);
    batch_loop_poke(&loop);
    assert_int_equal(loop.state, BATCH_JUDGING);
    answer();
    assert_int_equal(loop.state, BATCH_WRITING);
    assert_true(batch_loop_is_writing(&loop));
    assert_int_equal(slices, SLICES);
    answer_folded();
    assert_int_equal(loop.state, BATCH_IDLE);
    assert_story("take:3 state begin:0-3 commit+own+fold committed:3 back");
    assert_int_equal(from_ms, NOW);
    batch_loop_poke(&loop); /* nothing waits */
    assert_story("");
}

static void a_new_catalog_is_read_first(void **state)
{
    (void)state;
    ledger.catalog_newest = 2;
    fill(0, 1);
    batch_loop_poke(&loop);
    answer();
    answer();
    assert_story("take:1 state catalog begin:0-1 commit+own+fold");
    answer();
}

static void what_the_table_knows_is_confirmed_by_the_ledger(void **state)
{
    (void)state;
    fill(0, 2);
    batch_loop_poke(&loop);
    answer();
    answer();
    *story = '\0';
    fill(1, 2);
    batch_loop_poke(&loop);
    answer();
    assert_story("take:2 state confirm:1");
    answer(); /* of another key with that hash: it counts */
    assert_story("begin:0-2 commit+own+fold");
    answer();
    assert_story("committed:2 back");
}

static void entries_that_may_have_been_read_are_looked_up(void **state)
{
    (void)state;
    batch_loop_stop(&loop);
    batch_loop_start(&loop, dedupe, (struct entry_id){(uint64_t)NOW, 1});
    *story = '\0';
    fill(0, 4);
    batch_loop_poke(&loop);
    answer();
    assert_story("take:4 state again:2");
    batch_note_again(loop.parsed.batch, 0);
    answer();
    answer();
    assert_story("begin:0-4 commit+own+fold committed:3 back");
    assert_int_equal(duplicates, 1);
}

/* Whatever the culprit's place: it alone is rejected, with PostgreSQL's words in ASCII. */
static void isolate(uint32_t n, uint32_t culprit)
{
    int answers = 0;

    fill(0, (int)n);
    batch_loop_poke(&loop);
    while (ledger.done && answers++ < 200)
        if (loop.state == BATCH_WRITING && loop.from <= culprit && culprit < loop.to &&
            *loop.refusal == '\0')
            refuse(ERR_REFUSED, "22P05");
        else
            answer_folded();
    assert_true(answers < 200);
    assert_int_equal(loop.state, BATCH_IDLE);
    assert_int_equal(counted, n - 1);
    assert_int_equal(rejected, 1);
    assert_string_equal(rejected_as, REASON_REFUSED);
    assert_string_equal(rejected_detail, "22P05: d??j?? vu");
}

static void a_refused_entry_is_found_and_rejected_alone(void **state)
{
    for (uint32_t n = 1; n <= 9; n++)
        for (uint32_t culprit = 0; culprit < n; culprit++) {
            isolate(n, culprit);
            teardown(state);
            setup(state);
        }
}

static void a_refused_batch_is_halved_and_grows_again(void **state)
{
    (void)state;
    fill(0, 7);
    batch_loop_poke(&loop);
    answer();
    refuse(ERR_REFUSED, "22003");
    answer();
    assert_story("take:7 state begin:0-7 commit+own+fold state begin:0-3 commit+own+fold");
    answer();
    answer();
    assert_story("committed:3 state begin:3-7 commit+own+fold");
    answer();
    assert_story("committed:4 back");
    assert_int_equal(loop.size_max, UINT32_MAX);
}

static void few_sums_are_folded_with_each_batch(void **state)
{
    /* Also in a backlog: it costs little. */
    (void)state;
    fill(0, 3);
    more = true;
    batch_loop_poke(&loop);
    answer();
    assert_story("take:3 state begin:0-3 commit+own+fold");
    answer();
}

static void any_other_failure_forgets_the_batch_and_it_counts_later(void **state)
{
    static const struct {
        enum err_kind kind;
        const char *sqlstate;
        const char *told;
    } FAILURES[] = {
        {ERR_TIMEOUT, "", "failed(commit, timeout) forget"},
        {ERR_CLOSED, "", "failed(commit, closed) forget"},
        {ERR_REFUSED, "53100", "failed(commit, refused) forget"},
        {ERR_FENCED, "ML001", "fenced forget"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof FAILURES / sizeof *FAILURES; i++) {
        fill(0, 3);
        batch_loop_poke(&loop);
        answer();
        *story = '\0';
        refuse(FAILURES[i].kind, FAILURES[i].sqlstate);
        batch_loop_stop(&loop);
        assert_story(FAILURES[i].told);
        batch_loop_start(&loop, dedupe, (struct entry_id){0, 0});
    }
    due = true;
    batch_loop_poke(&loop);
    answer();
    answer();
    assert_story("take:3 state begin:0-3 commit+own+fold committed:3 back");
}

static void each_step_that_fails_is_named(void **state)
{
    (void)state;
    fill(0, 1);
    batch_loop_poke(&loop);
    *story = '\0';
    refuse(ERR_REFUSED, "22P02"); /* of no entry's doing */
    assert_story("failed(read state, refused)");
    batch_loop_stop(&loop);
    batch_loop_start(&loop, dedupe, (struct entry_id){0, 0});
    ledger.catalog_newest = 2;
    fill(0, 1);
    batch_loop_poke(&loop);
    answer();
    *story = '\0';
    refuse(ERR_TIMEOUT, "");
    assert_story("failed(read catalog, timeout)");
}

static void an_answer_after_the_end_is_told_and_nothing_else(void **state)
{
    (void)state;
    for (int wanted = 1; wanted <= 2; wanted++) {
        fill(0, 3);
        batch_loop_poke(&loop);
        if (wanted == 2)
            answer();
        batch_loop_stop(&loop);
        *story = '\0';
        refuse(ERR_CANCELED, "");
        assert_story("late");
        batch_loop_start(&loop, dedupe, (struct entry_id){0, 0});
    }
    fill(0, 3);
    batch_loop_poke(&loop);
    answer();
    batch_loop_stop(&loop);
    *story = '\0';
    answer(); /* it was committed after all: the position tells */
    assert_story("late");
    assert_int_equal(counted, 0);
}

static void the_batch_that_is_written_is_the_last_one_of_who_leaves(void **state)
{
    (void)state;
    fill(0, 4);
    batch_loop_poke(&loop);
    answer();
    refuse(ERR_REFUSED, "22003"); /* so that two entries are left */
    answer();
    batch_loop_leave(&loop);
    assert_true(batch_loop_is_writing(&loop));
    *story = '\0';
    answer();
    assert_story("committed:2 rested");
    due = true;
    batch_loop_poke(&loop);
    assert_story("");
}

static void nothing_begins_without_a_ledger(void **state)
{
    (void)state;
    fill(0, 1);
    pg_ready = false;
    batch_loop_poke(&loop);
    assert_false(batch_loop_fold_rest(&loop));
    assert_story("");
    pg_ready = true;
    batch_loop_poke(&loop);
    assert_story("take:1 state");
    due = true;
    batch_loop_poke(&loop); /* one at a time */
    assert_story("");
}

/* A backlog: more waits in the stream, and this batch has many minute rows. */
static void fill_many(void)
{
    entries_clear(&waiting);
    for (int i = 0; i < MANY; i++)
        add(&waiting, name(i), name(i));
    due = more = true;
}

static void sums_of_a_backlog_wait_until_it_is_read(void **state)
{
    (void)state;
    fill_many();
    batch_loop_poke(&loop);
    answer();
    answer();
    assert_story("take:2500 state begin:0-2500 commit committed:2500 back");
    assert_int_equal(loop.pending.events, MANY);
    more = false;
    assert_true(batch_loop_fold_rest(&loop));
    assert_int_equal(loop.state, BATCH_FOLDING);
    assert_true(batch_loop_is_writing(&loop));
    assert_false(batch_loop_fold_rest(&loop)); /* once */
    answer_folded();
    assert_story("fold:1 resume");
    assert_int_equal(from_ms, NOW);
    assert_int_equal(loop.pending.events, 0);
    assert_int_equal(loop.state, BATCH_IDLE);
    assert_false(batch_loop_fold_rest(&loop));
}

static void who_leaves_folds_what_waits(void **state)
{
    (void)state;
    fill_many();
    batch_loop_poke(&loop);
    answer();
    answer();
    *story = '\0';
    batch_loop_leave(&loop);
    assert_true(batch_loop_fold_rest(&loop));
    answer_folded();
    assert_story("fold:1 rested resume");
}

static void what_waits_is_folded_before_a_culprit_is_looked_for(void **state)
{
    /* Else it would be written again with each half. */
    (void)state;
    fill_many();
    batch_loop_poke(&loop);
    answer();
    answer();
    *story = '\0';
    fill(0, 2);
    for (int i = 0; i < 2; i++)
        waiting.list[i].ms++;
    batch_loop_poke(&loop);
    answer();
    refuse(ERR_REFUSED, "22003");
    assert_story("take:2 state begin:0-2 commit+own+fold fold:1");
    answer_folded();
    assert_story("state");
    assert_int_equal(loop.size_max, 1);
}

static void the_next_batch_is_parsed_while_this_one_is_written(void **state)
{
    struct batch *ahead;

    (void)state;
    fill(0, 2);
    batch_loop_poke(&loop);
    for (int i = 2; i < 5; i++)
        add(&filling, "a", name(i));
    answer(); /* sends the commit, then parses */
    assert_int_equal(loop.parsed.ahead->to, 3);
    add(&filling, "a", name(5));
    batch_loop_parse_ahead(&loop);
    assert_int_equal(loop.parsed.ahead->to, 4);
    ahead = loop.parsed.ahead;
    answer();
    assert_true(parse_ahead_has(&loop.parsed, &filling));
    ledger.catalog_version = ledger.catalog_newest = 9; /* by another catalog it is another batch */
    assert_false(parse_ahead_has(&loop.parsed, &filling));
    ledger.catalog_version = ledger.catalog_newest = 0;
    parse_ahead_take(&loop.parsed, &filling, 0, 4, NULL);
    assert_ptr_equal(loop.parsed.batch, ahead);
    assert_int_equal(loop.parsed.batch->to, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_judged_written_and_given_back),
        TEST(a_new_catalog_is_read_first),
        TEST(what_the_table_knows_is_confirmed_by_the_ledger),
        TEST(entries_that_may_have_been_read_are_looked_up),
        TEST(a_refused_entry_is_found_and_rejected_alone),
        TEST(a_refused_batch_is_halved_and_grows_again),
        TEST(few_sums_are_folded_with_each_batch),
        TEST(any_other_failure_forgets_the_batch_and_it_counts_later),
        TEST(each_step_that_fails_is_named),
        TEST(an_answer_after_the_end_is_told_and_nothing_else),
        TEST(the_batch_that_is_written_is_the_last_one_of_who_leaves),
        TEST(nothing_begins_without_a_ledger),
        TEST(sums_of_a_backlog_wait_until_it_is_read),
        TEST(who_leaves_folds_what_waits),
        TEST(what_waits_is_folded_before_a_culprit_is_looked_for),
        TEST(the_next_batch_is_parsed_while_this_one_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
