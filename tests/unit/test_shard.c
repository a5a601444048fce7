/* The shard's machine: every legal move and every illegal one, and what brings it from one state to
 * the next. Peers and parts are played here. */
#include "aggregator/shard/shard.h"

#include "common/pg/schema.h"
#include "common/stage.h"
#include "fake.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/story.h"

static const unsigned char KEY[16] = "a fixed test key";
static const char *const NAMES[] = {"OFFLINE", "LEASING",   "OPENING", "LOADING",
                                    "RUNNING", "RELEASING", "ENDED"};
#define STATES ((enum shard_state)(SHARD_ENDED + 1))

/* The drawing of shard.h, a row each: from this one, to those. */
static const char *const LEGAL[STATES] = {
    [SHARD_OFFLINE] = "LEASING RELEASING ENDED",
    [SHARD_LEASING] = "OPENING OFFLINE",
    [SHARD_OPENING] = "LOADING OFFLINE",
    [SHARD_LOADING] = "RUNNING OFFLINE",
    [SHARD_RUNNING] = "OFFLINE",
    [SHARD_RELEASING] = "ENDED",
    [SHARD_ENDED] = "",
};

static uv_loop_t uv;
static struct config config;
static struct shards_shared shared;
static struct shard shard;
static bool pg_ready, redis_up;
static bool writing;   /* a transaction is under way */
static int64_t now_ms; /* monotonic */
static schema_done_fn schema_done;
static trim_done_fn trim_done;
static void *trim_owner;

/* Peers. */

FAKE(bool, pg_is_ready, const struct pg *pg)
{
    (void)pg;
    return pg_ready;
}

FAKE(bool, redis_is_up, const struct redis *r)
{
    (void)r;
    return redis_up;
}

FAKE(void, schema_check, struct pg *pg, schema_done_fn done, void *owner)
{
    (void)pg;
    assert_ptr_equal(owner, &shard);
    tell("schema");
    schema_done = done;
}

FAKE(int64_t, clock_monotonic_ms, void)
{
    return now_ms;
}

static void ask(const char *what, ledger_done_fn done, void *owner)
{
    tell("%s", what);
    assert_null(shard.ledger.done);
    shard.ledger.done = done;
    shard.ledger.done_owner = owner;
}

FAKE(void, ledger_acquire, struct ledger *l, ledger_done_fn done, void *owner)
{
    (void)l;
    ask("acquire", done, owner);
}

FAKE(void, ledger_release, struct ledger *l, ledger_done_fn done, void *owner)
{
    (void)l;
    ask("release", done, owner);
}

FAKE(void, ledger_fold, struct ledger *l, struct ledger_sums sums, ledger_done_fn done, void *owner)
{
    (void)l;
    assert_true(sums.fold);
    ask("fold", done, owner);
}

static void answer(enum err_kind kind)
{
    ledger_done_fn done = shard.ledger.done;
    struct err e;

    (void)err_set(&e, kind, "as the test says");
    shard.ledger.done = NULL;
    done(shard.ledger.done_owner, kind == ERR_NONE ? NULL : &e);
}

/* Parts. */

FAKE(void, recovery_run, struct recovery *r)
{
    (void)r;
    tell("recover");
}

FAKE(void, loading_run, struct loading *l)
{
    (void)l;
    tell("load");
}

FAKE(void, batch_loop_start, struct batch_loop *w, struct dedupe *d, struct entry_id repeats_until)
{
    (void)w;
    (void)d;
    (void)repeats_until;
    tell("count");
}

FAKE(void, batch_loop_stop, struct batch_loop *w)
{
    (void)w;
    writing = false;
    tell("stop");
}

FAKE(bool, batch_loop_is_writing, const struct batch_loop *w)
{
    (void)w;
    return writing;
}

FAKE(bool, batch_loop_fold_rest, struct batch_loop *w)
{
    (void)w;
    return false;
}

FAKE(void, stream_reader_start, struct stream_reader *f, struct entry_id from)
{
    (void)f;
    (void)from;
    tell("read");
}

FAKE(void, stream_reader_stop, struct stream_reader *f)
{
    (void)f;
}

FAKE(void, retire_run, struct retire *r)
{
    r->begun = true;
    tell("retire");
}

