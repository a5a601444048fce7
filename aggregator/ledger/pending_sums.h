/* The minute sums that a backlog with many keys leaves pending: they are added up here, and written
 * once for many batches. If they are lost, they are counted again from the raw events. */
#ifndef METERLINE_PENDING_SUMS_H
#define METERLINE_PENDING_SUMS_H

#include "aggregator/batch/minute_sums.h"
#include "aggregator/batch/tenants.h"
#include "aggregator/stream/arena.h"

#include <stdbool.h>
#include <stdint.h>

struct pending_sums {
    struct tenants tenants;
    struct arena dims; /* owns the rows' dimensions */
    struct minute_sums sums;
    int64_t catalog_version; /* that metrics are numbered by */
    int64_t events;          /* counted, and not folded yet */
    int64_t batches;         /* whose sums are here alone, … */
    int64_t first_batch;     /* … from this one on */
    int64_t rows;            /* minute sums that the ledger has to fold */
    int64_t from_ms;         /* entry time of the first of the events; the owner's to set */
    bool lost;               /* sums of some batches are neither here nor there */
};

/* key: 16 random bytes of this process, the same as of every batch's sums. */
void pending_sums_init(struct pending_sums *p, const unsigned char key[16]);
void pending_sums_done(struct pending_sums *p);
/* Nothing is pending any more. */
void pending_sums_clear(struct pending_sums *p);

/* A batch of that many events and its sums. */
void pending_sums_add(struct pending_sums *p, const struct minute_sums *sums,
                      int64_t catalog_version, int64_t events);
/* The batch that was added last waits in the ledger without its sums. */
void pending_sums_note_waiting(struct pending_sums *p, int64_t batch);
/* Forget the sums: they are counted from the raw events. */
void pending_sums_lose(struct pending_sums *p);
/* So much that it should be written. */
bool pending_sums_is_full(const struct pending_sums *p);
/* A batch that counted so many events comes next: are its sums and all that are pending to be
 * folded with it? has_more: the stream does, as far as is known. */
bool pending_sums_must_fold(const struct pending_sums *p, const struct minute_sums *batch,
                            int64_t counted, bool has_more);
/* The sums in order, to be written; by that version of the catalog, or they are lost. Add nothing
 * before pending_sums_note_written, pending_sums_lose or pending_sums_clear. */
const struct minute_sums *pending_sums_sort(struct pending_sums *p, int64_t catalog_version);
/* The ledger has the sums, and so many of a batch of so many events, but has not folded them. */
void pending_sums_note_written(struct pending_sums *p, int64_t rows, int64_t events);

#endif
