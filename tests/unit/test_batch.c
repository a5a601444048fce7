/* A batch from entries to fates and rows, without servers: what the ledger would answer is given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/batch_fixture.h"

static void repeats_within_a_batch_are_judged_by_the_first(void **state)
{
    /* The same content is a duplicate, whatever its ts; other content is a conflict, and does not
     * become the first. Other tenants are apart; an id that names an entry is that entry's. */
    (void)state;
    add("tenant=a metric=tokens id=x quantity=1.0 model=m");
    add("tenant=a metric=tokens id=x quantity=1 model=m ts=1795000000001");
    add("tenant=a metric=tokens id=x quantity=2 model=m");
    add("tenant=a metric=tokens id=x quantity=2 model=m");
    add("tenant=a metric=calls id=x quantity=1 model=m");
    add("tenant=a metric=tokens id=x quantity=1 model=m");
    add("tenant=b metric=tokens id=x quantity=1 model=m");
    add("tenant=a metric=tokens");
    add("tenant=a metric=tokens");
    add("tenant=a metric=tokens id=usage:events/1795000000000-7");
    begin();
    assert_int_equal(batch.candidates_count, 0);
    settle();
    assert_fates("CDXXXDCCCD");
    assert_string_equal(batch.rejections[0].reason, REASON_CONFLICT);
    commit();
}

static void what_cannot_be_counted_is_kept_beside_what_is(void **state)
{
    /* Rejections have their tenant, where it can be read. */
    (void)state;
    add("tenant=a metric=nope");
    add("tenant=a metric=tokens quantity=2 model=large");
    add("metric=tokens");
    begin();
    settle();
    assert_int_equal(batch.counted, 1);
    assert_int_equal(batch.rejected, 2);
    assert_string_equal(batch.rejections[0].reason, REASON_UNKNOWN_METRIC);
    assert_true(text_equal(batch.rejections[0].tenant, TEXT("a")));
    assert_int_equal(batch.rejections[1].entry, 2);
    assert_int_equal(batch.rejections[1].tenant.length, 0);
    assert_int_equal(batch.sums.count, 2); /* its own metric, and the derived one */
    commit();
}

static void a_stored_key_is_a_candidate_by_its_place(void **state)
{
    /* Rows are counted within a slice, in the order of arrival, without those that did not count.
     */
    (void)state;
    add("tenant=a metric=tokens id=0");
    add("tenant=a metric=tokens id=0");
    add("tenant=a metric=tokens id=1");
    add("tenant=b metric=tokens id=0");
    begin();
    settle();
    commit();
    add("tenant=a metric=tokens id=1");
    add("tenant=b metric=tokens id=0");
    add("tenant=b metric=tokens id=1");
    begin();
    assert_int_equal(batch.candidates_count, 2);
    assert_int_equal(batch.candidates[0].item, 0);
    assert_int_equal(batch.candidates[0].batch, 1);
    assert_int_equal(batch.candidates[0].day, 7);
    assert_int_equal(batch.candidates[0].slice, tenant_slice("a", 1));
    assert_int_equal(batch.candidates[0].row, 1);
    assert_int_equal(batch.candidates[1].slice, tenant_slice("b", 1));
    assert_int_equal(batch.candidates[1].row, 0);
    batch_confirm(&batch, 0,
                  &(struct stored_row){.tenant = TEXT("a"),
                                       .metric = TEXT("tokens"),
                                       .id = TEXT("1"),
                                       .quantity = dec_from_i64(1),
                                       .fields = TEXT("{}")});
    settle();
    assert_fates("DCC"); /* the ledger did not confirm the second: another key with its hash */
    batch_abort(&batch);
}

static void what_the_ledger_holds_decides(void **state)
{
    /* Tenant and id must be the same; then metric, quantity as a number and fields tell duplicate
     * from conflict, and one that is the same outweighs others. */
    (void)state;
    for (int i = 0; i < 7; i++)
        add("tenant=a metric=tokens id=x quantity=1.50 model=m");
    begin();
    struct stored_row rows[] = {
        row_of("a", "x", "1.5", "{\"model\":\"m\"}"),
        row_of("a", "x", "2", "{\"model\":\"m\"}"),
        row_of("a", "x", "1.5", "{}"),
        row_of("b", "x", "1.5", "{\"model\":\"m\"}"),
        row_of("a", "y", "1.5", "{\"model\":\"m\"}"),
        by_default_row_of("a", 5, "1.5", "{\"model\":\"m\"}"),
    };
    for (uint32_t i = 0; i < 6; i++)
        batch_confirm(&batch, i, &rows[i]);
    batch_confirm(&batch, 6, &rows[1]);
    batch_confirm(&batch, 6, &rows[0]);
    batch_confirm(&batch, 6, &rows[2]);
    settle();
    /* The fourth is the first that no stored row is about, and the next two repeat it. */
    assert_fates("DXXCDDD");
    batch_abort(&batch);
}

