/* Is the history intact? What Redis still has, compared with the position in PostgreSQL.
 *
 * The group `aggregator` stands where we last said that we were; it lives in Redis, the position in
 * PostgreSQL. Where the two disagree, one of them lost something. */
#ifndef METERLINE_HISTORY_H
#define METERLINE_HISTORY_H

#include "aggregator/entry_id.h"
#include "common/err.h"
#include "common/redis.h"

#include <stdbool.h>
#include <stdint.h>

/* What Redis answered. */
struct history {
    bool is_master;
    bool stream_exists;
    uint64_t length;       /* entries in the stream */
    uint64_t added;        /* entries-added: ever */
    struct entry_id first; /* of the stream, if it has entries */
    bool group_exists;
    struct entry_id group; /* its last delivered id */
    bool last_exists;      /* the entry of our position is still there */
    bool config_known;     /* CONFIG GET was allowed */
    bool evicts;           /* maxmemory-policy is not noeviction */
    bool append_only;
    bool fsync_always;
};

enum verdict {
    HISTORY_INTACT,
    HISTORY_NEW,           /* nothing of this stream was ever counted */
    HISTORY_REDIS_LOST,    /* open a new epoch */
    HISTORY_LEDGER_BEHIND, /* PostgreSQL lost commits */
};

struct judgement {
    enum verdict verdict;
    uint64_t base;   /* NEW, REDIS_LOST: what entries-added was before the first entry there is */
    int64_t missing; /* LEDGER_BEHIND: entries that are gone and were not booked yet */
};

/* accounted: base + processed + lost of the position; counted_before: batches were committed. Pure.
 */
struct judgement history_judge(const struct history *h, struct entry_id last, uint64_t accounted,
                               bool counted_before);

/* Ask Redis. done exactly once; history is borrowed, NULL with an error. */
typedef void (*history_done_fn)(void *owner, const struct err *error, const struct history *h);
void history_read(struct redis *r, const char *stream, const char *last_id, history_done_fn done,
                  void *owner);

/* The error of XINFO on a key that is not there. */
bool history_is_no_stream(const struct err *error);
/* XINFO GROUPS' reply: group_exists and group, if it is there. */
void history_take_groups(struct history *h, const redisReply *reply);
/* XINFO STREAM's reply: length, entries-added and first. Returns 0, or -1 for another shape. */
int history_take_stream(struct history *h, const redisReply *reply);

#endif
