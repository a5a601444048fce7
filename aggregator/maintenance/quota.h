/* The quota cache: `used` of each metric in the hash quota:{<tenant>}, and `as_of`, the last entry
 * of the tenant's stream that is surely in it: a reservation that was settled by an entry up to
 * there is over (webhookd/limits/quota.lua).
 *
 * What a fold changed is written as it changed. Once a minute all usage is gone over, so that a
 * lost cache heals: usage that is known to stand there is passed over as long as Redis' stamp says
 * that no key was lost; else one HMGET looks at a tenant, and only what differs is written. Once in
 * SCRUB_ROUNDS all tenants are looked at, for what no stamp tells.
 *
 * Rows wait in a queue and are written in their order, by a Redis Function that keeps the newer
 * version, so that a process that was paused cannot set usage back, and that leaves the hashes of
 * another ledger alone (common/quota_owner.h). Rows stay until they are written; when there is no
 * room for more, they are forgotten and all is gone over instead. */
#ifndef METERLINE_QUOTA_H
#define METERLINE_QUOTA_H

#include "aggregator/batch/tenants.h"
#include "common/contract.h"
#include "common/digests.h"
#include "common/log.h"
#include "common/pg/pg.h"
#include "common/quota_owner.h"
#include "common/redis/redis_router.h"

#include <stdbool.h>
#include <stdint.h>

enum { QUOTA_COLUMNS = 7, QUOTA_RESULTS_MAX = 64, QUOTA_ROWS_MAX = 400000 };

/* Rows as read_used.sql, fold.sql and fold_left.sql give them; those of a tenant stand together. */
struct quota_rows {
    PGresult *result;  /* owned */
    int64_t oldest_ms; /* entry time of the oldest event in them; 0: healing */
    bool unsure;       /* look at the cache, whatever is known to stand there */
};

struct quota {
    struct pg *pg;                              /* borrowed; used only inside quota_run */
    struct redis_router *redis;                 /* borrowed */
    struct quota_rows queue[QUOTA_RESULTS_MAX]; /* to be written, oldest first */
    int queue_count;
    int64_t queued_rows;  /* in all of them */
    int next;             /* of the first one: the next page's first row */
    int page_end;         /* … and one past the page in flight */
    struct tenants noted; /* to be read */
    bool noted_unsure;    /* … and looked at in the cache in any case */
    int64_t shards;       /* how many there are; the owner's to set */
    int replies_left;
    void (*page_done)(struct quota *q);
    bool failed;      /* a write of the page in flight did */
    int failures;     /* pages in a row */
    int64_t retry_ms; /* after a failure: not before this monotonic time */
    bool busy;
    void (*done)(void *owner); /* of quota_run */
    void *owner;
    char ledger[LEDGER_NAME_SIZE];         /* whose hashes are written; "": not known yet */
    struct log_repeat foreign;             /* hashes of another ledger, which are left alone */
    struct log_repeat refused;             /* writes that Redis refuses, such as while it is full */
    char heal_after[TENANT_MAX_BYTES + 1]; /* the last tenant of the healing page before */
    bool healing;                          /* pages are left to be noted */
    bool stamping;                         /* Redis is to be asked first */
    bool anew;                             /* … from the first tenant on, after this page */
    bool ending;                           /* all are noted: it ends with the last one written */
    bool complete;                         /* so far: nothing of it was forgotten */
    int64_t round_ended_ms;                /* the last one; monotonic */
    int rounds;                            /* since one that looked at all tenants */
    uint64_t stamp;       /* of Redis, before the last round that was complete; 0: none */
    uint64_t round_stamp; /* … before this one */
    struct digests known; /* usage that stands in the cache, as we wrote or saw it */
};

void quota_init(struct quota *q, const unsigned char key[16]);
void quota_done(struct quota *q);

/* Whose the hashes are: needed before the first write. */
void quota_set_ledger(struct quota *q, const char *id, int32_t takeovers);
/* Totals that a fold changed; takes rows. oldest_ms: the entry time of the first event in them. */
void quota_take(struct quota *q, PGresult *rows, int64_t oldest_ms);
/* The tenants in the first column: their totals changed in another way; read and write them. */
void quota_note_rows(struct quota *q, const PGresult *rows);
/* The same, and what stands in the cache is looked at in any case. */
void quota_note_unsure(struct quota *q, const PGresult *rows);
/* Begin to note all tenants, page by page, unless that is going on. */
void quota_heal(struct quota *q);
/* Begin at the first one in any case: the cache was lost. */
void quota_heal_anew(struct quota *q);

/* Is there something to write or to heal? */
bool quota_has_work(const struct quota *q);
/* What was counted is not yet in the cache, and not given up. */
bool quota_is_writing(const struct quota *q);
/* Its gauges, before they are read. writes: this process counts, so that the cache is its own to
 * write. */
void quota_scrape(const struct quota *q, bool writes);
/* One step: needs pg ready and redis up; done runs when the connection is free again. */
void quota_run(struct quota *q, struct pg *pg, struct redis_router *redis,
               void (*done)(void *owner), void *owner);
/* Redis is up (again): give it our function. */
void quota_load_function(struct redis *redis);

/* quota_page.c, for quota.c: write the next page of the first rows in the queue. Then failed and
 * page_end say how far it came. */
void quota_page_run(struct quota *q, void (*done)(struct quota *q));

#endif
