/* Who runs, and who has which stream: a heartbeat twice a second, on a connection of its own, so
 * that no job and no batch makes it late. It keeps the leases of this process' streams, tells the
 * others that it runs, and learns what there is to take or to hand over: see spread.c. */
#ifndef METERLINE_MEMBERS_H
#define METERLINE_MEMBERS_H

#include "common/log.h"
#include "common/pg.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct aggregator;

/* A stream that has a position in the ledger. */
struct known_stream {
    const char *name; /* borrowed */
    bool mine;        /* its lease has this process' name */
    bool free;        /* nobody's, or its lease has ended */
    bool retired;     /* of a number of shards that is not in force any more */
    bool unfolded;    /* and left with sums that are not in minute rows and totals yet */
};

struct beat {
    int64_t shards;  /* as the database has it */
    int64_t running; /* processes that run and can work */
    int64_t older;   /* of them, those that joined before this one */
    const struct known_stream *streams;
    int streams_count;
};

struct members {
    struct aggregator *process;
    struct pg *pg;
    bool schema_ok;
    uv_timer_t tick;
    bool beating;   /* a heartbeat is out */
    bool may_work;  /* it said that this process can work */
    bool leaving;   /* no heartbeat any more, … */
    bool has_left;  /* … and the others know it, or will see */
    int64_t due_ms; /* monotonic; of the next heartbeat */
    struct log_repeat waiting;
};

void members_open(struct members *m, struct aggregator *process);
/* A heartbeat at once, if the connection is free. */
void members_poke(struct members *m);
/* Take nothing any more, and tell the others; aggregator_may_end is called when that is done. */
void members_leave(struct members *m);
void members_close(struct members *m, void (*closed)(void *owner), void *owner);

#endif
