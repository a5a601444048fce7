/* Which keys were counted within the window. */
#include "aggregator/dedupe/dedupe.h"
#include "aggregator/dedupe/dedupe_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define WINDOW_MS 1000

static const unsigned char KEY[DEDUPE_KEY_BYTES] = "a fixed test key";
static struct dedupe *dedupe;

static int setup(void **state)
{
    (void)state;
    dedupe = dedupe_new(DEDUPE_MEMORY_MIN_BYTES, WINDOW_MS, KEY);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    dedupe_free(dedupe);
    return 0;
}

/* The hash of the n-th key. */
static struct dedupe_hash key_of(uint32_t n)
{
    return dedupe_hash(dedupe, ID_GIVEN, TEXT("acme"), (struct text){(const char *)&n, sizeof(n)});
}

static int probe(uint32_t n, struct dedupe_hit *hit)
{
    struct dedupe_hash hash = key_of(n);

    return dedupe_probe(dedupe, &hash, hit, 1);
}

static bool is_known(uint32_t n)
{
    struct dedupe_hit hit;

    return probe(n, &hit) > 0;
}

static void insert(uint32_t n, uint32_t number)
{
    struct dedupe_hash hash = key_of(n);

    dedupe_insert(dedupe, &hash, number);
}

static void place(uint32_t n, uint32_t number, uint32_t row)
{
    struct dedupe_hash hash = key_of(n);

    dedupe_place(dedupe, &hash, number, row);
}

static struct dedupe_batch batch_of(int64_t batch_id, int64_t committed_ms, uint32_t rows)
{
    return (struct dedupe_batch){.batch_id = batch_id,
                                 .committed_ms = committed_ms,
                                 .entry_ms = committed_ms,
                                 .slice_counts = {[3] = rows}};
}

/* Keys first … first + count - 1 as one batch whose rows are in the reverse order of arrival. */
static void commit_keys(uint32_t first, uint32_t count, int64_t committed_ms)
{
    struct dedupe_batch batch = batch_of(first, committed_ms, count);

    dedupe_begin(dedupe, count);
    for (uint32_t i = 0; i < count; i++)
        insert(first + i, i);
    for (uint32_t i = 0; i < count; i++)
        place(first + i, i, count - 1 - i);
    dedupe_commit(dedupe, &batch);
}

static void assert_stored(uint32_t n, uint32_t first, uint32_t count)
{
    struct dedupe_hit hit;

    if (probe(n, &hit) != 1)
        fail_msg("key %u is not found once", n);
    assert_false(hit.pending);
    assert_int_equal(hit.batch_id, first);
    assert_int_equal(hit.slice, 3);
    assert_int_equal(hit.row, count - 1 - (n - first));
}

static void a_key_is_domain_tenant_and_id(void **state)
{
    /* No two of the triples read the same, however their texts are cut. */
    (void)state;
    static const struct {
        enum id_domain domain;
        struct text tenant;
        struct text id;
    } keys[] = {
        {ID_GIVEN, {"ab", 2}, {"c", 1}},   {ID_GIVEN, {"a", 1}, {"bc", 2}},
        {ID_GIVEN, {"abc", 3}, {"", 0}},   {ID_DEFAULT, {"ab", 2}, {"c", 1}},
        {ID_RETRACT, {"ab", 2}, {"c", 1}}, {ID_GIVEN, {"ab", 2}, {"c\0", 2}},
    };
    enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

    for (int i = 0; i < KEYS; i++) {
        struct dedupe_hash a = dedupe_hash(dedupe, keys[i].domain, keys[i].tenant, keys[i].id);
        for (int k = 0; k < KEYS; k++) {
            struct dedupe_hash b = dedupe_hash(dedupe, keys[k].domain, keys[k].tenant, keys[k].id);
            assert_int_equal(a.place == b.place && a.tag == b.tag, i == k);
        }
    }
}

static void a_pending_key_is_told_by_its_number(void **state)
{
    /* Before COMMIT a hit leads to the event in memory. */
    (void)state;
    struct dedupe_hit hit;

    dedupe_begin(dedupe, 10);
    assert_false(is_known(1));
    insert(1, 0);
    insert(2, 9);
    assert_int_equal(probe(2, &hit), 1);
    assert_true(hit.pending);
    assert_int_equal(hit.number, 9);
    assert_false(is_known(3));
}