FAKE(void, trim_run, struct redis *r, const char *stream, const struct position *p, int64_t keep_ms,
     trim_done_fn done, void *owner)
{
    (void)r;
    (void)p;
    assert_string_equal(stream, "usage:events");
    assert_int_equal(keep_ms, 60000);
    tell("trim");
    trim_done = done;
    trim_owner = owner;
}

FAKE(void, stream_watch_take_trimmed, struct stream_watch *w, const struct trimmed *t)
{
    (void)w;
    (void)t;
    tell("trimmed");
}

static void answer_trim(enum err_kind kind)
{
    trim_done_fn done = trim_done;
    struct trimmed trimmed = {.entries = 1};
    struct err e;

    (void)err_set(&e, kind, "as the test says");
    trim_done = NULL;
    done(trim_owner, kind == ERR_NONE ? NULL : &e, kind == ERR_NONE ? &trimmed : NULL);
}

/* Events. */

static void on_lease_taken(void *owner)
{
    (void)owner;
    tell("taken");
}

static void on_entered(void *owner, struct shard *s)
{
    (void)owner;
    (void)s;
    shared.entered = true;
    tell("entered");
}

static void on_number_moved(void *owner, int64_t shards)
{
    (void)owner;
    tell("moved:%lld", (long long)shards);
}

static void on_finished(void *owner, struct shard *s, int exit_code)
{
    (void)owner;
    (void)s;
    tell("finished:%d", exit_code);
}

static void on_refused(void *owner, int exit_code)
{
    (void)owner;
    tell("refused:%d", exit_code);
}

static void on_ended(void *owner, struct shard *s)
{
    (void)owner;
    assert_int_equal(s->state, SHARD_ENDED);
    tell("ended");
}

static void on_committed(void *owner)
{
    (void)owner;
    tell("committed");
}

static int setup(void **state)
{
    (void)state;
    *story = '\0';
    pg_ready = redis_up = true;
    writing = false;
    trim_done = NULL;
    now_ms = 1000000;
    shared = (struct shards_shared){.entered = false};
    config = (struct config){.batch_max = 1000, .stream_keep_s = 60};
    assert_int_equal(uv_loop_init(&uv), 0);
    shard = (struct shard){.spec = {.loop = &uv,
                                    .config = &config,
                                    .key = KEY,
                                    .shards = 1,
                                    .shared = &shared,
                                    .events = {.lease_taken = on_lease_taken,
                                               .entered = on_entered,
                                               .number_moved = on_number_moved,
                                               .committed = on_committed,
                                               .finished = on_finished,
                                               .refused = on_refused,
                                               .ended = on_ended}},
                           .stream = "usage:events",
                           .schema_ok = true,
                           .backoff = BACKOFF(200, 5000)};
    (void)snprintf(shard.ledger.position.last_id, sizeof shard.ledger.position.last_id, "0-0");
    (void)snprintf(shard.ledger.position.repeats_until, sizeof shard.ledger.position.repeats_until,
                   "0-0");
    uv_timer_init(&uv, &shard.retry);
    shard.retry.data = &shard;
    shard_init_parts(&shard);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (trim_done) { /* of a life before by now: it only frees what it came with */
        shard.generation++;
        answer_trim(ERR_NONE);
    }
    batch_loop_done(&shard.batch_loop);
    uv_close((uv_handle_t *)&shard.retry, NULL);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&uv), 0);
    return 0;
}

/* Straight there. */
static void bring_to(enum shard_state wanted)
{
    shard_try(&shard);
    if (wanted > SHARD_LEASING) {
        shard.ledger.owned = true;
        answer(ERR_NONE);
    }
    if (wanted > SHARD_OPENING)
        shard.recovery.spec.events.recovered(&shard);
    if (wanted > SHARD_LOADING)
        shard.loading.spec.events.loaded(&shard);
    assert_int_equal(shard.state, wanted);
    *story = '\0';
}

/* Tests. */

static bool is_legal(enum shard_state from, enum shard_state to)
{
    char list[64];
    char *rest = list;

    (void)snprintf(list, sizeof list, "%s", LEGAL[from]);
    for (char *word; (word = strsep(&rest, " "));)
        if (strcmp(word, NAMES[to]) == 0)
            return true;
    return false;
}

