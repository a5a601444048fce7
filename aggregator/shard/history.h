/* Is the history intact? What Redis still has, compared with the position in PostgreSQL.
 *
 * The group `aggregator` stands where we last moved it, and a mark in it names the epoch
 * (common/redis/epoch_mark.h). Both are in Redis with the entries; the position is in PostgreSQL.
 * Where they disagree, one of the two lost something:
 *
 *   mark of       group                    verdict
 *   this epoch    past the position        PostgreSQL lost commits: LEDGER_BEHIND
 *                 at it, or what lies      INTACT; unless fewer entries were added than we saw
 *                 between is accounted for
 *                 else                     Redis lost entries: REDIS_LOST
 *   an earlier    any                      Redis went back to before this epoch: REDIS_LOST
 *   a later       any                      PostgreSQL to before that one: LEDGER_LOST_EPOCH
 *   a reset's     any                      it was cut short: RESET_CUT
 *   another       any                      the stream of another ledger, which is not touched:
 *   ledger                                 FOREIGN
 *   none          any                      one that somebody dropped the group of, if the counts
 *                                          agree: INTACT; else one that is new, or made anew */
#ifndef METERLINE_HISTORY_H
#define METERLINE_HISTORY_H

#include "aggregator/stream/entry_id.h"
#include "common/err.h"
#include "common/redis/epoch_mark.h"
#include "common/redis/redis.h"

#include <stdbool.h>
#include <stdint.h>

/* What Redis answered. */
struct history {
    bool is_master;
    bool stream_exists;
    uint64_t length;        /* entries in the stream */
    uint64_t added;         /* entries-added: ever */
    struct entry_id first;  /* of the stream, if it has entries */
    struct entry_id newest; /* id ever given */
    bool group_exists;
    struct entry_id group; /* its last delivered id … */
    bool read_known;
    uint64_t read; /* … and entries-added there, as we once told it */
    bool mark_exists;
    struct epoch_mark mark;
    bool last_exists;  /* the entry of our position is still there */
    uint64_t upto;     /* without a mark: so many entries up to it are, or, of very many, too few */
    bool config_known; /* CONFIG GET was allowed */
    bool evicts;       /* maxmemory-policy is not noeviction */
    bool append_only;
    bool fsync_always;
};

/* Which epoch the stream's mark names. */
enum lineage {
    LINEAGE_NONE,
    LINEAGE_OURS,
    LINEAGE_EARLIER,
    LINEAGE_LATER,
    LINEAGE_RESET,
    LINEAGE_FOREIGN
};

/* What the ledger says. */
struct standing {
    enum lineage lineage;
    struct entry_id last; /* of the position */
    uint64_t base;
    uint64_t accounted;            /* base + processed + lost: entries-added of last */
    uint64_t added_seen;           /* entries-added when last looked at */
    bool counted_before;           /* batches were committed, in any epoch */
    struct entry_id repeats_until; /* entries up to here may be ones that an epoch before counted */
    const char *token;             /* of the epoch */
    bool marked_known;             /* this process saw the mark, when the position was … */
    struct entry_id marked_last;   /* … here */
    uint64_t marked_accounted;     /* … and that accounted for */
};

enum verdict {
    HISTORY_INTACT,
    HISTORY_NEW,               /* nothing of this stream was ever counted */
    HISTORY_REDIS_LOST,        /* open a new epoch */
    HISTORY_LEDGER_BEHIND,     /* PostgreSQL lost commits of this epoch */
    HISTORY_LEDGER_LOST_EPOCH, /* PostgreSQL lost them, and that a new epoch had begun */
    HISTORY_RESET_CUT,         /* finish what `meterctl stream reset` or `adopt` began */
    HISTORY_FOREIGN,           /* leave it to the ledger that its mark names */
};

struct judgement {
    enum verdict verdict;
    uint64_t base;         /* of the epoch to open, or of a new stream */
    struct entry_id start; /* where the epoch to open begins to read */
    int64_t gone;          /* entries of the epoch to end that are lost and not booked */
    int64_t missing;       /* LEDGER_…: entries of the other epoch that are lost, likewise */
    struct entry_id repeats_until; /* of the epoch to open */
};

/* Pure. */
struct judgement history_judge(const struct history *h, const struct standing *s);

/* NULL, or why this Redis must not be used: static. allow_volatile: it may lose entries. Pure. */
const char *history_durability_fault(const struct history *h, bool allow_volatile);

/* Ask Redis. stream: borrowed until done, which runs exactly once; history is borrowed, NULL with
 * an error. */
typedef void (*history_done_fn)(void *owner, const struct err *error, const struct history *h);
void history_read(struct redis *r, const char *stream, const char *last_id, history_done_fn done,
                  void *owner);

/* The error of XINFO on a key that is not there, or has no such group. */
bool history_is_no_stream(const struct err *error);
bool history_is_no_group(const struct err *error);
/* XINFO CONSUMERS' reply has one of that name. */
bool history_has_consumer(const redisReply *consumers, const char *name);
/* XINFO STREAM's reply: length, entries-added, first and newest. Returns 0, or -1 for another
 * shape. */
int history_take_stream(struct history *h, const redisReply *reply);

/* HISTORY_CONFIG's reply: config_known and what follows it. */
#define HISTORY_CONFIG "CONFIG GET maxmemory-policy appendonly appendfsync"
void history_take_config(struct history *h, const redisReply *reply);

#endif