static void a_stored_key_is_told_by_batch_slice_and_row(void **state)
{
    /* Rows are counted through the slices in order, empty slices included. */
    (void)state;
    struct dedupe_batch batch = {.batch_id = 77,
                                 .day = 20000,
                                 .epoch = 2,
                                 .committed_ms = 5,
                                 .slice_counts = {[0] = 2, [5] = 1, [15] = 3}};
    static const uint32_t slices[] = {0, 0, 5, 15, 15, 15};
    static const uint32_t rows[] = {0, 1, 0, 0, 1, 2};
    struct dedupe_hit hit;

    dedupe_begin(dedupe, 6);
    for (uint32_t i = 0; i < 6; i++)
        insert(i, i);
    for (uint32_t i = 0; i < 6; i++)
        place(i, i, i);
    dedupe_commit(dedupe, &batch);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(probe(i, &hit), 1);
        assert_false(hit.pending);
        assert_true(hit.batch_id == 77 && hit.day == 20000 && hit.epoch == 2);
        assert_int_equal(hit.slice, slices[i]);
        assert_int_equal(hit.row, rows[i]);
    }
}

static void the_same_key_may_be_there_more_than_once(void **state)
{
    /* All candidates are counted, those that fit are told: nothing is compared in the table. */
    (void)state;
    struct dedupe_hash hash = key_of(1);
    struct dedupe_hit hits[2];

    commit_keys(1, 1, 0);
    dedupe_begin(dedupe, 3);
    insert(1, 0);
    insert(1, 2);
    assert_int_equal(dedupe_probe(dedupe, &hash, hits, 2), 3);
    assert_int_equal(hits[0].pending + hits[1].pending, 1);
}

static void what_is_not_placed_is_gone_after_commit(void **state)
{
    /* A duplicate that was inserted before it was confirmed leaves nothing behind. */
    (void)state;
    struct dedupe_batch batch = batch_of(9, 0, 1);
    struct dedupe_batch empty = batch_of(10, 0, 0);

    dedupe_begin(dedupe, 3);
    for (uint32_t i = 0; i < 3; i++)
        insert(i, i);
    place(1, 1, 0);
    dedupe_commit(dedupe, &batch);
    assert_false(is_known(0));
    assert_true(is_known(1));
    assert_false(is_known(2));
    dedupe_begin(dedupe, 1);
    insert(5, 0);
    dedupe_commit(dedupe, &empty);
    assert_false(is_known(5));
    assert_int_equal(dedupe_stats(dedupe).batches, 1);
}

static void an_aborted_batch_is_gone_at_once(void **state)
{
    /* Whether placed or not; the same events can come again as new. */
    (void)state;
    commit_keys(100, 10, 0);
    dedupe_begin(dedupe, 10);
    insert(1, 0);
    insert(2, 1);
    place(1, 0, 0);
    dedupe_abort(dedupe);
    assert_false(is_known(1));
    assert_false(is_known(2));
    commit_keys(1, 2, 0);
    assert_stored(1, 1, 2);
    assert_stored(100, 100, 10);
}

static void keys_leave_with_the_window(void **state)
{
    /* A key is known while entries are read that were added within window_ms of its own, and a
     * little longer. */
    (void)state;
    int64_t end = 5000 + WINDOW_MS + DEDUPE_SLACK_MS;

    commit_keys(1, 10, 5000);
    commit_keys(11, 10, 5500);
    dedupe_read_from(dedupe, end);
    dedupe_expire(dedupe, end);
    assert_true(is_known(1));
    dedupe_read_from(dedupe, end + 1);
    dedupe_expire(dedupe, end + 1);
    assert_false(is_known(1));
    assert_true(is_known(11));
    assert_int_equal(dedupe_window_ms(dedupe), WINDOW_MS);
    dedupe_set_since(dedupe, end - 300);
    assert_int_equal(dedupe_window_ms(dedupe), 301);
    dedupe_read_from(dedupe, 5600); /* read again from before what is known */
    assert_int_equal(dedupe_window_ms(dedupe), 0);
    dedupe_read_from(dedupe, end + WINDOW_MS);
    assert_int_equal(dedupe_window_ms(dedupe), WINDOW_MS);
    dedupe_set_since(dedupe, 5600); /* nothing is known again by saying so */
    dedupe_read_from(dedupe, end + 1);
    assert_int_equal(dedupe_window_ms(dedupe), 301);
    assert_int_equal(dedupe_shrunk(dedupe), 0);
}

