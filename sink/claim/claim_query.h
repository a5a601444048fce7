/* The statements that a run of claims reads with, and the cursor that says where its next page
 * begins. */
#ifndef METERLINE_SINK_CLAIM_QUERY_H
#define METERLINE_SINK_CLAIM_QUERY_H

#include "common/pg/pg.h"
#include "common/pg/pg_array.h"

#include <stdbool.h>
#include <stdint.h>

/* The key of a total. Texts are borrowed. */
struct claim_key {
    const char *tenant;
    const char *metric;
    int64_t period_start_us; /* PostgreSQL's own microseconds, so that nothing is rounded */
};

/* A key of its own, which outlives the result that it was read from. Zero-initialise. */
struct claim_cursor {
    char *tenant;
    char *metric;
    int64_t period_start_us;
};

/* Before all totals. */
void claim_cursor_reset(struct claim_cursor *c);
void claim_cursor_set(struct claim_cursor *c, const struct claim_key *key); /* key may be c's own */
struct claim_key claim_cursor_key(const struct claim_cursor *c);
void claim_cursor_done(struct claim_cursor *c);

/* What is claimed, in this order. */
enum claim_pass {
    CLAIM_CARRIED, /* late ones that a person had carried over: one of each tenant and metric */
    CLAIM_DIRTY    /* totals that are newer than their claims */
};

enum { LOCK_STATEMENTS = 3, PAGE_STATEMENTS = 2 };

struct claim_lock {
    const char *run; /* the name of its lock, or NULL */
    int half;        /* see claim_order */
    bool all;        /* not just some tenants are read */
    unsigned char number[8];
};

/* BEGIN, lock_claims.sql and read_terms.sql, whose rows are the last two results. A parameter lives
 * in lock until pg_run. */
int claim_query_lock(struct pg_statement out[LOCK_STATEMENTS], struct claim_lock *lock);

/* One page. Its parameters live in here until pg_run. */
struct claim_query {
    enum claim_pass pass;
    const struct claim_cursor *after; /* where the page before ended */
    int64_t rows;                     /* at most */
    struct pg_array *tenants;         /* PG_TEXT; NULL: all */
    int half;                         /* see claim_order */
    int64_t hold;                     /* only tenants that this hold was lifted for; 0: all */
    struct pg_array transports;
    unsigned char numbers[4][8];
};

/* The rows are in the last result, binary. Returns how many statements. */
int claim_query_page(struct claim_query *q, struct pg_statement out[PAGE_STATEMENTS]);
void claim_query_done(struct claim_query *q);

#endif
