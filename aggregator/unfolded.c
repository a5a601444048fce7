#include "aggregator/unfolded.h"

#include <stdlib.h>
#include <string.h>

/* Memory for so many keys; more are left to PostgreSQL. */
enum { KEYS_MAX = 30000, TENANTS_KEPT_MAX = 0 };

void unfolded_init(struct unfolded *u, const unsigned char key[16])
{
    *u = (struct unfolded){.events = 0};
    tenants_init(&u->tenants, key);
    tally_init(&u->tally, key);
    minute_columns_init(&u->columns);
}

void unfolded_done(struct unfolded *u)
{
    minute_columns_done(&u->columns);
    tally_done(&u->tally);
    arena_done(&u->dims);
    tenants_done(&u->tenants);
}

static void forget_rows(struct unfolded *u)
{
    if (u->tally.count == 0)
        return;
    tally_clear(&u->tally);
    arena_clear(&u->dims);
    tenants_trim(&u->tenants, TENANTS_KEPT_MAX);
}

void unfolded_clear(struct unfolded *u)
{
    forget_rows(u);
    u->events = u->batches = u->rows = u->from_ms = 0;
    u->partial = false;
}

void unfolded_spoil(struct unfolded *u)
{
    forget_rows(u);
    u->partial = true;
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
    if (u->events == 0)
        u->catalog_version = catalog_version;
    u->events += events;
    u->rows += tally->count;
    if (u->catalog_version != catalog_version || u->tally.count + tally->count > KEYS_MAX)
        unfolded_spoil(u);
    for (uint32_t i = 0; !u->partial && i < tally->count; i++)
        add_row(u, &tally->rows[i]);
}

struct minute_columns *unfolded_columns(struct unfolded *u, const struct catalog *catalog)
{
    if (u->partial)
        return NULL;
    tally_sort(&u->tally);
    minute_columns_fill(&u->columns, catalog, &u->tally);
    return &u->columns;
}
