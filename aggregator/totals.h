/* What a batch adds to period totals: minute rows summed up by billing period. */
#ifndef METERLINE_TOTALS_H
#define METERLINE_TOTALS_H

#include "aggregator/catalog.h"
#include "aggregator/periods.h"
#include "aggregator/tally.h"
#include "common/pg.h"
#include "common/pg_array.h"

enum { TOTAL_COLUMNS = 7 };

/* How totals take a new value, one statement each. */
enum total_kind { TOTAL_ADD, TOTAL_MAX, TOTAL_LAST, TOTAL_KINDS };

struct totals {
    struct pg_array columns[TOTAL_KINDS][TOTAL_COLUMNS]; /* $1 to $7 of TOTALS_ADD and its likes */
};

void totals_init(struct totals *t);
void totals_done(struct totals *t);

/* tally is sorted, and the period of each of its minutes is known (asserted). Returns 0, or -1 with
 * ERR_RANGE if a sum passes 38 digits. */
int totals_fill(struct totals *t, const struct catalog *catalog, const struct tally *tally,
                const struct periods *periods, struct err *e);

/* Rows of that kind; bind only where there are some. */
int totals_count(const struct totals *t, enum total_kind kind);
void totals_bind(struct totals *t, enum total_kind kind, struct pg_statement *s);

#endif
