/* Retention: once a day one of the processes drops raw events and rejected entries that are older
 * than they are to be kept, in short transactions.
 *
 * The first process that asks after a day has passed does it; ledger_state tells when that was. A
 * partition that somebody reads cannot be dropped, and is tried again a minute later. What is left
 * undone when the process ends is done a day later. */
#ifndef METERLINE_RETENTION_H
#define METERLINE_RETENTION_H

#include "common/pg/pg.h"

#include <stdbool.h>
#include <stdint.h>

enum { KEEP_TEXT_SIZE = 32 };

enum retention_state { RETENTION_RESTS, RETENTION_LISTS, RETENTION_DAYS, RETENTION_REJECTS };

struct retention {
    enum retention_state state;
    char raw_keep[KEEP_TEXT_SIZE]; /* as intervals */
    char reject_keep[KEEP_TEXT_SIZE];
    int64_t due_ms; /* monotonic: the next step, not before */
    PGresult *days; /* owned: those that may go */
    int next;       /* of them */
    int64_t dropped_days;
    int64_t events; /* of them */
    int64_t rejected;
    void (*done)(void *owner); /* of retention_run */
    void *owner;
};

void retention_init(struct retention *r, int64_t raw_keep_days, int64_t reject_keep_days);
void retention_done(struct retention *r);
bool retention_is_due(const struct retention *r, int64_t now_ms);
/* The next step. Needs pg_is_ready; done runs from the loop. */
void retention_run(struct retention *r, struct pg *pg, void (*done)(void *owner), void *owner);

#endif
