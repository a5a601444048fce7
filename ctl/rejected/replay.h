/* A replay of rejected entries: which, and how far it came. */
#ifndef METERLINE_CTL_REPLAY_H
#define METERLINE_CTL_REPLAY_H

#include "common/str.h"
#include "ctl/db.h"
#include "ctl/rejected/rejected.h"
#include "ctl/rejected/replay_entry.h"

#include <hiredis/hiredis.h>

struct replay {
    PGconn *conn;
    redisContext *redis;
    struct rejected_filter filter;
    struct buf ids; /* an array literal; empty: by filter */
    int64_t ids_count;
    bool all, yes, again, dry_run;
    int64_t decimals; /* quantities that would be refused are rounded to them; -1: they are not */
    int64_t shards;
    PGresult *metrics; /* that events may name */
    int64_t now_ms;    /* Redis' clock */
    char newest[24];   /* entries after this one are not looked at */
    int64_t to_send;   /* found by the plan */
    int64_t found;     /* sent or not */
    int64_t rounded;   /* of those to send */
    int64_t sent;      /* acknowledged and noted */
    int64_t skipped[REPLAY_OBSTACLES];
};

/* Read all of them, a page at a time, and count what can be sent and what cannot. */
int replay_plan(struct replay *r, struct err *e);
/* Send them, and note those that Redis acknowledged. Returns 0 or -1 with e; sent tells how far it
 * came. */
int replay_send(struct replay *r, struct err *e);

#endif
