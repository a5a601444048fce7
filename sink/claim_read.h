/* The statements by which a page of claims begins. */
#ifndef METERLINE_SINK_CLAIM_READ_H
#define METERLINE_SINK_CLAIM_READ_H

#include "common/pg.h"
#include "common/pg_array.h"
#include "sink/claim_place.h"

/* What is claimed, in this order. */
enum claim_pass {
    CLAIM_CARRIED, /* late ones that a person had carried over: one of each tenant and metric */
    CLAIM_DIRTY    /* totals that are newer than their claims */
};

enum { LOCK_STATEMENTS = 2, READ_STATEMENTS = 2 };

/* BEGIN and lock_claims.sql, whose row is the last result. run: the name of its lock, or NULL. all:
 * totals of all tenants are read. */
int claim_read_lock(struct pg_statement out[LOCK_STATEMENTS], const char *run, bool all);

/* One page. Its parameters live in here until pg_run. */
struct claim_read {
    enum claim_pass pass;
    const struct claim_place *after; /* where the page before ended */
    int64_t rows;                    /* at most */
    struct pg_array *tenants;        /* PG_TEXT; NULL: all */
    struct pg_array transports;
    unsigned char start[8];
    unsigned char limit[8];
};

/* Rows are in the last result, binary. Returns how many statements. */
int claim_read_page(struct claim_read *r, struct pg_statement out[READ_STATEMENTS]);
void claim_read_done(struct claim_read *r);

#endif
