/* The jobs beside the counting, on a connection of their own: writing and repairing the quota
 * cache, making partitions ahead of time, opening periods of carried metrics, and retention. */
#ifndef METERLINE_MAINTENANCE_H
#define METERLINE_MAINTENANCE_H

#include "aggregator/ledger/ledger.h"
#include "aggregator/maintenance/quota.h"
#include "aggregator/maintenance/retention.h"
#include "common/closing.h"
#include "common/pg/pg.h"
#include "common/redis/redis.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct maintenance {
    struct pg *pg;
    struct redis_router *redis; /* borrowed: for the quota cache */
    struct quota quota;
    struct retention retention;
    bool retains; /* retention is applied, daily */
    uv_timer_t tick;
    bool working;              /* the schema is right; jobs run */
    bool stopped;              /* for good */
    int64_t partitions_due_ms; /* monotonic */
    int64_t carry_due_ms;
    int64_t changes_due_ms;
    int64_t heal_due_ms;
    bool (*has_stream)(void *owner); /* this process counts: jobs are its own to do */
    bool (*is_behind)(void *owner);  /* entries that wait may need what retention would drop */
    void (*on_idle)(void *owner);    /* nothing is to be done, and pg is free; or NULL */
    void *owner;
};

void maintenance_open(struct maintenance *m, uv_loop_t *loop, const char *database_url,
                      const unsigned char key[16], bool (*has_stream)(void *owner), void *owner);
/* The next step at once, if there is one and the connection is free. */
void maintenance_poke(void *maintenance);
/* Its gauges, before they are read. */
void maintenance_scrape(struct maintenance *m);
/* No further step: what it works for is being closed. */
void maintenance_stop(struct maintenance *m);
/* Closes all that it has, as parts of closing; maintenance_done frees the rest when they are. */
void maintenance_close(struct maintenance *m, struct closing *closing);
void maintenance_done(struct maintenance *m);

#endif
