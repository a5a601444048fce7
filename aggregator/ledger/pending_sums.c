#include "aggregator/ledger/pending_sums.h"

#include <stdlib.h>
#include <string.h>

/* Memory for so many keys and such dimensions, and those of a batch. */
enum { KEYS_MAX = 128 * 1024, DIMS_BYTES_MAX = 16 << 20, TENANTS_KEPT_MAX = 0 };

void unfolded_init(struct unfolded *u, const unsigned char key[16])
{
    *u = (struct unfolded){.events = 0};
    tenants_init(&u->tenants, key);
    tally_init(&u->tally, key);
}

void unfolded_done(struct unfolded *u)
{
    tally_done(&u->tally);
    arena_done(&u->dims);
    tenants_done(&u->tenants);
}

static void forget_rows(struct unfolded *u)
{
    u->batches = 0;
    if (u->tally.count == 0)
        return;
    tally_clear(&u->tally);
    arena_clear(&u->dims);
    tenants_trim(&u->tenants, TENANTS_KEPT_MAX);
}

void unfolded_clear(struct unfolded *u)
{
    forget_rows(u);
    u->events = u->rows = u->from_ms = 0;
    u->lost = false;
}

void unfolded_lose(struct unfolded *u)
{
    forget_rows(u);
    u->lost = true;
}

/* Metrics have other numbers there. */
static void lose_other_version(struct unfolded *u, int64_t catalog_version)
{
    if (u->tally.count > 0 && u->catalog_version != catalog_version)
        unfolded_lose(u);
}

static void add_row(struct unfolded *u, const struct tally_row *row)
{
    struct tally_row own = *row;

    own.tenant = tenants_intern(&u->tenants, row->tenant->name);
    if (!tally_merge(&u->tally, &own))
        return;
    if (own.dims_json.length > strlen("{}"))
        tally_own_dims(&u->tally, arena_copy(&u->dims, own.dims_json.data, own.dims_json.length));
    else
        tally_own_dims(&u->tally, TEXT("{}"));
}

void unfolded_add(struct unfolded *u, const struct tally *tally, int64_t catalog_version,
                  int64_t events)
{
    lose_other_version(u, catalog_version);
    u->catalog_version = catalog_version;
    u->events += events;
    for (uint32_t i = 0; i < tally->count; i++)
        add_row(u, &tally->rows[i]);
}

void unfolded_note_waiting(struct unfolded *u, int64_t batch)
{
    if (u->batches++ == 0)
        u->first_batch = batch;
}

bool unfolded_is_full(const struct unfolded *u)
{
    return u->tally.count > KEYS_MAX || u->dims.held_bytes > DIMS_BYTES_MAX;
}

const struct tally *unfolded_sort(struct unfolded *u, int64_t catalog_version)
{
    lose_other_version(u, catalog_version);
    if (u->tally.count > 0)
        tally_sort(&u->tally);
    return &u->tally;
}

void unfolded_note_written(struct unfolded *u, int64_t rows, int64_t events)
{
    u->rows += u->tally.count + rows;
    u->events += events;
    forget_rows(u);
}
