/* Recovery: what is asked of Redis and of the ledger, in which order, and how it ends. Both are
 * played here; the history is what the test says. */
#include "aggregator/shard/recovery.h"

#include "fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/story.h"

static const char OUR_LEDGER[] = "11111111-1111-7111-8111-111111111111";
static const char OTHER_LEDGER[] = "22222222-2222-7222-8222-222222222222";
static const char TOKEN[] = "aaaaaaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa";
static const char NEXT_TOKEN[] = "bbbbbbbb-bbbb-7bbb-8bbb-bbbbbbbbbbbb";

static bool pg_ready;
static struct config config;
static bool weakness_logged;
static struct ledger ledger;
static struct recovery recovery;
static struct history history;

/* What was asked last, and is not answered yet. */
static history_done_fn history_done;
static redis_done_fn redis_done;
static ledger_done_fn ledger_done_;
static void *asker;

FAKE(bool, pg_is_ready, const struct pg *pg)
{
    (void)pg;
    return pg_ready;
}

FAKE(void, history_read, struct redis *r, const char *stream, const char *last_id,
     history_done_fn done, void *owner)
{
    (void)r;
    assert_string_equal(stream, "usage:events");
    assert_string_equal(last_id, ledger.position.last_id);
    tell("read");
    history_done = done;
    asker = owner;
}

FAKE(void, redis_commandf, struct redis *r, uint64_t deadline_ms, redis_done_fn done, void *owner,
     const char *format, ...)
{
    (void)r;
    (void)deadline_ms;
    assert_int_equal(strncmp(format, "EVAL ", 5), 0);
    tell("enter");
    redis_done = done;
    asker = owner;
}

FAKE(void, redis_found_replica, struct redis *r)
{
    (void)r;
    tell("replica");
}

static void ask_ledger(ledger_done_fn done, void *owner)
{
    ledger_done_ = done;
    asker = owner;
}

FAKE(void, ledger_acquire, struct ledger *l, ledger_done_fn done, void *owner)
{
    assert_ptr_equal(l, &ledger);
    tell("acquire");
    ask_ledger(done, owner);
}

FAKE(void, ledger_set_base, struct ledger *l, uint64_t base, ledger_done_fn done, void *owner)
{
    assert_ptr_equal(l, &ledger);
    tell("base:%llu", (unsigned long long)base);
    ask_ledger(done, owner);
}

FAKE(void, ledger_book_lost, struct ledger *l, int64_t entries, ledger_done_fn done, void *owner)
{
    assert_ptr_equal(l, &ledger);
    tell("book:%lld", (long long)entries);
    ask_ledger(done, owner);
}

FAKE(void, ledger_open_epoch, struct ledger *l, const struct epoch_change *change,
     ledger_done_fn done, void *owner)
{
    assert_ptr_equal(l, &ledger);
    tell("epoch(%s%s%s)", change->reason, change->token ? ", theirs" : "",
         change->hold ? ", hold" : "");
    ask_ledger(done, owner);
}

/* Answers. */

static void answer_history(void)
{
    history_done(asker, NULL, &history);
}

static void answer_ledger(enum err_kind kind)
{
    struct err e;

    if (kind != ERR_NONE)
        (void)err_set(&e, kind, "as the test says");
    ledger_done_(asker, kind == ERR_NONE ? NULL : &e);
}

/* XINFO STREAM, as of a stream of added entries of which the last length are there. */
static void answer_entered(long long added, long long length)
{
    char names[][32] = {"length", "entries-added", "last-generated-id", "90-0"};
    redisReply name[3], value[3];
    redisReply *elements[6];

    for (int i = 0; i < 3; i++) {
        name[i] = (redisReply){.type = REDIS_REPLY_STRING, .str = names[i]};
        value[i] = (redisReply){.type = REDIS_REPLY_INTEGER};
        elements[2 * i] = &name[i];
        elements[2 * i + 1] = &value[i];
    }
    value[0].integer = length;
    value[1].integer = added;
    value[2] = (redisReply){.type = REDIS_REPLY_STRING, .str = names[3]};
    redis_done(asker, NULL,
               &(redisReply){.type = REDIS_REPLY_ARRAY, .element = elements, .elements = 6});
}

/* Events. */

static void on_redis_judged(void *owner, const char *unfit)
{
    (void)owner;
    tell("%s", unfit ? "unfit" : "fit");
}

static void on_foreign(void *owner)
{
    (void)owner;
    tell("foreign");
}

static void on_recovered(void *owner)
{
    (void)owner;
    tell("recovered");
}

static void on_failed(void *owner, const char *step, const struct err *error)
{
    (void)owner;
    tell("failed(%s, %s)", step, err_kind_name(error->kind));
}

static void on_late(void *owner)
{
    (void)owner;
    tell("late");
}

