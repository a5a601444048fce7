/* Retractions in a batch, without servers: what the ledger would answer is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/batch_fixture.h"

#define DEFAULT_ID "usage:events/1795000000000-"

static struct stored_row retraction_of(const char *tenant, const char *id, int retracts)
{
    struct stored_row row = row_of(tenant, id, "-1", "{}");

    row.retracts = retracts;
    return row;
}

/* Column i of what was given to be counted anew has this as its nth element. */
static void assert_recount(int i, int nth, const char *expected)
{
    struct pg_statement s;
    struct pg_array_reader reader;
    const unsigned char *data = NULL;
    size_t length = 0;

    pg_statement_init(&s, "");
    columns_bind(&batch.recounts, &s);
    assert_int_equal(pg_array_read(&reader, s.values[i], (size_t)s.lengths[i]), 0);
    for (int n = 0; n <= nth; n++)
        assert_true(pg_array_next(&reader, &data, &length));
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(data, expected, length);
}

static void one_takes_back_an_earlier_event_of_its_batch_once(void **state)
{
    /* Before it is too early, whatever else it says; then once; the event itself stays known. Its
     * minute sums keep the event: they are counted anew. */
    (void)state;
    add("tenant=a op=retract id=x");
    add("tenant=a op=retract id=x");
    add("tenant=a metric=tokens id=x quantity=5 model=large");
    add("tenant=a op=retract id=x metric=gone");
    add("tenant=a op=retract id=x quantity=7");
    add("tenant=b op=retract id=x");
    add("tenant=a metric=tokens id=x quantity=5 model=large");
    add("tenant=a metric=tokens id=x quantity=6 model=large");
    begin();
    assert_int_equal(batch.candidates_count, 0);
    settle();
    assert_fates("RRCCDRDX");
    assert_string_equal(batch.rejections[0].reason, REASON_UNKNOWN_RETRACTION);
    assert_true(text_equal(batch.rejections[0].tenant, TEXT("a")));
    assert_int_equal(batch.counted, 2);
    assert_int_equal(batch.sums.count, 2); /* tokens and big, of the event */
    assert_int_equal(batch.sums.rows[0].events, 1);
    assert_int_equal(batch.recounts.count, 1);
    assert_recount(0, 0, "a");
    assert_recount(1, 0, "tokens");
    commit();
    add("tenant=a op=retract id=x");
    begin();
    /* The event in its place and the retraction in the next one. */
    assert_int_equal(batch.candidates_count, 2);
    assert_int_equal(batch.candidates[0].row + batch.candidates[1].row, 1);
    batch_abort(&batch);
}

static void one_takes_back_a_stored_event_by_what_the_ledger_tells(void **state)
{
    /* Metric, fields and time are the stored row's, also of a metric that left the catalog. */
    (void)state;
    add("tenant=a metric=tokens id=x");
    begin();
    settle();
    commit();
    add("tenant=a op=retract id=x");
    add("tenant=a op=retract id=x");
    begin();
    assert_int_equal(batch.candidates_count, 2);
    struct stored_row row = row_of("a", "x", "1.5", "{\"model\":\"m\"}");
    row.metric = TEXT("retired");
    row.occurred_ms = NOW - HOUR;
    batch_confirm(&batch, 0, &row);
    batch_confirm(&batch, 1, &row);
    settle();
    assert_fates("CD");
    assert_int_equal(batch.sums.count, 0);
    assert_recount(1, 0, "retired");
    assert_int_equal(batch.slices[tenant_slice("a", 1)].occurred_max_ms, NOW - HOUR);
    assert_true(batch.slices[tenant_slice("a", 1)].has[SLICE_RETRACTS]);
    commit();
}

static void a_repeated_one_is_a_duplicate(void **state)
{
    /* The stored row of the first is found by its own key, by whatever it took back. */
    (void)state;
    add("tenant=a op=retract id=x");
    add("tenant=a op=retract id=" DEFAULT_ID "7");
    begin();
    struct stored_row event = row_of("a", "x", "1", "{}");
    struct stored_row first = retraction_of("a", "x", 1);
    struct stored_row second = retraction_of("a", DEFAULT_ID "7", 2);
    batch_confirm(&batch, 0, &first);
    batch_confirm(&batch, 0, &event);
    batch_confirm(&batch, 1, &second);
    settle();
    assert_fates("DD");
    assert_int_equal(batch.recounts.count, 0);
    batch_abort(&batch);
}

static void other_rows_with_its_hashes_are_not_its_own(void **state)
{
    /* The table may lead to any row. Of another tenant, another id, or an entry that a given id
     * only reads like: neither the retraction nor what it takes back. */
    (void)state;
    for (int i = 0; i < 6; i++)
        add("tenant=a op=retract id=x");
    add("tenant=a op=retract id=" DEFAULT_ID "7");
    begin();
    struct stored_row rows[] = {
        row_of("b", "x", "1", "{}"),          row_of("a", "y", "1", "{}"),
        by_default_row_of("a", 7, "1", "{}"), retraction_of("b", "x", 1),
        retraction_of("a", "y", 1),           retraction_of("a", DEFAULT_ID "7", 2),
    };
    for (uint32_t i = 0; i < 6; i++)
        batch_confirm(&batch, i, &rows[i]);
    struct stored_row other_entry = by_default_row_of("a", 8, "1", "{}");
    batch_confirm(&batch, 6, &other_entry);
    batch_confirm(&batch, 6, &rows[4]);
    settle();
    assert_fates("RRRRRRR");
    batch_abort(&batch);
}

