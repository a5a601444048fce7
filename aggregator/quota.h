/* The quota cache: `used` of each metric in the hash quota:{<tenant>}, after every commit and once
 * a minute for all tenants, so that a lost cache heals.
 *
 * Written by a Redis Function that keeps the newer version, so that a process that was paused
 * cannot set usage back. Failures are a state: tenants stay noted until their usage is written. */
#ifndef METERLINE_QUOTA_H
#define METERLINE_QUOTA_H

#include "aggregator/tally.h"
#include "aggregator/tenants.h"
#include "common/contract.h"
#include "common/pg.h"
#include "common/redis.h"

#include <stdbool.h>
#include <stdint.h>

struct quota {
    struct pg *pg;          /* borrowed; used only inside quota_run */
    struct redis *redis;    /* borrowed */
    struct tenants noted;   /* to be written */
    struct tenants writing; /* being written */
    uint32_t next;          /* of writing: the next page's first */
    uint32_t page_end;      /* of writing: one past the page in flight */
    int64_t noted_ms;       /* entry time of the oldest event noted, 0 when none; and … */
    int64_t writing_ms;     /* … written */
    int replies_left;
    bool failed;      /* a write of the page in flight did */
    int64_t retry_ms; /* after a failure: not before this monotonic time */
    bool busy;
    void (*done)(void *owner); /* of quota_run */
    void *owner;
    char heal_after[TENANT_MAX_BYTES + 1]; /* the last tenant of the healing page before */
    bool healing;
};

void quota_init(struct quota *q, const unsigned char key[16]);
void quota_done(struct quota *q);

/* Redis is up (again): give it our function. */
void quota_load_function(struct redis *redis);

/* Tenants of a committed batch; oldest_ms: the entry time of its first event. */
void quota_note(struct quota *q, const struct tally *tally, int64_t oldest_ms);
/* Begin to note all tenants, page by page. */
void quota_heal(struct quota *q);

/* Is there something to write or to heal? */
bool quota_has_work(const struct quota *q);
/* One step: needs pg ready and redis up; done runs when the connection is free again. */
void quota_run(struct quota *q, struct pg *pg, struct redis *redis, void (*done)(void *owner),
               void *owner);

#endif