static void a_default_id_is_found_by_its_entry(void **state)
{
    (void)state;
    add("tenant=a metric=tokens");
    add("tenant=a metric=tokens");
    begin();
    struct stored_row row = by_default_row_of("a", 1, "1", "{}");
    batch_confirm(&batch, 0, &row);
    batch_confirm(&batch, 1, &row);
    settle();
    assert_fates("CD");
    batch_abort(&batch);
}

static void only_given_ids_before_the_window_are_old(void **state)
{
    /* With 5 minutes to spare, since an event may be used 5 minutes after its entry was added. */
    char text[128];

    (void)state;
    dedupe_set_since(dedupe, NOW - WINDOW);
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, "tenant=a metric=tokens id=%d ts=%lld", i,
                 NOW - WINDOW + 5 * MINUTE_MS - i);
        add(text);
    }
    snprintf(text, sizeof text, "tenant=a metric=tokens ts=%lld", NOW - 2 * WINDOW);
    add(text);
    begin();
    assert_int_equal(batch.old_count, 1);
    assert_false(batch.items[0].old);
    assert_true(batch.items[1].old);
    settle();
    batch_abort(&batch);
}

/* As an ULID that was made then. */
static void add_made_at(int64_t ms, char last, const char *more)
{
    static const char DIGITS[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    char text[160];
    char id[27] = "0000000000EKTSV4RRFFQ69G5F";

    for (int i = 9; i >= 0; i--, ms /= 32)
        id[i] = DIGITS[ms % 32];
    id[25] = last;
    snprintf(text, sizeof text, "tenant=a id=%s %s", id, more);
    add(text);
}

static void ids_made_before_the_window_are_looked_for_at_whatever_time_of_use(void **state)
{
    /* With 5 minutes to spare, likewise. What is counted has their minutes, each about once. */
    (void)state;
    const int64_t window_start = NOW - WINDOW + 5 * MINUTE_MS;
    char ts[64];

    snprintf(ts, sizeof ts, "metric=tokens ts=%lld", NOW - 2 * WINDOW);
    dedupe_set_since(dedupe, NOW - WINDOW);
    add_made_at(window_start, '0', "metric=tokens");
    add_made_at(window_start - 1, '1', "metric=tokens");
    add_made_at(window_start - 1, '2', "op=retract");
    add_made_at(window_start - 1, '3', ts);
    add_made_at(NOW - 36 * 24 * HOUR, '4', "metric=tokens");
    add_made_at(NOW, '5', "metric=tokens");
    add_made_at(window_start - 1, '6', "metric=tokens");
    begin();
    assert_int_equal(batch.old_count, 5);
    for (uint32_t i = 0; i < 7; i++) {
        assert_int_equal(batch.items[i].id_old, i > 0 && i != 5);
        assert_int_equal(batch.items[i].old, i == 3);
    }
    struct stored_row row = row_of("a", "", "1", "{}");
    row.id = batch.items[1].event.id;
    batch_confirm(&batch, 1, &row); /* used at 0: that does not matter */
    settle();
    assert_fates("CDRCCCC");
    assert_int_equal(batch.slices[tenant_slice("a", 1)].minutes, 2);
    batch_abort(&batch);
}

static void an_id_that_names_an_entry_is_that_entrys(void **state)
{
    /* A replay gives an entry the id that it had by default: in this batch and among stored ones.
     * Its repeat is known by the same text. Who says something else with it is a conflict. */
    (void)state;
    add("tenant=a metric=tokens");
    add("tenant=a metric=tokens id=usage:events/1795000000000-0");
    add("tenant=a metric=tokens id=usage:events/1795000000000-0 quantity=2");
    add("tenant=b metric=tokens id=usage:events/1795000000000-0");
    add("tenant=a metric=tokens id=usage:events:{3}/7-0");
    add("tenant=a metric=tokens id=usage:events:{3}/7-0");
    begin();
    settle();
    assert_fates("CDXCCD");
    commit();
    add("tenant=a metric=tokens id=usage:events/1795000000000-0");
    add("tenant=a metric=tokens id=usage:events/1795000000000-0 quantity=2");
    begin();
    assert_int_equal(batch.candidates_count, 2);
    struct stored_row row = by_default_row_of("a", 0, "1", "{}");
    batch_confirm(&batch, 0, &row);
    batch_confirm(&batch, 1, &row);
    settle();
    assert_fates("DX");
    batch_abort(&batch);
}

/* What the ledger has of the entry NOW-seq, if that is of tenant a. */
static bool note_row(struct stored_row row, uint64_t seq)
{
    int64_t entry = batch_find_entry(&batch, (struct entry_id){.ms = NOW, .seq = seq});

    assert_true(entry >= 0);
    row.occurred_ms = NOW;
    if (!batch_is_row(&batch, (uint32_t)entry, &row))
        return false;
    batch_note_again(&batch, (uint32_t)entry);
    return true;
}

static void what_an_entry_became_stays_so(void **state)
{
    /* Counted, rejected or a repeat: read again it is a duplicate, whatever it would be by now. */
    (void)state;
    add("tenant=a metric=tokens id=x");
    add("tenant=a op=retract id=x");     /* came before its event, and was rejected */
    add("tenant=a metric=gone");         /* counted, when the catalog had it */
    add("tenant=a metric=tokens id=x");  /* a repeat */
    add("tenant=a metric=tokens");       /* never read */
    add("tenant=a metric=gone id=late"); /* never read: beyond */
    batch.repeats_until = (struct entry_id){.ms = NOW, .seq = 4};
    batch_parse(&batch, catalog, dedupe, &entries, 0, entries.count, NULL);
    assert_int_equal(batch_again_count(&batch), 5);
    struct stored_row gone = by_default_row_of("a", 2, "1.0", "{}");
    gone.metric = TEXT("gone");
    assert_true(note_row(row_of("a", "x", "1", "{}"), 0));
    batch_note_again(&batch, 1);
    assert_true(note_row(gone, 2));
    batch_note_again(&batch, 3);
    batch_note_again(&batch, 3);
    batch_settle_again(&batch);
    batch_probe(&batch, NOW);
    settle();
    assert_int_equal(batch.duplicates, 4);
    assert_int_equal(batch.counted, 1);
    assert_int_equal(batch.rejected, 1);
    assert_int_equal(batch.rejections[0].entry, 5);
    assert_int_equal(batch.repeats.count, 0); /* the ledger has them */
    batch_abort(&batch);
}

static void what_retention_may_have_forgotten_is_not_judged(void **state)
{
    /* Of what is read again and is not known: as old as raw events that are gone, by its entry or
     * its time of use. What was never read is judged. */
    (void)state;
    char late[64], fresh[64];

    snprintf(late, sizeof late, "tenant=a metric=tokens id=x ts=%lld", NOW - HOUR);
    snprintf(fresh, sizeof fresh, "tenant=a metric=tokens id=y ts=%lld", NOW - HOUR / 2);
    add(late);
    add(fresh);
    add("tenant=a op=retract id=y");
    add("tenant=a metric=tokens id=z"); /* known */
    add(late);                          /* never read: beyond */
    batch.repeats_until = (struct entry_id){.ms = NOW, .seq = 3};
    batch.dropped_until_ms = NOW - HOUR;
    batch_parse(&batch, catalog, dedupe, &entries, 0, entries.count, NULL);
    batch_note_again(&batch, 3);
    batch_settle_again(&batch);
    batch_probe(&batch, NOW);
    settle();
    assert_fates("RCCDC");
    assert_string_equal(batch.rejections[0].reason, REASON_TOO_OLD);
    batch_abort(&batch);

    batch.dropped_until_ms = NOW;
    batch_parse(&batch, catalog, dedupe, &entries, 0, entries.count, NULL);
    batch_note_again(&batch, 3);
    batch_settle_again(&batch);
    batch_probe(&batch, NOW);
    settle();
    assert_fates("RRRDC");
    assert_int_equal(batch.rejected, 3);
    assert_int_equal(batch.rejections_count, 3);
    batch_abort(&batch);
    batch.dropped_until_ms = INT64_MIN;

    /* So are rejects: what they were of is older than their day's end. */
    for (int later = 0; later < 2; later++) {
        batch.rejects_dropped_until_ms = NOW + later;
        batch_parse(&batch, catalog, dedupe, &entries, 0, entries.count, NULL);
        batch_note_again(&batch, 3);
        batch_settle_again(&batch);
        batch_probe(&batch, NOW);
        settle();
        assert_fates(later ? "RRRDC" : "CCCDD");
        batch_abort(&batch);
    }
    batch.rejects_dropped_until_ms = INT64_MIN;
}

static void another_entry_with_the_id_of_a_lost_one_is_told(void **state)
{
    (void)state;
    struct stored_row rows[] = {
        row_of("b", "x", "1", "{}"),          row_of("a", "y", "1", "{}"),
        row_of("a", "x", "2", "{}"),          row_of("a", "x", "1", "{\"model\":\"m\"}"),
        by_default_row_of("a", 0, "1", "{}"), row_of("a", "x", "1", "{}"),
        row_of("a", "x", "1", "{}"),
    };

    add("tenant=a metric=tokens id=x");
    rows[5].metric = TEXT("calls");
    rows[6].retracts = 1;
    begin();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_false(note_row(rows[i], 0));
    struct stored_row earlier = row_of("a", "x", "1", "{}");
    earlier.occurred_ms = NOW - 1;
    assert_false(batch_is_row(&batch, 0, &earlier));
    assert_true(note_row(row_of("a", "x", "1.000", "{}"), 0));
    batch_abort(&batch);
}

static void repeats_are_noted_for_the_ledger(void **state)
{
    (void)state;
    add("tenant=a metric=tokens id=x");
    add("tenant=a metric=tokens id=x");
    add("tenant=a metric=tokens id=x quantity=2");
    begin();
    settle();
    assert_fates("CDX");
    assert_int_equal(batch.repeats.count, 1);
    batch_abort(&batch);
}

static void an_old_repeat_does_not_speak_for_other_times(void **state)
{
    /* In one batch as in several: the old one is a duplicate of its stored self; the same id with
     * another time is new, and what follows repeats that. */
    char old[128];

    (void)state;
    snprintf(old, sizeof old, "tenant=a metric=tokens id=x ts=%lld", NOW - 2 * WINDOW);
    add(old);
    add("tenant=a metric=tokens id=x");
    add("tenant=a metric=tokens id=x");
    add("tenant=a metric=tokens id=x quantity=2");
    add("tenant=a metric=tokens id=x");
    begin();
    struct stored_row row = row_of("a", "x", "1", "{}");
    batch_confirm(&batch, 0, &row);
    settle();
    assert_fates("DCDXD");
    commit();
    add("tenant=a metric=tokens id=x");
    begin();
    assert_int_equal(batch.candidates_count, 1);
    assert_int_equal(batch.candidates[0].row, 0);
    settle();
    batch_abort(&batch);
}

static void an_aborted_batch_leaves_no_keys(void **state)
{
    (void)state;
    add("tenant=a metric=tokens id=x");
    begin();
    settle();
    batch_abort(&batch);
    begin();
    assert_int_equal(batch.candidates_count, 0);
    settle();
    assert_fates("C");
    commit();
}

static void one_entry_can_be_refused_unseen(void **state)
{
    /* With the words of who refused it, its tenant, and no key left behind. */
    (void)state;
    add("tenant=a metric=tokens id=x");
    add("tenant=b metric=tokens id=y");
    batch_parse(&batch, catalog, dedupe, &entries, 1, 2, "22003: too much");
    batch_probe(&batch, NOW);
    settle();
    assert_int_equal(batch.rejected, 1);
    assert_int_equal(batch.rejections[0].entry, 1);
    assert_string_equal(batch.rejections[0].reason, REASON_REFUSED);
    assert_string_equal(batch.rejections[0].detail, "22003: too much");
    assert_true(text_equal(batch.rejections[0].tenant, TEXT("b")));
    commit();
}

static void parts_of_the_entries_are_batches_of_their_own(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        add("tenant=a metric=tokens quantity=3");
    batch_parse(&batch, catalog, dedupe, &entries, 4, 6, NULL);
    batch_probe(&batch, NOW);
    settle();
    assert_int_equal(batch.counted, 2);
    assert_int_equal(batch.items[0].event.seq, 4);
    assert_int_equal(batch.sums.rows[0].events, 2);
    batch_abort(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(repeats_within_a_batch_are_judged_by_the_first),
        TEST(what_cannot_be_counted_is_kept_beside_what_is),
        TEST(a_stored_key_is_a_candidate_by_its_place),
        TEST(what_the_ledger_holds_decides),
        TEST(a_default_id_is_found_by_its_entry),
        TEST(only_given_ids_before_the_window_are_old),
        TEST(ids_made_before_the_window_are_looked_for_at_whatever_time_of_use),
        TEST(an_id_that_names_an_entry_is_that_entrys),
        TEST(what_an_entry_became_stays_so),
        TEST(what_retention_may_have_forgotten_is_not_judged),
        TEST(another_entry_with_the_id_of_a_lost_one_is_told),
        TEST(repeats_are_noted_for_the_ledger),
        TEST(an_old_repeat_does_not_speak_for_other_times),
        TEST(an_aborted_batch_leaves_no_keys),
        TEST(one_entry_can_be_refused_unseen),
        TEST(parts_of_the_entries_are_batches_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