/* A stream of 90 entries, of which those up to 50-0 are counted and trimmed. */
static int setup(void **state)
{
    struct epoch_mark mark = {.epoch = 1};

    (void)state;
    (void)snprintf(mark.token, sizeof mark.token, "%s", TOKEN);
    (void)snprintf(mark.ledger, sizeof mark.ledger, "%s", OUR_LEDGER);
    *story = '\0';
    pg_ready = true;
    weakness_logged = false;
    config = (struct config){.batch_max = 1};
    ledger = (struct ledger){
        .owned = true,
        .position = {.epoch = 1, .processed = 50, .batches = 3, .added_seen = 50, .mark = mark}};
    (void)snprintf(ledger.position.last_id, sizeof ledger.position.last_id, "50-0");
    (void)snprintf(ledger.position.repeats_until, sizeof ledger.position.repeats_until, "0-0");
    history = (struct history){.is_master = true,
                               .stream_exists = true,
                               .length = 40,
                               .added = 90,
                               .first = {51, 0},
                               .newest = {90, 0},
                               .group_exists = true,
                               .group = {50, 0},
                               .read_known = true,
                               .read = 50,
                               .mark_exists = true,
                               .mark = mark,
                               .config_known = true,
                               .append_only = true,
                               .fsync_always = true};
    recovery_init(&recovery, (struct recovery_spec){.ledger = &ledger,
                                                    .stream = "usage:events",
                                                    .config = &config,
                                                    .weakness_logged = &weakness_logged,
                                                    .events = {.redis_judged = on_redis_judged,
                                                               .foreign = on_foreign,
                                                               .recovered = on_recovered,
                                                               .failed = on_failed,
                                                               .late = on_late}});
    recovery_run(&recovery);
    return 0;
}

static void an_intact_history_is_entered_at_once(void **state)
{
    (void)state;
    answer_history();
    answer_entered(92, 42);
    assert_string_equal(story, "read fit enter recovered");
    assert_int_equal(ledger.position.trimmed, 50);
    assert_int_equal(ledger.position.added_seen, 92);
    assert_true(ledger.position.marked_known);
    assert_int_equal(ledger.position.marked_accounted, 50);
    assert_int_equal(ledger.reading_ms, 50); /* nothing before the position is read */
    assert_false(recovery.running);
}

static void a_new_stream_gets_its_base_first(void **state)
{
    /* What others trimmed before us is its base; the position is read again before it is entered.
     */
    (void)state;
    ledger.position.processed = ledger.position.batches = 0;
    (void)snprintf(ledger.position.last_id, sizeof ledger.position.last_id, "0-0");
    history.mark_exists = history.group_exists = history.read_known = false;
    answer_history();
    answer_ledger(ERR_NONE);
    answer_ledger(ERR_NONE);
    answer_entered(90, 40);
    assert_string_equal(story, "read fit base:50 acquire enter recovered");
}

static void what_postgres_lost_is_booked_first(void **state)
{
    /* The group is past the position, and what lay between is trimmed. */
    (void)state;
    history.group = (struct entry_id){60, 0};
    history.first = (struct entry_id){61, 0};
    history.length = 30;
    answer_history();
    answer_ledger(ERR_NONE);
    answer_ledger(ERR_NONE);
    answer_entered(90, 30);
    assert_string_equal(story, "read fit book:10 acquire enter recovered");
}

static void what_redis_lost_begins_an_epoch(void **state)
{
    (void)state;
    history.added = 45;
    history.length = 0;
    history.newest = history.group = (struct entry_id){45, 0};
    answer_history();
    answer_ledger(ERR_NONE);
    answer_ledger(ERR_NONE);
    answer_entered(45, 0);
    assert_string_equal(story, "read fit epoch(redis lost entries) acquire enter recovered");
}

static void a_stream_that_is_gone_begins_an_epoch(void **state)
{
    (void)state;
    history = (struct history){.is_master = true, .config_known = true, .append_only = true};
    answer_history();
    answer_ledger(ERR_NONE);
    answer_ledger(ERR_NONE);
    answer_entered(0, 0);
    assert_string_equal(story, "read fit epoch(redis lost the stream) acquire enter recovered");
}

static void an_epoch_that_postgres_lost_is_taken_on_and_sinks_hold(void **state)
{
    (void)state;
    (void)snprintf(history.mark.token, sizeof history.mark.token, "%s", NEXT_TOKEN);
    history.mark.epoch = 2;
    answer_history();
    answer_ledger(ERR_NONE);
    answer_ledger(ERR_NONE);
    answer_entered(90, 40);
    assert_string_equal(
        story, "read fit epoch(postgres lost commits, theirs, hold) acquire enter recovered");
}

static void an_earlier_epoch_is_no_later_one(void **state)
{
    /* Its token is among those that ended: Redis went back, not PostgreSQL. */
    (void)state;
    (void)snprintf(history.mark.token, sizeof history.mark.token, "%s", NEXT_TOKEN);
    buf_printf(&ledger.ended_tokens, "%s", NEXT_TOKEN);
    answer_history();
    assert_string_equal(story, "read fit epoch(redis lost entries)");
    answer_ledger(ERR_REFUSED);
    buf_done(&ledger.ended_tokens);
}