static void an_event_is_not_confirmed_by_a_retraction_of_its_id(void **state)
{
    (void)state;
    add("tenant=a metric=tokens id=x");
    add("tenant=a metric=tokens");
    begin();
    struct stored_row same = retraction_of("a", "x", 1);
    struct stored_row by_default = retraction_of("a", DEFAULT_ID "1", 2);
    by_default.ms = NOW;
    by_default.seq = 1;
    batch_confirm(&batch, 0, &same);
    batch_confirm(&batch, 1, &by_default);
    settle();
    assert_fates("CC");
    batch_abort(&batch);
}

static void an_id_by_default_is_taken_back_by_its_text(void **state)
{
    /* Just as it would be made: no other text names the entry, and no other stream's. */
    (void)state;
    add("tenant=a metric=tokens");
    add("tenant=a op=retract id=" DEFAULT_ID "00");
    add("tenant=a op=retract id=usage:events/01795000000000-0");
    add("tenant=a op=retract id=usage:event/1795000000000-0");
    add("tenant=a op=retract id=usage:events/1795000000000-");
    add("tenant=a op=retract id=usage:events/");
    add("tenant=b op=retract id=" DEFAULT_ID "0");
    add("tenant=a op=retract id=" DEFAULT_ID "0");
    add("tenant=a op=retract id=" DEFAULT_ID "0");
    begin();
    settle();
    assert_fates("CRRRRRRCD");
    commit();
    add("tenant=a op=retract id=" DEFAULT_ID "5");
    begin();
    struct stored_row row = by_default_row_of("a", 5, "1", "{}");
    batch_confirm(&batch, 0, &row);
    settle();
    assert_fates("C");
    assert_true(batch.slices[tenant_slice("a", 1)].has[SLICE_IDS_TEXT]);
    commit();
}

static void a_given_id_goes_before_one_by_default(void **state)
{
    /* Both may have counted: Redis gave the id of an entry that it lost to another one. */
    (void)state;
    add("tenant=a op=retract id=" DEFAULT_ID "9");
    begin();
    struct stored_row by_default = by_default_row_of("a", 9, "1", "{}");
    struct stored_row given = row_of("a", DEFAULT_ID "9", "1", "{}");
    by_default.metric = TEXT("calls");
    batch_confirm(&batch, 0, &given);
    batch_confirm(&batch, 0, &by_default);
    settle();
    assert_fates("C");
    assert_recount(1, 0, "tokens");
    batch_abort(&batch);
}

static void a_ts_before_the_window_tells_which_is_meant(void **state)
{
    /* With it the ledger is asked, and only the event of that time is taken back. A later ts, or
     * none, says nothing. */
    char text[128];

    (void)state;
    snprintf(text, sizeof text, "tenant=a op=retract id=x ts=%lld", NOW - 2 * WINDOW);
    add("tenant=a op=retract id=x ts=1795000000000");
    add("tenant=a op=retract id=y");
    begin();
    assert_int_equal(batch.old_count, 0);
    struct stored_row row = row_of("a", "x", "1", "{}");
    row.occurred_ms = NOW - 5;
    batch_confirm(&batch, 0, &row);
    settle();
    assert_fates("CR");
    assert_non_null(strstr(batch.rejections[0].detail, "86400 s"));
    batch_abort(&batch);
    entries_clear(&entries);
    add("tenant=a metric=tokens id=x");
    add(text);
    begin();
    assert_int_equal(batch.old_count, 1);
    batch_confirm(&batch, 1, &row);
    settle();
    assert_fates("CR");
    assert_non_null(strstr(batch.rejections[0].detail, "ts 1794827200000"));
    batch_abort(&batch);
    begin();
    row.occurred_ms = NOW - 2 * WINDOW;
    batch_confirm(&batch, 1, &row);
    settle();
    assert_fates("CC");
    batch_abort(&batch);
}

static void one_without_its_event_leaves_no_key(void **state)
{
    /* So that it can be replayed once the event is there. */
    (void)state;
    add("tenant=a op=retract id=x");
    begin();
    settle();
    commit();
    add("tenant=a metric=tokens id=x");
    add("tenant=a op=retract id=x");
    begin();
    assert_int_equal(batch.candidates_count, 0);
    settle();
    assert_fates("CC");
    commit();
}

static void what_cannot_be_counted_anew_is_not_taken_back(void **state)
{
    /* Retention dropped raw events of the minute: to count it from the others would lose usage. */
    (void)state;
    batch.dropped_until_ms = NOW / MINUTE_MS * MINUTE_MS - 1;
    add("tenant=a metric=tokens id=x ts=1794999959999");
    add("tenant=a op=retract id=x");
    add("tenant=a metric=tokens id=y");
    add("tenant=a op=retract id=y");
    begin();
    settle();
    assert_fates("CRCC");
    assert_non_null(strstr(batch.rejections[0].detail, "retention"));
    batch_abort(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_takes_back_an_earlier_event_of_its_batch_once),
        TEST(one_takes_back_a_stored_event_by_what_the_ledger_tells),
        TEST(a_repeated_one_is_a_duplicate),
        TEST(other_rows_with_its_hashes_are_not_its_own),
        TEST(an_event_is_not_confirmed_by_a_retraction_of_its_id),
        TEST(an_id_by_default_is_taken_back_by_its_text),
        TEST(a_given_id_goes_before_one_by_default),
        TEST(a_ts_before_the_window_tells_which_is_meant),
        TEST(one_without_its_event_leaves_no_key),
        TEST(what_cannot_be_counted_anew_is_not_taken_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
