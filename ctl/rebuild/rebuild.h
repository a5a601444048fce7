/* Minute rows and totals once more from the raw events. */
#ifndef METERLINE_CTL_REBUILD_H
#define METERLINE_CTL_REBUILD_H

#include "ctl/db.h"

#include <jansson.h>
#include <stdbool.h>

struct rebuild {
    PGconn *conn;
    const char *tenant; /* NULL: all */
    const char *from;   /* a time; NULL: from the beginning */
    const char *to;     /* a time; NULL: to the end */
    json_t *pending;    /* an array to fill: batches that wait to be folded, by stream */
    json_t *shown;      /* an array to fill: the first hundred differences */

    PGresult *range;  /* owned by the caller after rebuild_check, also if it failed */
    const char *low;  /* in range: what was checked, from … */
    const char *high; /* … until before; NULL where there is no usage at all */
    const char
        *unchecked;      /* in range: nothing before this time, its raw events were dropped; NULL */
    bool any;            /* there was something to check */
    int64_t minutes;     /* minute rows recomputed */
    int64_t differences; /* of minutes, totals and unique values */
};

/* Fills the results. Returns 0, or -1 with e: it could not be checked. */
int rebuild_check(struct rebuild *r, struct err *e);

/* Totals of metrics that carry their last value over. */
struct rebuild_repair {
    PGconn *conn;
    const char *tenant; /* NULL: all */
    const char *metric; /* NULL: all */
    bool yes;           /* else it only tells */
    json_t *changed;    /* an array to fill: totals, as they were and are */
};

/* Returns 0, or -1 with e: what is in changed was done all the same. */
int rebuild_repair(const struct rebuild_repair *r, struct err *e);

/* The same, and tells it: the exit code. */
int rebuild_repair_run(struct rebuild_repair *r, bool json);

#endif
