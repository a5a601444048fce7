/* What the two halves of reconcile_doubt.h share: reading (reconcile_doubt.c) and settling. */
#ifndef METERLINE_RECONCILE_DOUBT_INTERNAL_H
#define METERLINE_RECONCILE_DOUBT_INTERNAL_H

#include "common/reconcile_doubt.h"

enum { DOUBT_WHY_SIZE = 192 };

/* Columns of reconcile_doubts.sql. */
enum doubt_column {
    DOUBT_IDENTIFIER,
    DOUBT_CUSTOMER,
    DOUBT_EVENT_NAME,
    DOUBT_ITEM,
    DOUBT_NEWEST,
    DOUBT_START_S,
    DOUBT_END_S,
    DOUBT_QUANTITY,
    DOUBT_READ_BEFORE,
    DOUBT_FIRST,
    DOUBT_RECORDS_SENT,
    DOUBT_RECORDS_DOUBTFUL,
    DOUBT_RECORDS_MOVING,
    DOUBT_KNOWN,
    DOUBT_STATE
};

struct doubts {
    struct stripe_usage *usage;
    struct doubts_events events;
    struct pg *pg;
    bool running;
    struct doubts_ask ask;
    struct doubts_report report;
    PGresult *page;
    int row;
    struct usage_place place; /* of this one; its texts are the page's */
    struct held held;
    const char *state; /* the new one; static */
    char why[DOUBT_WHY_SIZE];
};

/* This one's text of a doubt_column; NULL for SQL NULL. */
const char *doubts_text(const struct doubts *d, int column);

/* The steps end in one of these; both may call done. */
void doubts_run(struct doubts *d, const struct pg_statement *s, int n, pg_done_fn done);
void doubts_end(struct doubts *d, const struct err *error);
void doubts_next(struct doubts *d);

/* What becomes of this one, now that held is read and nothing changed meanwhile. */
void doubts_settle(struct doubts *d);

#endif
