/* Which streams a process takes and which it hands over. */
#include "aggregator/fleet/rebalance_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void shares_are_even_and_add_up(void **state)
{
    /* Whatever their number: all shares together are all streams, and differ by one at most. */
    (void)state;
    for (int64_t shards = 1; shards <= 40; shards++)
        for (int64_t running = 1; running <= 50; running++) {
            int64_t sum = 0;
            for (int64_t older = 0; older < running; older++) {
                int64_t share = rebalance_share(shards, running, older);
                assert_in_range(share - shards / running, 0, 1);
                sum += share;
            }
            assert_int_equal(sum, shards);
        }
}

static void one_that_joins_only_takes(void **state)
{
    /* The youngest joins last: nobody who was there gets more than before. */
    (void)state;
    for (int64_t shards = 1; shards <= 40; shards++)
        for (int64_t running = 1; running <= 50; running++)
            for (int64_t older = 0; older < running; older++)
                assert_true(rebalance_share(shards, running + 1, older) <=
                            rebalance_share(shards, running, older));
}

static void nobody_takes_what_is_not_there(void **state)
{
    /* One that is not known to run has no share; looking begins at a stream that exists. */
    (void)state;
    assert_int_equal(rebalance_share(4, 0, 0), 0);
    for (int64_t shards = 1; shards <= 40; shards++)
        for (int64_t running = 0; running <= 50; running++)
            for (int64_t older = 0; older <= running; older++)
                assert_in_range(rebalance_start(shards, running, older), 0, shards - 1);
}

/* A row of the table. Streams are written by a word each:
 * known:  0m shard 0, mine; 0f free; 0o another's; r8f a retired one (0 of 8) that is free;
 *         r8u one that is free and has pending sums
 * held:   0 shard 0, renewed; 0- not renewed; 0l leaving; r8 a retired one
 * plan:   what is done, in order: lost:0 over:1 up:r8 take:2 look:r8 follow */
enum how { SHARES, IDLE, ONCE, ONCE_AGAIN };

struct row {
    const char *what;
    enum how how; /* it shares with others, or may not work; --once: at first, and later */
    int64_t shards, running, older;
    int64_t goes_by; /* 0: the same number */
    const char *known;
    const char *held;
    const char *plan;
};

static const struct row TABLE[] = {
    /* One alone takes everything, and keeps it. */
    {"one alone, at first", SHARES, 4, 1, 0, 0, "", "", "take:0 take:1 take:2 take:3"},
    {"one alone, later", SHARES, 4, 1, 0, 0, "0m 1m 2m 3m", "0 1 2 3", ""},
    {"one alone of one stream", SHARES, 1, 1, 0, 0, "", "", "take:0"},
    {"one before it is known to run", SHARES, 4, 0, 0, 0, "0f 1f", "", ""},

    /* Two are even; each looks first elsewhere. */
    {"the older of two that start", SHARES, 4, 2, 0, 0, "", "", "take:0 take:1"},
    {"the younger of two that start", SHARES, 4, 2, 1, 0, "", "", "take:2 take:3"},
    {"a second one joins: the surplus is the last ones", SHARES, 4, 2, 0, 0, "0m 1m 2m 3m",
     "0 1 2 3", "over:3 over:2"},
    {"the second one waits as long as all have owners", SHARES, 4, 2, 1, 0, "0o 1o 2o 3o", "", ""},
    {"the second one takes what was handed over", SHARES, 4, 2, 1, 0, "0o 1o 2f 3f", "",
     "take:2 take:3"},
    {"what is leaving counts no more", SHARES, 4, 2, 0, 0, "0m 1m 2m 3m", "0 1 2l 3l", ""},
    {"what is leaving is not taken again", SHARES, 4, 1, 0, 0, "0m 1m 2f 3f", "0 1 2l 3l", ""},
    {"two even, at rest", SHARES, 4, 2, 1, 0, "0o 1o 2m 3m", "2 3", ""},

    /* One dies: its leases end, the others' shares grow. */
    {"one died, its leases last", SHARES, 4, 1, 0, 0, "0o 1o 2m 3m", "2 3", ""},
    {"one died, its leases ended", SHARES, 4, 1, 0, 0, "0f 1f 2m 3m", "2 3", "take:0 take:1"},
    {"one of three died, the older takes one more", SHARES, 4, 2, 0, 0, "0m 1f 2f 3o", "0",
     "take:1"},
    {"one whose lease is ours by name only", SHARES, 2, 1, 0, 0, "0m 1m", "0", "take:1"},

    /* More aggregators than shards. */
    {"three for two streams, the second", SHARES, 2, 3, 1, 0, "0o 1o", "", ""},
    {"three for two streams, the third", SHARES, 2, 3, 2, 0, "0f 1f", "", ""},
    {"three for two streams, the first", SHARES, 2, 3, 0, 0, "0m 1m", "0 1", "over:1"},

    /* Leases. */
    {"a lease is another's", SHARES, 2, 1, 0, 0, "0o 1m", "0 1", "lost:0"},
    {"a stream has no position any more", SHARES, 2, 1, 0, 0, "1m", "0 1", "lost:0"},
    {"a lease that was not to be kept", SHARES, 2, 1, 0, 0, "0o 1m", "0- 1", ""},
    {"lost, and a surplus", SHARES, 2, 2, 0, 0, "0o 1o", "0 1", "lost:1 lost:0 over:1"},
    {"one that cannot work notices what is lost, and takes nothing", IDLE, 4, 1, 0, 0, "0o 1f 2f",
     "0", "lost:0"},

    /* Retired streams are the oldest's. */
    {"the oldest looks after them", SHARES, 1, 1, 0, 0, "0m r8f r7u r6o", "0", "look:r8 look:r7"},
    {"the younger does not", SHARES, 1, 2, 1, 0, "0o r8f", "", ""},
    {"one that is not the oldest any more", SHARES, 2, 2, 1, 0, "0o 1m r8m", "1 r8", "up:r8"},
    {"a retired one is no part of a share", SHARES, 1, 1, 0, 0, "0m r8m", "0 r8", ""},
    {"nor of a surplus", SHARES, 2, 2, 0, 0, "0m 1m r8m", "0 1 r8", "over:1"},
    {"one that leaves already", SHARES, 2, 2, 1, 0, "0o 1m r8m", "1 r8l", ""},

    /* Another number of shards. */
    {"all is given up", SHARES, 8, 1, 0, 4, "0m 1m 2m 3m", "0 1 2 3", "follow up:3 up:2 up:1 up:0"},
    {"what leaves already is waited for", SHARES, 8, 1, 0, 4, "0o", "0 1l", "follow up:0"},
    {"then it is gone by", SHARES, 8, 1, 0, 4, "", "", "follow"},
    {"at first none is known", SHARES, 4, 0, 0, -1, "", "", "follow"},
    {"retired ones too", SHARES, 8, 1, 0, 4, "r8m", "r8", "follow up:r8"},
    {"one that cannot work follows too", IDLE, 8, 1, 0, 4, "0m", "0", "follow up:0"},

    /* --once. */
    {"all, whoever has them", ONCE, 2, 3, 3, 0, "0o 1f r8f r7o", "",
     "take:0 take:1 take:r8 take:r7"},
    {"but once", ONCE_AGAIN, 2, 3, 3, 0, "0o 1f r8f", "0-", ""},
    {"it notices what is lost", ONCE_AGAIN, 2, 3, 3, 0, "0o 1m", "0 1", "lost:0"},
};

