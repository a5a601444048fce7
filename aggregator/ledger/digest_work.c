#include "aggregator/ledger/digest_work.h"

enum { WORTH_A_THREAD = 2000 }; /* events: a quarter of a millisecond */

static void *make_digest(void *owner)
{
    struct digest_work *w = owner;
    struct batch_digest digest;

    batch_digest_init(&digest);
    for (int i = 0; i < w->count; i++) {
        w->row.slice = (uint32_t)i;
        if (w->slices[i].events > 0)
            slice_columns_digest(&w->slices[i], w->row, &digest);
    }
    batch_digest_final(&digest, w->digest);
    return NULL;
}

static uint64_t count_events(const struct digest_work *w)
{
    uint64_t events = 0;

    for (int i = 0; i < w->count; i++)
        events += w->slices[i].events;
    return events;
}

void digest_work_begin(struct digest_work *w, struct slice_columns *slices, int count,
                       const struct batch_digest_slice *row)
{
    *w = (struct digest_work){.slices = slices, .count = count, .row = *row};
    w->runs =
        count_events(w) >= WORTH_A_THREAD && pthread_create(&w->thread, NULL, make_digest, w) == 0;
    if (!w->runs)
        make_digest(w);
}

void digest_work_end(struct digest_work *w)
{
    if (w->runs)
        pthread_join(w->thread, NULL);
    w->runs = false;
}