static bool aborts(enum shard_state from, enum shard_state to)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(open("/dev/null", O_WRONLY), 2); /* what assert says */
        (void)signal(SIGABRT, SIG_DFL);
        shard.state = from;
        machine_go(&SHARD_MACHINE, shard.state, to);
        _exit(shard.state == to ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGABRT : WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

static void each_move_is_legal_or_asserted(void **state)
{
    (void)state;
    for (enum shard_state from = 0; from < STATES; from++)
        for (enum shard_state to = 0; to < STATES; to++) {
            assert_int_equal((SHARD_MACHINE.states[from].next & TO(to)) != 0, is_legal(from, to));
            assert_int_equal(aborts(from, to), !is_legal(from, to));
        }
}

static void it_goes_from_offline_to_running(void **state)
{
    (void)state;
    shard_try(&shard);
    assert_int_equal(shard.state, SHARD_LEASING);
    shard.ledger.owned = true;
    answer(ERR_NONE);
    assert_int_equal(shard.state, SHARD_OPENING);
    shard.recovery.spec.events.recovered(&shard);
    assert_int_equal(shard.state, SHARD_LOADING);
    shard.loading.spec.events.loaded(&shard);
    assert_int_equal(shard.state, SHARD_RUNNING);
    assert_story("acquire taken recover entered load count trim read");
    assert_true(shard.watch.counting);
    answer_trim(ERR_NONE);
    assert_story("trimmed");
}

static void it_waits_for_its_peers_and_the_schema(void **state)
{
    (void)state;
    pg_ready = false;
    shard_try(&shard);
    pg_ready = true;
    redis_up = false;
    shard_try(&shard);
    redis_up = true;
    shard.schema_ok = false;
    shard_try(&shard);
    assert_story("");
    shard_on_retry(&shard.retry);
    assert_story("schema");
    schema_done(&shard, &(struct err){.kind = ERR_SCHEMA, .retry = true});
    assert_true(uv_is_active((uv_handle_t *)&shard.retry));
    assert_story("");
    schema_done(&shard, NULL);
    assert_story("acquire");
}

static void a_failure_in_any_state_starts_again(void **state)
{
    (void)state;
    for (enum shard_state from = SHARD_LEASING; from <= SHARD_RUNNING; from++) {
        bring_to(from);
        uint64_t generation = shard.generation;
        shard_fail(&shard, "test", &(struct err){.kind = ERR_REFUSED, .text = "why"});
        assert_int_equal(shard.state, SHARD_OFFLINE);
        assert_story("stop");
        assert_true(shard.generation > generation);
        assert_false(shard.ledger.owned);
        assert_false(shard.watch.counting);
        assert_true(uv_is_active((uv_handle_t *)&shard.retry));
        if (from == SHARD_LEASING) { /* its answer is awaited before the next try */
            shard_on_retry(&shard.retry);
            assert_story("");
            answer(ERR_NONE); /* of a life before: it only lets the next one begin */
            assert_story("acquire");
            assert_int_equal(shard.state, SHARD_LEASING);
            answer(ERR_CLOSED);
        }
        if (trim_done)
            answer_trim(ERR_REFUSED); /* for nobody */
        *story = '\0';
    }
}

static void on_nothing(void *owner, const struct err *error)
{
    (void)owner;
    (void)error;
}

static void an_answer_to_a_part_that_is_late_begins_the_next_life(void **state)
{
    (void)state;
    bring_to(SHARD_LOADING);
    ask("", on_nothing, &shard); /* the ledger is at work */
    shard_fail(&shard, "test", &(struct err){.kind = ERR_CLOSED});
    shard_on_retry(&shard.retry);
    assert_int_equal(shard.state, SHARD_OFFLINE);
    *story = '\0';
    shard.ledger.done = NULL;
    shard.loading.spec.events.late(&shard);
    assert_story("acquire");
}

static void another_process_lease_is_left_to_it(void **state)
{
    (void)state;
    bring_to(SHARD_LEASING);
    answer(ERR_NONE);
    assert_int_equal(shard.state, SHARD_RELEASING);
    assert_story("release");
    answer(ERR_CLOSED); /* the lease ends by itself */
    assert_story("ended");
}

static void once_asks_for_a_lease_for_ten_seconds(void **state)
{
    (void)state;
    config.once = true;
    bring_to(SHARD_LEASING);
    answer(ERR_NONE);
    assert_int_equal(shard.state, SHARD_OFFLINE);
    now_ms += 10000;
    shard_on_retry(&shard.retry);
    answer(ERR_NONE);
    assert_story("acquire");
    now_ms += 1;
    shard_on_retry(&shard.retry);
    answer(ERR_NONE);
    assert_story("acquire finished:1");
}

static void a_lost_lease_makes_the_table_useless(void **state)
{
    (void)state;
    for (enum shard_state from = SHARD_OPENING; from <= SHARD_RUNNING; from++) {
        bring_to(from);
        shard.loading.batches = 5;
        shard_on_lease_lost(&shard);
        assert_int_equal(shard.state, SHARD_OFFLINE);
        assert_int_equal(shard.loading.batches, -1);
        if (trim_done)
            answer_trim(ERR_NONE);
    }
    shard.loading.batches = 5;
    shard_on_lease_lost(&shard); /* there is none to lose */
    assert_int_equal(shard.loading.batches, 5);
}

static void fenced_means_that_the_lease_is_lost(void **state)
{
    struct err fenced = {.kind = ERR_FENCED, .text = "why"};

    (void)state;
    bring_to(SHARD_OPENING);
    shard.loading.batches = 5;
    shard.recovery.spec.events.failed(&shard, "correct position", &fenced);
    assert_int_equal(shard.state, SHARD_OFFLINE);
    assert_int_equal(shard.loading.batches, -1);

    bring_to(SHARD_RUNNING);
    shard.loading.batches = 5;
    answer_trim(ERR_FENCED);
    assert_int_equal(shard.state, SHARD_OFFLINE);
    assert_int_equal(shard.loading.batches, -1);

    bring_to(SHARD_RUNNING);
    shard.batch_loop.events.fenced(&shard, &fenced);
    assert_int_equal(shard.state, SHARD_OFFLINE);
}

static void a_server_that_is_lost_starts_it_again(void **state)
{
    (void)state;
    for (enum shard_state from = SHARD_OPENING; from <= SHARD_RUNNING; from++) {
        bring_to(from);
        shard_on_redis_down(&shard);
        assert_int_equal(shard.state, SHARD_OFFLINE);
        if (trim_done)
            answer_trim(ERR_CLOSED);
    }
    bring_to(SHARD_LEASING); /* that concerns PostgreSQL alone */
    shard_on_redis_down(&shard);
    assert_int_equal(shard.state, SHARD_LEASING);
}

static void who_leaves_gives_its_lease_back(void **state)
{
    (void)state;
    bring_to(SHARD_RUNNING);
    shard_leave(&shard);
    assert_int_equal(shard.state, SHARD_RELEASING);
    assert_story("stop release");
    shard_restart(&shard, false); /* nothing brings it back */
    shard_leave(&shard);
    assert_int_equal(shard.state, SHARD_RELEASING);
    answer(ERR_NONE);
    assert_story("ended");
}

static void who_leaves_ends_what_it_writes_first(void **state)
{
    (void)state;
    bring_to(SHARD_RUNNING);
    writing = true;
    shard_leave(&shard);
    assert_int_equal(shard.state, SHARD_RUNNING);
    assert_story("");
    writing = false;
    shard.batch_loop.events.rested(&shard);
    assert_story("stop release");
}

static void who_leaves_waits_for_the_ledger(void **state)
{
    (void)state;
    bring_to(SHARD_LEASING);
    shard_leave(&shard);
    assert_int_equal(shard.state, SHARD_OFFLINE);
    assert_story("stop");
    answer(ERR_NONE);
    assert_int_equal(shard.state, SHARD_RELEASING);
    assert_story("release");
}

static void who_leaves_without_a_server_just_ends(void **state)
{
    (void)state;
    bring_to(SHARD_OPENING);
    pg_ready = false;
    shard_leave(&shard);
    assert_story("stop ended");
}

static void who_leaves_folds_what_a_life_before_left(void **state)
{
    (void)state;
    bring_to(SHARD_RUNNING);
    shard.batch_loop.pending.events = 7;
    shard_leave(&shard);
    assert_story("stop fold");
    answer(ERR_NONE);
    assert_story("release");
    answer(ERR_NONE);
    assert_story("ended");
}

static void a_committed_batch_is_trimmed_and_told(void **state)
{
    struct batch batch = {.counted = 0};
    struct catalog *catalog = catalog_new();

    (void)state;
    bring_to(SHARD_RUNNING);
    answer_trim(ERR_NONE);
    *story = '\0';
    batch.catalog = catalog;
    shard.loading.dedupe = dedupe_new(DEDUPE_MEMORY_MIN_BYTES, 1000, KEY);
    shard.ledger.position.batches = 9;
    shard.batch_loop.events.committed(&shard, &batch, 1);
    assert_story("trim committed");
    assert_int_equal(shard.loading.batches, 9);
    answer_trim(ERR_REFUSED);
    assert_int_equal(shard.state, SHARD_OFFLINE);
    loading_done(&shard.loading);
    catalog_free(catalog);
}

static void a_redis_that_was_never_fit_ends_the_start(void **state)
{
    (void)state;
    bring_to(SHARD_OPENING);
    shard.recovery.spec.events.redis_judged(&shard, "why");
    assert_story("refused:1");
    shard.loading.batches = 0; /* it was fit before */
    shard.recovery.spec.events.redis_judged(&shard, "why");
    assert_story("stop");
    assert_int_equal(shard.state, SHARD_OFFLINE);
}

static void another_ledgers_stream_ends_the_start(void **state)
{
    (void)state;
    bring_to(SHARD_OPENING);
    shared.entered = false;
    shard.recovery.spec.events.foreign(&shard);
    assert_story("refused:2");
    shared.entered = true; /* it has counted before: the other ledger may be the mistake */
    shard.recovery.spec.events.foreign(&shard);
    assert_story("stop");
    assert_int_equal(shard.state, SHARD_OFFLINE);
}

static void another_number_of_shards_is_told(void **state)
{
    (void)state;
    bring_to(SHARD_LOADING);
    shard.loading.spec.events.number_moved(&shard, 8);
    assert_story("moved:8");
    assert_int_equal(shard.state, SHARD_LOADING); /* the process decides */
}

static void a_retired_stream_ends_with_its_epoch(void **state)
{
    (void)state;
    bring_to(SHARD_RUNNING);
    shard_retire(&shard);
    shard.retire.events.not_at_rest(&shard);
    assert_int_equal(shard.state, SHARD_OFFLINE);
    assert_false(shard.retire.begun);
    answer_trim(ERR_CANCELED);
    bring_to(SHARD_RUNNING);
    shard_retire(&shard);
    shard.retire.events.retired(&shard);
    assert_story("retire stop release");
    answer(ERR_NONE);

    shard.state = SHARD_OFFLINE;
    shard.leaving = false;
    answer_trim(ERR_CANCELED);
    config.once = true;
    bring_to(SHARD_RUNNING);
    shard.retire.events.retired(&shard);
    assert_story("finished:0");
}

static void on_nothing_left(void *self)
{
    (void)self;
}

static void a_closed_shard_goes_nowhere(void **state)
{
    (void)state;
    bring_to(SHARD_RUNNING);
    shard_leave(&shard);
    *story = '\0';
    closing_begin(&shard.closing, &shard, on_nothing_left, NULL, NULL);
    shard.state = SHARD_ENDED;
    answer(ERR_CANCELED);
    shard_try(&shard);
    shard_on_redis_down(&shard);
    assert_story("");
    assert_int_equal(shard.state, SHARD_ENDED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_move_is_legal_or_asserted),
        TEST(it_goes_from_offline_to_running),
        TEST(it_waits_for_its_peers_and_the_schema),
        TEST(a_failure_in_any_state_starts_again),
        TEST(an_answer_to_a_part_that_is_late_begins_the_next_life),
        TEST(another_process_lease_is_left_to_it),
        TEST(once_asks_for_a_lease_for_ten_seconds),
        TEST(a_lost_lease_makes_the_table_useless),
        TEST(fenced_means_that_the_lease_is_lost),
        TEST(a_server_that_is_lost_starts_it_again),
        TEST(who_leaves_gives_its_lease_back),
        TEST(who_leaves_ends_what_it_writes_first),
        TEST(who_leaves_waits_for_the_ledger),
        TEST(who_leaves_without_a_server_just_ends),
        TEST(who_leaves_folds_what_a_life_before_left),
        TEST(a_committed_batch_is_trimmed_and_told),
        TEST(a_redis_that_was_never_fit_ends_the_start),
        TEST(another_ledgers_stream_ends_the_start),
        TEST(another_number_of_shards_is_told),
        TEST(a_retired_stream_ends_with_its_epoch),
        TEST(a_closed_shard_goes_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
