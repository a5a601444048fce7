/* The parts of meterctl audit. */
#ifndef METERLINE_CTL_AUDIT_H
#define METERLINE_CTL_AUDIT_H

#include "common/err.h"

#include <hiredis/hiredis.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>

/* The balance of one stream's current epoch: added, counted, …, waiting, difference. Reads
 * position, stream, position, and again if it moved. Returns a new finding, or NULL with e. */
json_t *audit_stream(PGconn *conn, redisContext *redis, const char *stream, struct err *e);

/* Submissions whose identifier or body is not the one of their row, at most 10, added to findings.
 * In the caller's snapshot. Returns 0 or -1 with e. */
int audit_submissions(PGconn *conn, json_t *findings, struct err *e);

/* Batches whose raw events are not those that their digest was made of, at most 10: likewise. */
int audit_batches(PGconn *conn, json_t *findings, struct err *e);

/* Check the ledger against itself, in one snapshot. Appends findings to the arrays of report
 * (made here), and clears *balanced if any of them is a fault. If report has `counted_until`, a
 * time, all that was added before it is counted. `attention` is an object: what waits for a
 * person. Returns 0 or -1 with e. */
int audit_ledger(PGconn *conn, json_t *report, bool *balanced, struct err *e);

/* Prints all findings of audit_ledger as lines, but for `epochs`, which go with the streams. */
void audit_ledger_print(const json_t *report);

#endif
