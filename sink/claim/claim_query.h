/* The statements by which a page of claims begins. */
#ifndef METERLINE_SINK_CLAIM_QUERY_H
#define METERLINE_SINK_CLAIM_QUERY_H

#include "common/pg/pg.h"
#include "common/pg/pg_array.h"
#include "sink/claim/claim_cursor.h"

/* What is claimed, in this order. */
enum claim_pass {
    CLAIM_CARRIED, /* late ones that a person had carried over: one of each tenant and metric */
    CLAIM_DIRTY    /* totals that are newer than their claims */
};

enum { LOCK_STATEMENTS = 3, READ_STATEMENTS = 2 };

struct claim_lock {
    const char *run; /* the name of its lock, or NULL */
    int half;        /* see claim_order */
    bool all;        /* not just some tenants are read */
    unsigned char number[8];
};
/* BEGIN, lock_claims.sql and read_terms.sql, whose rows are the last two results. A parameter lives
 * in lock until pg_run.
 */
int claim_query_lock(struct pg_statement out[LOCK_STATEMENTS], struct claim_lock *lock);

/* One page. Its parameters live in here until pg_run. */
struct claim_query {
    enum claim_pass pass;
    const struct claim_cursor *after; /* where the page before ended */
    int64_t rows;                     /* at most */
    struct pg_array *tenants;         /* PG_TEXT; NULL: all */
    int half;                         /* see claim_order */
    int64_t hold;                     /* only tenants that this one was lifted for; 0: all */
    struct pg_array transports;
    unsigned char start[8];
    unsigned char limit[8];
    unsigned char number[8];
    unsigned char held[8];
};

/* Rows are in the last result, binary. Returns how many statements. */
int claim_query_page(struct claim_query *r, struct pg_statement out[READ_STATEMENTS]);
void claim_query_done(struct claim_query *r);

#endif
