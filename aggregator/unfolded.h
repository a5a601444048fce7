/* The minute sums that a backlog leaves pending, added up in memory as well: a fold then writes
 * each key once, and PostgreSQL need not read back what was pending. What is here is a copy; the
 * ledger has it all. */
#ifndef METERLINE_UNFOLDED_H
#define METERLINE_UNFOLDED_H

#include "aggregator/arena.h"
#include "aggregator/columns.h"
#include "aggregator/tally.h"
#include "aggregator/tenants.h"

#include <stdbool.h>
#include <stdint.h>

struct unfolded {
    struct tenants tenants;
    struct arena dims; /* owns the rows' dimensions */
    struct tally tally;
    struct minute_columns columns;
    int64_t catalog_version; /* that metrics are numbered by */
    int64_t events;          /* pending in the ledger; … */
    int64_t batches;         /* … in so many rows of usage_pending */
    int64_t rows;            /* likewise, each batch's */
    int64_t from_ms;         /* entry time of the first of them; the owner's to set */
    bool partial;            /* not all that is pending is here */
};

/* key: 16 random bytes of this process, the same as of every batch's tally. */
void unfolded_init(struct unfolded *u, const unsigned char key[16]);
void unfolded_done(struct unfolded *u);
/* Nothing is pending any more. */
void unfolded_clear(struct unfolded *u);

/* A batch of that many events and its sums, which is (or is being) written as pending. */
void unfolded_add(struct unfolded *u, const struct tally *tally, int64_t catalog_version,
                  int64_t events);
/* The batch that was added last was not written. */
void unfolded_spoil(struct unfolded *u);
/* The sum of it all as columns, or NULL if that is not known. Add nothing more before it is
 * cleared. */
struct minute_columns *unfolded_columns(struct unfolded *u, const struct catalog *catalog);

#endif
