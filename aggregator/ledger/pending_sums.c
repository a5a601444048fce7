#include "aggregator/ledger/pending_sums.h"

#include <string.h>

/* Memory for so many keys and such dimensions, and those of a batch. */
enum { KEYS_MAX = 128 * 1024, DIMS_BYTES_MAX = 16 << 20, TENANTS_KEPT_MAX = 0 };

/* With few keys a fold costs little. With many it is worth while once each has come this often, or
 * when it becomes large: a million rows take half a minute at worst, and its deadline is two. */
enum {
    FOLD_FEW_ROWS = 2000,
    FOLD_EVENTS_A_KEY = 512,
    FOLD_EVENTS_MAX = 4000000,
    FOLD_ROWS_MAX = 1000000
};

void pending_sums_init(struct pending_sums *p, const unsigned char key[16])
{
    *p = (struct pending_sums){.events = 0};
    tenants_init(&p->tenants, key);
    minute_sums_init(&p->sums, key);
}

void pending_sums_done(struct pending_sums *p)
{
    minute_sums_done(&p->sums);
    arena_done(&p->dims);
    tenants_done(&p->tenants);
}

static void forget_rows(struct pending_sums *p)
{
    p->batches = 0;
    if (p->sums.count == 0)
        return;
    minute_sums_clear(&p->sums);
    arena_clear(&p->dims);
    tenants_trim(&p->tenants, TENANTS_KEPT_MAX);
}

void pending_sums_clear(struct pending_sums *p)
{
    forget_rows(p);
    p->events = p->rows = p->from_ms = 0;
    p->lost = false;
}

void pending_sums_lose(struct pending_sums *p)
{
    forget_rows(p);
    p->lost = true;
}

/* Metrics have other numbers there. */
static void lose_other_version(struct pending_sums *p, int64_t catalog_version)
{
    if (p->sums.count > 0 && p->catalog_version != catalog_version)
        pending_sums_lose(p);
}

static void add_row(struct pending_sums *p, const struct minute_sum *row)
{
    struct minute_sum own = *row;
    own.tenant = tenants_intern(&p->tenants, row->tenant->name);
    if (!minute_sums_merge(&p->sums, &own))
        return;
    if (own.dims_json.length > strlen("{}"))
        minute_sums_own_dims(&p->sums,
                             arena_copy(&p->dims, own.dims_json.data, own.dims_json.length));
    else
        minute_sums_own_dims(&p->sums, TEXT("{}"));
}

void pending_sums_add(struct pending_sums *p, const struct minute_sums *sums,
                      int64_t catalog_version, int64_t events)
{
    lose_other_version(p, catalog_version);
    p->catalog_version = catalog_version;
    p->events += events;
    for (uint32_t i = 0; i < sums->count; i++)
        add_row(p, &sums->rows[i]);
}

void pending_sums_note_waiting(struct pending_sums *p, int64_t batch)
{
    if (p->batches++ == 0)
        p->first_batch = batch;
}

bool pending_sums_is_full(const struct pending_sums *p)
{
    return p->sums.count > KEYS_MAX || p->dims.held_bytes > DIMS_BYTES_MAX;
}

bool pending_sums_must_fold(const struct pending_sums *p, const struct minute_sums *batch,
                            int64_t counted, bool has_more)
{
    int64_t events = p->events + counted;
    /* What PostgreSQL may refuse is folded in its own transaction: later it would refuse others. */
    return events > 0 && (batch->has_large || batch->count < FOLD_FEW_ROWS || !has_more ||
                          events >= (int64_t)batch->count * FOLD_EVENTS_A_KEY ||
                          events >= FOLD_EVENTS_MAX || p->rows >= FOLD_ROWS_MAX || p->lost);
}

const struct minute_sums *pending_sums_sort(struct pending_sums *p, int64_t catalog_version)
{
    lose_other_version(p, catalog_version);
    if (p->sums.count > 0)
        minute_sums_sort(&p->sums);
    return &p->sums;
}

void pending_sums_note_written(struct pending_sums *p, int64_t rows, int64_t events)
{
    p->rows += p->sums.count + rows;
    p->events += events;
    forget_rows(p);
}
