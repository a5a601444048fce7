/* One page of dirty totals: read from a result, decided by the rule, written as arrays. No I/O. */
#ifndef METERLINE_SINK_CLAIM_BATCH_H
#define METERLINE_SINK_CLAIM_BATCH_H

#include "common/pg.h"
#include "common/pg_array.h"
#include "sink/claim_rule.h"

enum { SUBMISSION_COLUMNS = 12, CLAIM_COLUMNS = 9 };

struct claim_batch {
    struct pg_array submissions[SUBMISSION_COLUMNS]; /* as insert_submissions.sql wants them */
    struct pg_array claims[CLAIM_COLUMNS];           /* as upsert_claims.sql wants them */
    int64_t counts[CLAIM_OUTSIDE + 1];               /* rows, by decision */
    int64_t late;                                    /* of those made */
    int64_t refused;                                 /* unreadable; logged */
};

void claim_batch_init(struct claim_batch *b);
void claim_batch_clear(struct claim_batch *b);
void claim_batch_done(struct claim_batch *b);

/* Decide every row of read_dirty.sql's binary result. */
void claim_batch_fill(struct claim_batch *b, const PGresult *rows, int64_t now_ms);

/* The statements that write it, at most two; returns how many. b must live until they were run. */
int claim_batch_statements(struct claim_batch *b, struct pg_statement out[2]);

/* The key of one row, for the next page and for logs. Texts are borrowed from rows. */
struct claim_key {
    const char *tenant;
    const char *metric;
    int64_t period_start_us; /* PostgreSQL's own microseconds, so that nothing is rounded */
};
struct claim_key claim_batch_key(const PGresult *rows, int row);

/* A key of our own, since results go. Zero-initialise. */
struct claim_place {
    char *tenant;
    char *metric;
    int64_t period_start_us;
};
void claim_place_set(struct claim_place *p, const struct claim_key *key); /* key may be p's own */
void claim_place_done(struct claim_place *p);

#endif
