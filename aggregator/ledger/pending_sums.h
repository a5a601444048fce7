/* The minute sums that a backlog with many keys leaves pending: added up here, and written once for
 * many batches. The ledger has the raw events of them all: what is lost here, it counts. */
#ifndef METERLINE_UNFOLDED_H
#define METERLINE_UNFOLDED_H

#include "aggregator/batch/arena.h"
#include "aggregator/batch/minute_sums.h"
#include "aggregator/batch/tenants.h"

#include <stdbool.h>
#include <stdint.h>

struct unfolded {
    struct tenants tenants;
    struct arena dims; /* owns the rows' dimensions */
    struct tally tally;
    int64_t catalog_version; /* that metrics are numbered by */
    int64_t events;          /* counted, and not folded yet */
    int64_t batches;         /* whose sums are here alone, … */
    int64_t first_batch;     /* … from this one on */
    int64_t rows;            /* minute sums that the ledger has to fold */
    int64_t from_ms;         /* entry time of the first of the events; the owner's to set */
    bool lost;               /* sums of some batches are neither here nor there */
};

/* key: 16 random bytes of this process, the same as of every batch's tally. */
void unfolded_init(struct unfolded *u, const unsigned char key[16]);
void unfolded_done(struct unfolded *u);
/* Nothing is pending any more. */
void unfolded_clear(struct unfolded *u);

/* A batch of that many events and its sums. */
void unfolded_add(struct unfolded *u, const struct tally *tally, int64_t catalog_version,
                  int64_t events);
/* The batch that was added last waits in the ledger without its sums. */
void unfolded_note_waiting(struct unfolded *u, int64_t batch);
/* Forget the sums: they are counted from the raw events. */
void unfolded_lose(struct unfolded *u);
/* So much that it should be written. */
bool unfolded_is_full(const struct unfolded *u);
/* The sums in order, to be written; by that version of the catalog, or they are lost. Add nothing
 * before unfolded_note_written, unfolded_lose or unfolded_clear. */
const struct tally *unfolded_sort(struct unfolded *u, int64_t catalog_version);
/* The ledger has the sums, and so many of a batch of so many events, but has not folded them. */
void unfolded_note_written(struct unfolded *u, int64_t rows, int64_t events);

#endif