static void keys_leave_by_what_is_read_and_not_by_the_clock(void **state)
{
    /* Read long after it was added, a repeat is still known. A stream whose entries are far ahead
     * of the clock, or that jumped, forgets nothing that was committed within the window. */
    (void)state;
    struct dedupe_batch late = batch_of(1, 1000 * WINDOW_MS, 1);

    late.entry_ms = 5000;
    dedupe_begin(dedupe, 1);
    insert(1, 0);
    place(1, 0, 0);
    dedupe_commit(dedupe, &late);
    dedupe_read_from(dedupe, 5000 + WINDOW_MS);
    dedupe_expire(dedupe, 2000 * WINDOW_MS);
    assert_true(is_known(1));
    dedupe_read_from(dedupe, 5000 + 2 * WINDOW_MS + DEDUPE_SLACK_MS);
    dedupe_expire(dedupe, 1001 * WINDOW_MS);
    assert_true(is_known(1));
    dedupe_expire(dedupe, 1001 * WINDOW_MS + 1);
    assert_false(is_known(1));
}

static void a_rebuilt_table_knows_stored_keys(void **state)
{
    /* Keys that are read back are found as if this process had committed them. */
    (void)state;
    struct dedupe_batch batch = batch_of(1, 0, 100);

    dedupe_begin(dedupe, 100);
    for (uint32_t row = 0; row < 100; row++) {
        struct dedupe_hash hash = key_of(100 - row);
        dedupe_load(dedupe, &hash, row);
    }
    dedupe_commit(dedupe, &batch);
    for (uint32_t n = 1; n <= 100; n++)
        assert_stored(n, 1, 100);
}

static void growth_loses_nothing(void **state)
{
    /* Every key is found while the table grows to its bound, at less than 12 bytes each then. */
    (void)state;
    uint32_t count = 80000;

    for (uint32_t first = 0; first < count; first += 1000)
        commit_keys(first, 1000, 0);
    for (uint32_t n = 0; n < count; n++)
        assert_stored(n, n / 1000 * 1000, 1000);
    for (uint32_t n = count; n < 2 * count; n++)
        assert_false(is_known(n));
    assert_int_equal(dedupe_shrunk(dedupe), 0);
    assert_int_equal(dedupe_stats(dedupe).keys, count);
    assert_true(dedupe_stats(dedupe).used_bytes <= DEDUPE_MEMORY_MIN_BYTES);
    assert_true(dedupe_stats(dedupe).used_bytes < 13 * count);
}

static void a_key_takes_12_bytes_at_any_time(void **state)
{
    /* Not only when segments are about to grow: beyond its first keys, whatever their number. */
    (void)state;
    uint32_t batch = 5000;

    dedupe_free(dedupe);
    dedupe = dedupe_new(16U << 20, WINDOW_MS, KEY);
    for (uint32_t keys = batch; keys <= 100 * batch; keys += batch) {
        commit_keys(keys - batch, batch, 0);
        if (keys >= 100000)
            assert_true(dedupe_stats(dedupe).used_bytes <= 12UL * keys);
    }
    assert_int_equal(dedupe_shrunk(dedupe), 0);
}

static void a_full_table_shrinks_its_window(void **state)
{
    /* Beyond the bound the oldest batches go, the newest stay, and it is told. */
    (void)state;
    uint32_t first = 0;
    uint64_t batches;

    for (; first < 1000000; first += 1000)
        commit_keys(first, 1000, first / 1000);
    batches = dedupe_stats(dedupe).batches;
    assert_in_range(batches, 75, 90);
    assert_int_equal(dedupe_shrunk(dedupe), 1000 - batches);
    assert_int_equal(dedupe_shrunk(dedupe), 0);
    dedupe_read_from(dedupe, 999);
    assert_int_equal(dedupe_window_ms(dedupe), batches);
    assert_true(dedupe_stats(dedupe).used_bytes <= DEDUPE_MEMORY_MIN_BYTES);
    for (uint32_t n = first - (uint32_t)batches * 1000; n < first; n++)
        assert_stored(n, n / 1000 * 1000, 1000);
    assert_false(is_known(first - (uint32_t)batches * 1000 - 1));
}

static void many_small_batches_are_bounded_too(void **state)
{
    /* Batches take memory of their own: 512 of them at the least memory. */
    (void)state;
    for (uint32_t n = 0; n < 5000; n++)
        commit_keys(n, 1, n);
    assert_int_equal(dedupe_stats(dedupe).batches, 512);
    assert_int_equal(dedupe_shrunk(dedupe), 5000 - 512);
    assert_stored(4488, 4488, 1);
    assert_false(is_known(4487));
}

