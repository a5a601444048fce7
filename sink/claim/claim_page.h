/* One page of totals to claim: rows are read from a result, decided by claim_rule, and become the
 * arrays of the statements that write them. No I/O. */
#ifndef METERLINE_SINK_CLAIM_PAGE_H
#define METERLINE_SINK_CLAIM_PAGE_H

#include "common/pg/pg.h"
#include "common/pg/pg_array.h"
#include "sink/claim/claim_query.h"
#include "sink/claim/claim_rule.h"

enum { SUBMISSION_COLUMNS = 14, CLAIM_COLUMNS = 9, CARRY_COLUMNS = 6, CLAIM_STATEMENTS = 4 };

/* As read from the database together with the lock. */
struct claim_time {
    int64_t now_ms; /* its clock, which all sinks share */
    int64_t era;    /* of identifiers */
};

struct claim_page {
    struct pg_array replaced;                        /* as void_replaced.sql wants them */
    struct pg_array submissions[SUBMISSION_COLUMNS]; /* as insert_submissions.sql … */
    struct pg_array claims[CLAIM_COLUMNS];           /* as upsert_claims.sql … */
    struct pg_array carries[CARRY_COLUMNS];          /* as note_carried.sql … */
    int64_t counts[CLAIM_TOO_LARGE + 1];             /* rows, by decision */
    int64_t late;                                    /* of those made */
    int64_t held;                                    /* … */
    int64_t carried;                                 /* … */
    int64_t split;                                   /* totals of which parts are left */
    int64_t refused;                                 /* unreadable, or too large; logged */
};

void claim_page_init(struct claim_page *p);
void claim_page_clear(struct claim_page *p);
void claim_page_done(struct claim_page *p);

/* Decide every row of the binary result of read_dirty.sql or read_carried.sql. */
void claim_page_fill(struct claim_page *p, const PGresult *rows, struct claim_time at);

/* The key of a row of that result. */
struct claim_key claim_page_key(const PGresult *rows, int row);

/* The statements that write it; returns how many. p must live until they were run. */
int claim_page_statements(struct claim_page *p, struct pg_statement out[CLAIM_STATEMENTS]);

#endif
