/* The heartbeat among aggregators, twice a second, on a connection of its own so that no batch and
 * no job makes it late. It renews the leases of this process' streams, tells the others that it
 * runs, and learns who runs and who has which stream: see rebalance_plan.h. */
#ifndef METERLINE_MEMBERS_H
#define METERLINE_MEMBERS_H

#include "aggregator/fleet/rebalance_plan.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/pg/pg.h"
#include "common/pg/pg_array.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct members_events {
    /* Fill in whose leases it is to renew, their windows in s, and the streams that are in force.
     * Returns whether this process can work: then the others are told that it runs. */
    bool (*ask)(void *owner, struct pg_array *streams, struct pg_array *windows_s,
                struct pg_array *current);
    /* It renewed that lease, and found so many batches committed. */
    void (*renewed)(void *owner, const char *stream, int64_t batches);
    /* What it found, after all that it renewed. may_work: as ask said. */
    void (*beat)(void *owner, const struct beat *beat, bool may_work);
    /* The schema is one that this program cannot work with; it was logged. */
    void (*refused)(void *owner);
    /* members_leave is done: maybe from inside it. */
    void (*left)(void *owner);
    void *owner;
};

struct members {
    const char *name; /* borrowed: of this process */
    struct members_events events;
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

void members_open(struct members *m, uv_loop_t *loop, const char *database_url, const char *name,
                  struct members_events events);
/* A heartbeat at once, if the connection is free. */
void members_poke(struct members *m);
/* Take nothing any more, and tell the others; `left` is called when that is done. */
void members_leave(struct members *m);
/* Closes all that it has, as parts of closing. */
void members_close(struct members *m, struct closing *closing);

#endif
