/* One batch after the other on a table of keys, as tests of batch.h need them. Include cmocka
 * first.
 */
#ifndef METERLINE_TESTS_BATCH_FIXTURE_H
#define METERLINE_TESTS_BATCH_FIXTURE_H

#include "aggregator/batch/batch.h"
#include "common/clock.h"
#include "common/contract.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW    1795000000000LL
#define HOUR   3600000LL
#define WINDOW (24 * HOUR)

static const unsigned char KEY[16] = "a fixed test key";
static struct catalog *catalog;
static struct dedupe *dedupe;
static struct entries entries;
static struct batch batch;
static int64_t batches;

static inline int setup(void **state)
{
    char tokens[] = "tokens", model[] = "model", large[] = "large";
    struct catalog_filter is_large[] = {{model, large}};
    struct metric_def defs[] = {
        {.name = "tokens", .aggregation = AGG_SUM},
        {.name = "calls", .aggregation = AGG_SUM},
        {.name = "big",
         .aggregation = AGG_SUM,
         .from = tokens,
         .where = is_large,
         .where_count = 1},
    };
    struct err e;

    (void)state;
    catalog = catalog_new();
    for (int i = 0; i < 3; i++)
        assert_int_equal(catalog_add(catalog, &defs[i], &e), i);
    assert_int_equal(catalog_link(catalog, &e), 0);
    dedupe = dedupe_new(DEDUPE_MEMORY_MIN_BYTES, WINDOW, KEY);
    batch_init(&batch, STREAM_KEY, 0, 1, KEY);
    batches = 0;
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    batch_done(&batch);
    entries_done(&entries);
    dedupe_free(dedupe);
    catalog_free(catalog);
    return 0;
}

static inline struct text text_of(const char *t)
{
    return (struct text){.data = t, .length = (uint32_t)strlen(t)};
}

/* "tenant=a id=x …" as one entry. */
static inline void add(const char *fields)
{
    static char copy[64][256];
    char *rest = copy[entries.count % 64];
    char *field;

    snprintf(rest, sizeof copy[0], "%s", fields);
    entries_add(&entries, NOW, entries.count);
    while ((field = strsep(&rest, " ")) != NULL) {
        char *value = strchr(field, '=');

        *value++ = '\0';
        entries_add_field(&entries, text_of(field), text_of(value));
    }
}

static inline void begin(void)
{
    batch_parse(&batch, catalog, dedupe, &entries, 0, entries.count, NULL);
    batch_probe(&batch, NOW);
}

/* All is stored; the next batch has no entries yet. */
static inline void commit(void)
{
    struct dedupe_batch stored = {
        .batch_id = ++batches, .committed_ms = NOW, .entry_ms = NOW, .day = 7, .epoch = 1};

    batch_commit(&batch, &stored);
    entries_clear(&entries);
}

static inline void on_slice(void *owner, int slice)
{
    int64_t *stored = owner;

    assert_int_equal(batch.slice_counts[slice], batch.slices[slice].events);
    *stored += batch.slices[slice].events;
}

static inline void settle(void)
{
    int64_t stored = 0;

    batch_settle(&batch, on_slice, &stored);
    assert_int_equal(stored, batch.counted);
    assert_int_equal(batch.counted + batch.duplicates + batch.rejected + batch.conflicts,
                     batch.to - batch.from);
    assert_int_equal(batch.rejections_count, batch.rejected + batch.conflicts);
}

/* One letter an item that was parsed: Counted, Duplicate, X for a conflict, Rejected for a
 * retraction without its event. */
static inline void assert_fates(const char *expected)
{
    char fates[65] = "";

    for (uint32_t i = 0; i < batch.items_count; i++)
        fates[i] = "?CDXR"[batch.items[i].fate];
    assert_string_equal(fates, expected);
}

static inline struct stored_row row_of(const char *tenant, const char *id, const char *quantity,
                                       const char *fields)
{
    struct stored_row row = {
        .tenant = text_of(tenant), .metric = TEXT("tokens"), .fields = text_of(fields)};

    if (id != NULL)
        row.id = text_of(id);
    assert_int_equal(dec_parse(quantity, strlen(quantity), &row.quantity), 0);
    return row;
}

/* Of the entry NOW-seq, which had no id of its own. */
static inline struct stored_row by_default_row_of(const char *tenant, uint64_t seq,
                                                  const char *quantity, const char *fields)
{
    static char ids[10][64];
    char *id = ids[seq % 10];
    struct stored_row row;

    snprintf(id, sizeof ids[0], STREAM_KEY "/%lld-%llu", NOW, (unsigned long long)seq);
    row = row_of(tenant, id, quantity, fields);
    row.by_default = true;
    row.ms = NOW;
    row.seq = seq;
    return row;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