static void waste_does_not_push_out_keys(void **state)
{
    /* Retries that are aborted again and again cost no counted key, and no memory. */
    (void)state;
    uint32_t n = dedupe_batch_max(dedupe);

    commit_keys(0, 50000 < n ? 50000 : n, 0);
    for (uint32_t round = 0; round < 100; round++) {
        dedupe_begin(dedupe, n);
        for (uint32_t i = 0; i < n; i++)
            insert(1000000 + round * n + i, i);
        dedupe_abort(dedupe);
    }
    assert_int_equal(dedupe_shrunk(dedupe), 0);
    assert_stored(7, 0, 50000 < n ? 50000 : n);
    assert_true(dedupe_stats(dedupe).used_bytes <= DEDUPE_MEMORY_MIN_BYTES);
}

static void waste_does_not_grow_the_table(void **state)
{
    /* Where aborted batches outweigh counted keys, their slots are reused, not added to. */
    (void)state;
    commit_keys(0, 1000, 0);
    for (uint32_t round = 0; round < 500; round++) {
        dedupe_begin(dedupe, 1000);
        for (uint32_t i = 0; i < 1000; i++)
            insert(1000000 + round * 1000 + i, i);
        dedupe_abort(dedupe);
    }
    assert_stored(7, 0, 1000);
    assert_in_range(dedupe_stats(dedupe).used_bytes, 16000, 80000);
}

static void ordinals_may_wrap_around(void **state)
{
    /* Across 2^32 every key leads to its own batch and row, expired ones to none. */
    (void)state;
    uint32_t first = 0;

    dedupe->next = UINT32_MAX - 30000; /* as after days of work */
    for (; first < 40000; first += 1000) {
        commit_keys(first, 1000, first / 1000);
        dedupe_begin(dedupe, 500);
        insert(900000 + first, 499);
        dedupe_abort(dedupe);
        for (uint32_t n = 0; n < first + 1000; n += 97)
            assert_stored(n, n / 1000 * 1000, 1000);
        assert_false(is_known(900000 + first));
    }
    assert_true(dedupe->next < UINT32_MAX / 2);
    dedupe_read_from(dedupe, WINDOW_MS + DEDUPE_SLACK_MS + 20);
    dedupe_expire(dedupe, WINDOW_MS + 20);
    assert_false(is_known(19999));
    assert_stored(20000, 20000, 1000);
}

static void expired_slots_never_come_back(void **state)
{
    /* While 2^32 ordinals pass, no slot that lingers is taken for a key of a later batch. */
    (void)state;
    uint32_t n = dedupe_batch_max(dedupe);
    uint64_t passed = 0;

    commit_keys(0, 1000, 0);
    dedupe_read_from(dedupe, 2 * WINDOW_MS + DEDUPE_SLACK_MS);
    dedupe_expire(dedupe, 2 * WINDOW_MS);
    for (uint32_t round = 0; passed < 5ULL << 30; round++, passed += 2 * n) {
        dedupe_begin(dedupe, n);
        assert_false(is_known(round % 1000));
        insert(5000, 0);
        dedupe_abort(dedupe);
        assert_false(is_known(5000));
    }
}

static void a_span_of_ordinals_is_bounded(void **state)
{
    /* A batch that stays alive while 2^30 ordinals pass is dropped, and told. */
    (void)state;
    uint32_t n = dedupe_batch_max(dedupe);
    uint64_t passed = 0;

    commit_keys(0, 1000, 0);
    for (; passed < 1ULL << 29; passed += 2 * n) {
        dedupe_begin(dedupe, n);
        dedupe_abort(dedupe);
    }
    assert_stored(0, 0, 1000);
    for (; passed < 1ULL << 31; passed += 2 * n) {
        dedupe_begin(dedupe, n);
        dedupe_abort(dedupe);
    }
    assert_false(is_known(0));
    assert_int_equal(dedupe_shrunk(dedupe), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_domain_tenant_and_id),
        TEST(a_pending_key_is_told_by_its_number),
        TEST(a_stored_key_is_told_by_batch_slice_and_row),
        TEST(the_same_key_may_be_there_more_than_once),
        TEST(what_is_not_placed_is_gone_after_commit),
        TEST(an_aborted_batch_is_gone_at_once),
        TEST(keys_leave_with_the_window),
        TEST(keys_leave_by_what_is_read_and_not_by_the_clock),
        TEST(a_rebuilt_table_knows_stored_keys),
        TEST(growth_loses_nothing),
        TEST(a_key_takes_12_bytes_at_any_time),
        TEST(a_full_table_shrinks_its_window),
        TEST(many_small_batches_are_bounded_too),
        TEST(waste_does_not_push_out_keys),
        TEST(waste_does_not_grow_the_table),
        TEST(ordinals_may_wrap_around),
        TEST(expired_slots_never_come_back),
        TEST(a_span_of_ordinals_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
