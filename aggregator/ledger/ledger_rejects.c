/* A batch's rejections as parameters. */
#include "aggregator/ledger/ledger.h"

#include "aggregator/batch/reject.h"
#include "aggregator/stream/entries.h"

enum { REJECT_TEXTS = 5, REJECT_ARRAYS };

static void put_rejection(struct ledger *l, const struct batch *b, const struct rejection *r)
{
    const struct entry *entry = &b->entries->list[r->entry];
    struct pg_array *a = l->arrays;

    buf_clear(&l->scratch);
    buf_printf(&l->scratch, "%llu-%llu", (unsigned long long)entry->ms,
               (unsigned long long)entry->seq);
    pg_array_add(&a[0], l->scratch.data, l->scratch.length);
    if (r->tenant.length > 0)
        pg_array_add(&a[1], r->tenant.data, r->tenant.length);
    else
        pg_array_add_null(&a[1]);
    pg_array_add_text(&a[2], r->reason);
    pg_array_add_text(&a[3], r->detail);
    buf_clear(&l->scratch);
    reject_fields_json(b->entries, r->entry, &l->scratch);
    pg_array_add(&a[4], l->scratch.data, l->scratch.length);
    pg_array_add_i64(&a[5], entry_content(b->entries, r->entry));
}

void ledger_add_rejects(struct ledger *l, const struct batch *b, struct pg_statement *s)
{
    for (int i = 0; i < REJECT_ARRAYS; i++) {
        pg_array_done(&l->arrays[i]);
        pg_array_init(&l->arrays[i], i < REJECT_TEXTS ? PG_TEXT : PG_INT8);
    }
    for (uint32_t i = 0; i < b->rejections_count; i++)
        put_rejection(l, b, &b->rejections[i]);
    for (int i = 0; i < REJECT_ARRAYS; i++)
        pg_add_array(s, &l->arrays[i]);
}