static void a_reset_that_was_cut_is_finished(void **state)
{
    (void)state;
    (void)snprintf(history.mark.token, sizeof history.mark.token, "%s", NEXT_TOKEN);
    (void)snprintf(ledger.position.reset_token, sizeof ledger.position.reset_token, "%s",
                   NEXT_TOKEN);
    answer_history();
    answer_ledger(ERR_NONE);
    answer_ledger(ERR_NONE);
    answer_entered(90, 40);
    assert_string_equal(story, "read fit epoch(reset, theirs) acquire enter recovered");
}

static void another_ledgers_stream_is_not_touched(void **state)
{
    (void)state;
    (void)snprintf(history.mark.ledger, sizeof history.mark.ledger, "%s", OTHER_LEDGER);
    answer_history();
    assert_string_equal(story, "read fit foreign");
    assert_string_equal(recovery.foreign_ledger, OTHER_LEDGER);
    /* Once it is ours again, that is forgotten. */
    recovery_run(&recovery);
    history.mark = ledger.position.mark;
    answer_history();
    answer_entered(90, 40);
    assert_string_equal(story, "read fit foreign read fit enter recovered");
    assert_string_equal(recovery.foreign_ledger, "");
}

static void takeovers_that_the_mark_knows_of_are_remembered(void **state)
{
    (void)state;
    history.mark.takeovers = 3;
    answer_history();
    assert_int_equal(ledger.position.mark.takeovers, 3);
    assert_int_equal(ledger.takeovers_seen, 3);
    answer_entered(90, 40);
}

static void a_redis_that_may_lose_entries_ends_it(void **state)
{
    (void)state;
    history.append_only = false;
    answer_history();
    assert_string_equal(story, "read unfit");
    config.allow_volatile_redis = true;
    recovery_run(&recovery);
    answer_history();
    answer_entered(90, 40);
    assert_string_equal(story, "read unfit read fit enter recovered");
    assert_true(weakness_logged);
}

static void a_replica_is_lost_and_nothing_is_judged(void **state)
{
    (void)state;
    history.is_master = false;
    answer_history();
    assert_string_equal(story, "read replica");
}

static void the_step_that_failed_is_named(void **state)
{
    struct err e;

    (void)state;
    (void)err_set(&e, ERR_TIMEOUT, "as the test says");
    history_done(asker, &e, NULL);
    recovery_run(&recovery);
    answer_history();
    redis_done(asker, &e, NULL);
    recovery_run(&recovery);
    answer_history();
    redis_done(asker, NULL, &(redisReply){.type = REDIS_REPLY_NIL});
    assert_string_equal(story, "read failed(read history, timeout) "
                               "read fit enter failed(set group, timeout) "
                               "read fit enter failed(set group, schema)");
}

static void a_lease_that_is_lost_is_fenced(void **state)
{
    (void)state;
    history.group = (struct entry_id){60, 0};
    answer_history();
    answer_ledger(ERR_FENCED);
    recovery_run(&recovery);
    answer_history();
    answer_ledger(ERR_NONE);
    ledger.owned = false;
    answer_ledger(ERR_NONE);
    assert_string_equal(story, "read fit book:0 failed(correct position, fenced) "
                               "read fit book:0 acquire failed(read position, fenced)");
}

static void answers_of_redis_after_the_end_are_for_nobody(void **state)
{
    (void)state;
    recovery_stop(&recovery);
    answer_history();
    recovery_run(&recovery);
    answer_history();
    recovery_stop(&recovery);
    answer_entered(90, 40);
    /* Nor is one that comes when PostgreSQL is lost. */
    recovery_run(&recovery);
    pg_ready = false;
    answer_history();
    assert_string_equal(story, "read read fit enter read");
    assert_int_equal(ledger.position.trimmed, 0);
}

static void an_answer_of_the_ledger_after_the_end_is_told(void **state)
{
    /* Its owner waits for the ledger to be free. */
    (void)state;
    history.group = (struct entry_id){60, 0};
    answer_history();
    recovery_stop(&recovery);
    answer_ledger(ERR_CANCELED);
    assert_string_equal(story, "read fit book:0 late");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_intact_history_is_entered_at_once),
        TEST(a_new_stream_gets_its_base_first),
        TEST(what_postgres_lost_is_booked_first),
        TEST(what_redis_lost_begins_an_epoch),
        TEST(a_stream_that_is_gone_begins_an_epoch),
        TEST(an_epoch_that_postgres_lost_is_taken_on_and_sinks_hold),
        TEST(an_earlier_epoch_is_no_later_one),
        TEST(a_reset_that_was_cut_is_finished),
        TEST(another_ledgers_stream_is_not_touched),
        TEST(takeovers_that_the_mark_knows_of_are_remembered),
        TEST(a_redis_that_may_lose_entries_ends_it),
        TEST(a_replica_is_lost_and_nothing_is_judged),
        TEST(the_step_that_failed_is_named),
        TEST(a_lease_that_is_lost_is_fenced),
        TEST(answers_of_redis_after_the_end_are_for_nobody),
        TEST(an_answer_of_the_ledger_after_the_end_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