enum { MAX = 16 };

struct words {
    char text[256];
    char *word[MAX];
    int count;
};

static void split(struct words *w, const char *text)
{
    char *rest = w->text;

    w->count = 0;
    (void)snprintf(w->text, sizeof w->text, "%s", text);
    for (char *word; (word = strsep(&rest, " "));)
        if (*word)
            w->word[w->count++] = word;
    assert_true(w->count < MAX);
}

/* "r8f" and "3m" into a stream's name; what follows it is returned. */
static const char *read_name(const char *word, int64_t shards, char name[STREAM_NAME_SIZE])
{
    if (*word == 'r') {
        (void)snprintf(name, STREAM_NAME_SIZE, "retired:%c", word[1]);
        return word + 2;
    }
    stream_name(*word - '0', shards, name);
    return word + 1;
}

static void write_word(struct words *out, const char *action, const char *stream, int64_t shards)
{
    char name[STREAM_NAME_SIZE];
    size_t length = strlen(out->text);

    for (char number = '0'; number <= '9'; number++)
        for (int retired = 0; retired < 2; retired++) {
            char word[3] = {retired ? 'r' : number, retired ? number : '\0', '\0'};
            read_name(word, shards, name);
            if (strcmp(name, stream) == 0) {
                (void)snprintf(out->text + length, sizeof out->text - length, "%s%s:%s",
                               length ? " " : "", action, word);
                return;
            }
        }
    fail_msg("no such stream: %s", stream);
}

static void check(const struct row *row)
{
    char known_names[MAX][STREAM_NAME_SIZE], held_names[MAX][STREAM_NAME_SIZE];
    struct known_stream known[MAX] = {0};
    struct held_stream held[MAX] = {0};
    int64_t goes_by = row->goes_by > 0 ? row->goes_by : row->goes_by < 0 ? 0 : row->shards;
    struct words w = {.count = 0}, done = {.count = 0};

    split(&w, row->known);
    struct beat beat = {.shards = row->shards,
                        .running = row->running,
                        .older = row->older,
                        .streams = known,
                        .streams_count = w.count};
    for (int i = 0; i < w.count; i++) {
        const char *rest = read_name(w.word[i], goes_by, known_names[i]);
        known[i] = (struct known_stream){.name = known_names[i],
                                         .mine = *rest == 'm',
                                         .free = *rest == 'f' || *rest == 'u',
                                         .retired = *w.word[i] == 'r',
                                         .pending_sums = *rest == 'u'};
    }
    split(&w, row->held);
    struct holding holding = {.shards = goes_by,
                              .held = held,
                              .held_count = w.count,
                              .may_work = row->how == SHARES,
                              .once = row->how >= ONCE,
                              .all_taken = row->how == ONCE_AGAIN};
    for (int i = 0; i < w.count; i++) {
        const char *rest = read_name(w.word[i], goes_by, held_names[i]);
        held[i] = (struct held_stream){.name = held_names[i],
                                       .retired = *w.word[i] == 'r',
                                       .leaving = *rest == 'l',
                                       .renewed = *rest == '\0'};
    }

    struct rebalance_plan p = rebalance_plan(&beat, &holding);
    if (p.follow)
        (void)snprintf(done.text, sizeof done.text, "follow");
    for (int i = 0; i < p.lost_count; i++)
        write_word(&done, "lost", held[p.lost[i]].name, goes_by);
    for (int i = 0; i < p.hand_over_count; i++)
        write_word(&done, "over", held[p.hand_over[i]].name, goes_by);
    for (int i = 0; i < p.give_up_count; i++)
        write_word(&done, "up", held[p.give_up[i]].name, goes_by);
    for (int i = 0; i < p.take_count; i++) {
        write_word(&done, "take", p.take[i].name, goes_by);
        if (p.take[i].number != RETIRED) {
            char name[STREAM_NAME_SIZE];
            stream_name(p.take[i].number, goes_by, name);
            assert_string_equal(name, p.take[i].name);
        }
    }
    for (int i = 0; i < p.retired_count; i++)
        write_word(&done, "look", known[p.retired[i]].name, goes_by);
    if (strcmp(done.text, row->plan) != 0)
        fail_msg("%s: \"%s\" and not \"%s\"", row->what, done.text, row->plan);
    assert_int_equal(p.balanced, !p.follow && row->how == SHARES);
    assert_int_equal(p.oldest, p.balanced && row->older == 0);
    rebalance_plan_done(&p);
}

static void each_case_has_its_plan(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++)
        check(&TABLE[i]);
}

/* Processes that go by their plans alone, with leases that only they take and give. */
struct world {
    int64_t shards;
    int running;
    int owner[MAX]; /* of each stream; -1: free */
};

static void beat_one(struct world *w, int process)
{
    char names[MAX][STREAM_NAME_SIZE];
    struct known_stream known[MAX];
    struct held_stream held[MAX];
    int held_count = 0, number_of[MAX] = {0};

    for (int i = 0; i < w->shards; i++) {
        stream_name(i, w->shards, names[i]);
        known[i] = (struct known_stream){
            .name = names[i], .mine = w->owner[i] == process, .free = w->owner[i] < 0};
        if (known[i].mine) {
            number_of[held_count] = i;
            held[held_count++] = (struct held_stream){.name = names[i], .renewed = true};
        }
    }
    struct rebalance_plan p = rebalance_plan(
        &(struct beat){w->shards, w->running, process, known, (int)w->shards},
        &(struct holding){
            .shards = w->shards, .held = held, .held_count = held_count, .may_work = true});
    assert_int_equal(p.lost_count, 0);
    for (int i = 0; i < p.hand_over_count; i++)
        w->owner[number_of[p.hand_over[i]]] = -1;
    for (int i = 0; i < p.take_count; i++) {
        assert_int_equal(w->owner[p.take[i].number], -1);
        w->owner[p.take[i].number] = process;
    }
    rebalance_plan_done(&p);
}

static void settle(struct world *w)
{
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < w->running; i++)
            beat_one(w, i);
}

static void assert_even(const struct world *w)
{
    int64_t count[MAX] = {0};

    for (int i = 0; i < w->shards; i++) {
        assert_in_range(w->owner[i], 0, w->running - 1);
        count[w->owner[i]]++;
    }
    for (int i = 0; i < w->running; i++)
        assert_int_equal(count[i], rebalance_share(w->shards, w->running, i));
}

static void two_rounds_make_it_even_and_then_nothing_moves(void **state)
{
    /* Whoever joins or dies: after two heartbeats of each, each has its share, and keeps it. */
    (void)state;
    for (int64_t shards = 1; shards < MAX; shards++) {
        struct world w = {.shards = shards}, before;
        memset(w.owner, -1, sizeof w.owner);
        for (w.running = 1; w.running < MAX; w.running++) {
            settle(&w);
            assert_even(&w);
            before = w;
            settle(&w);
            assert_memory_equal(&before, &w, sizeof w);
        }
        for (w.running = MAX - 2; w.running > 0; w.running--) { /* the youngest dies */
            for (int i = 0; i < shards; i++)
                if (w.owner[i] == w.running)
                    w.owner[i] = -1;
            settle(&w);
            assert_even(&w);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_even_and_add_up),
        cmocka_unit_test(one_that_joins_only_takes),
        cmocka_unit_test(nobody_takes_what_is_not_there),
        cmocka_unit_test(each_case_has_its_plan),
        cmocka_unit_test(two_rounds_make_it_even_and_then_nothing_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
