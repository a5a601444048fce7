/* The aggregator: one process, and a shard for each stream that it works on: who owns it, what is
 * read, what is written. A shard's machine:
 *
 *      OFFLINE ---> LEASING ---> OPENING ---> LOADING ---> RUNNING
 *         ^            |            |            |            |
 *         +------------+------------+------------+------------+      then RELEASING -> ENDED
 *
 * OFFLINE: a peer is away, or a step failed. LEASING: asking for the stream's lease until it is
 * ours. OPENING: is the history intact? LOADING: catalog and deduplication table. RUNNING: feed.h
 * reads ahead and work.h commits batches, side by side. Whatever fails goes back to OFFLINE,
 * forgets what was in flight and reads the position again; that is always safe, because entries
 * leave the stream only after they are in the ledger. */
#ifndef METERLINE_AGGREGATOR_H
#define METERLINE_AGGREGATOR_H

#include "aggregator/batch.h"
#include "aggregator/config.h"
#include "aggregator/dedupe.h"
#include "aggregator/feed.h"
#include "aggregator/history.h"
#include "aggregator/ledger.h"
#include "aggregator/members.h"
#include "aggregator/strays.h"
#include "aggregator/unfolded.h"
#include "aggregator/upkeep.h"
#include "common/backoff.h"
#include "common/lease_owner.h"
#include "common/log.h"
#include "common/stage.h"

enum { STREAM_NAME_SIZE = 32, RETIRED = -1 };

enum shard_state {
    SHARD_OFFLINE,
    SHARD_LEASING,
    SHARD_OPENING,
    SHARD_LOADING,
    SHARD_RUNNING,
    SHARD_RELEASING,
    SHARD_ENDED
};

/* One batch on its way; see work.c. */
enum work_state { WORK_IDLE, WORK_JUDGING, WORK_WRITING, WORK_FOLDING };

struct work {
    enum work_state state;
    const struct entries *entries; /* taken from the feed */
    uint32_t from;                 /* of entries: all before are committed */
    uint32_t to;                   /* of entries: the batch on its way ends here */
    uint32_t size_max;             /* halved when PostgreSQL refuses a batch */
    char refusal[160];             /* why the one entry of this batch is rejected unseen, or "" */
    bool batch_open;               /* the dedupe table has it pending */
    bool kept;                     /* its sums are in memory alone */
    bool spills;                   /* it writes those in memory and its own, and folds none */
    int64_t write_started_us;
};

/* What a trimming had to do. */
struct trim_seen {
    struct entry_id last; /* the position's entry … */
    uint64_t accounted;   /* … and its base + processed + lost */
    bool all;             /* everything committed was trimmed: what is left waits */
};

/* One stream: its machine, its connections, what it knows and what is on its way. */
struct shard {
    struct aggregator *process;
    char stream[STREAM_NAME_SIZE];
    char *label;            /* of its metrics; owned */
    char *queue_label;      /* of the age of what waits in it; owned */
    int number;             /* of the shards, from 0; RETIRED: of a number that is not in force */
    struct pg *pg;          /* the ledger's */
    struct redis *commands; /* both go where the stream is, in a cluster too */
    struct redis *reading;
    bool schema_ok;
    struct ledger ledger;
    struct feed feed;
    struct dedupe *dedupe;
    int64_t table_batches;      /* position.batches that the dedupe table reflects; -1: none */
    int64_t table_reading_ms;   /* the latest entry that its window was measured from */
    int64_t table_resharded_ms; /* likewise, when the number of shards had last changed */
    struct batch batches[2];
    struct batch *batch; /* of batches: the one on its way */
    struct batch *ahead; /* the other: entries that come in are parsed into it; see work_ahead.c */
    int64_t ahead_version; /* of the catalog that ahead was parsed by */
    struct work work;
    struct unfolded unfolded; /* committed, but not yet in minute rows and totals */
    enum shard_state state;
    int64_t running_since_ms; /* monotonic */
    uint64_t generation; /* rises with every way to OFFLINE: answers of before are for nobody */
    uv_timer_t retry;
    struct backoff backoff;
    struct log_repeat in_future;           /* a stream whose newest id is */
    struct trim_seen trim_seen;            /* what the last trim saw … */
    uint64_t trim_seen_generation;         /* … in this life of the machine */
    struct log_repeat unbalanced;          /* entries that are unaccounted for */
    struct judgement found;                /* of the history, when last opened */
    const char *unfit;                     /* why Redis must not be used, since it was opened … */
    struct log_repeat unfit_told;          /* … and that was told */
    int64_t durable_due_ms;                /* monotonic: when that is looked at again */
    struct log_repeat refused;             /* a Redis that is not fit, a replica, a failing step */
    struct log_repeat foreign;             /* the stream is another ledger's … */
    char foreign_ledger[EPOCH_TOKEN_SIZE]; /* … which has this id; or "" */
    bool ending;                 /* a retired stream: nothing is read, its key is being deleted */
    bool sums_left;              /* of batches of a life before: they may be pending */
    bool leaving;                /* it is to end, and another process may have the stream */
    bool renewed;                /* the heartbeat that is out keeps its lease, … */
    uint64_t renewed_generation; /* … for this life of the machine, … */
    int64_t renewed_batches;     /* … in which so many were committed: not fewer may be found */
    int64_t lease_asked_ms;      /* monotonic; --once gives up after a while */
    bool finished;               /* --once: nothing is left to do */
    bool closing;
    void (*closed)(void *process);
    int references; /* its handles, and what waits for an answer on a connection of the process */
};

/* The process: what its shards share. */
struct aggregator {
    struct stage *stage;
    struct config *config;
    unsigned char key[16];        /* of every hash in this process */
    char owner[LEASE_OWNER_SIZE]; /* who it is, in stream_positions */
    struct redis_router *cache;   /* for keys anywhere: the quota cache, strays */
    struct members members;
    struct upkeep upkeep;
    int64_t stream_shards; /* how many there are; 0: not known yet */
    struct shard **shards; /* those that this process works on */
    int shards_count;
    bool all_taken; /* --once: every stream has its shard */
    struct strays strays;
    bool oldest;            /* of those that run: it looks after what is nobody's */
    int64_t retired_due_ms; /* monotonic */
    bool settling;          /* --once: all streams are drained; are there strays? */
    bool waiting_logged;
    bool volatile_warned;
    bool entered;     /* some stream was found to be this ledger's, or nobody's */
    uv_timer_t poll;  /* of the gauges */
    int exit_code;    /* --once: of the shards so far */
    int open_handles; /* shards and what they share, until all is closed */
    bool closing;
};

extern const struct stage_spec AGGREGATOR_STAGE;

/* aggregator.c */
/* Work on one more stream. Returns 0, or -1 with e. */
int aggregator_add_shard(struct aggregator *a, const char *stream, int number, struct err *e);
/* A shard has nothing in flight any more and has given its lease back: it is closed, and gone. */
void aggregator_shard_ended(struct shard *s);
/* --once: a shard's stream is read to its end and counted, or cannot be had (EXIT_FAILED). */
void aggregator_shard_finished(struct shard *s, int exit_code);
/* Strays were added to their own streams; none are left. */
void aggregator_strays_moved(struct aggregator *a);
void aggregator_no_strays(struct aggregator *a);
/* The stream is this ledger's, and so is what this process writes into Redis from now on. */
void aggregator_entered(struct shard *s);
/* Something that draining waits for has happened. */
void aggregator_may_end(struct aggregator *a);

/* spread.c */
/* The streams whose leases a heartbeat is to keep; it is remembered which they were. */
void spread_list_owned(struct aggregator *a, struct pg_array *streams, struct pg_array *windows_s);
/* A heartbeat kept that lease, and found so many batches: with fewer than we know of, the ledger
 * went back in time behind a pooler that kept the connection. */
void spread_take_renewed(struct aggregator *a, const char *stream, int64_t batches);
/* The streams that are to be counted. */
void spread_list_current(struct aggregator *a, struct pg_array *streams);
void spread_name_stream(int64_t number, int64_t shards, char out[STREAM_NAME_SIZE]);
/* A stream of a number of shards that is not in force any more is there, or has sums left. */
void spread_take_retired(struct aggregator *a, const char *stream);
/* The database has another number of shards than this process: then true. It ends, if the number is
 * its setting's; else the next heartbeat follows. */
bool spread_has_moved(struct aggregator *a, int64_t shards);
/* Act on what a heartbeat found. may_work: it told the others that this process can. */
void spread_take(struct aggregator *a, const struct beat *beat, bool may_work);

/* shard_open.c */
/* Returns NULL with e for a URL that cannot be used. */
struct shard *shard_open(struct aggregator *process, const char *stream, int number, struct err *e);
/* Ends at once, whatever is in flight. Afterwards closed runs from the loop, with the process; the
 * shard is freed then. */
void shard_close(struct shard *s, void (*closed)(void *process));
/* While a command is out on the process' connection, its shard is not freed. */
struct shard *shard_ref(struct shard *s);
void shard_unref(struct shard *s);
void shard_ask_schema(struct shard *s);

/* shard.c */
void shard_try(struct shard *s);
/* Forget what is in flight and start again, after a backoff if delay. */
void shard_restart(struct shard *s, bool delay);
void shard_fail(struct shard *s, const char *step, const struct err *error);
/* Finish the batch that is being written, forget the rest, give the lease back, and end. */
void shard_leave(struct shard *s);
/* It is to end, by itself or with the process: no new work. */
bool shard_is_leaving(const struct shard *s);
/* A step towards that end. */
void shard_drain(struct shard *s);
/* The machine's answers call this first: true if the answer is of a life before. */
bool shard_is_stale(struct shard *s, enum shard_state expected);
void shard_on_retry(uv_timer_t *timer);
void shard_on_lease_lost(void *owner);
void shard_on_redis_down(struct shard *s);
bool shard_has_redis(const struct shard *s);

/* opening.c */
void opening_run(struct shard *s);
void opening_done(struct shard *s); /* calls back into shard.c: history is settled */

/* durable.c */
/* NULL, or why this Redis must not be used: static. */
const char *durable_why_not(const struct shard *s, const struct history *h);
/* That is so by now. */
void durable_take(struct shard *s, const char *unfit);
void durable_poll(struct shard *s);

/* retired.c */
void retired_look(struct aggregator *a, const struct known_stream *streams, int count);
/* Delete a retired stream's key if all that it ever had is counted, and end its epoch. */
void retired_end(struct shard *s);
/* The same, if it has rested for a while. */
void retired_poll(struct shard *s);

/* work.c */
void work_start(struct shard *s);
void work_forget(struct shard *s);
/* Fold what a backlog left, if something is: true, and shard_drain or work_start follows. */
bool work_fold_rest(struct shard *s);
void work_take_totals(void *owner, PGresult *rows);

/* work_window.c */
/* A batch was committed: keys leave, and it is told if memory made some leave before. */
void work_move_window(struct shard *s);

/* work_ahead.c */
/* Parse what has come in since, while PostgreSQL is busy with the batch before. */
void work_parse_ahead(struct shard *s);
/* The same for the first of these entries, all of whose fields are there. */
void work_parse_whole(struct shard *s, const struct entries *entries, uint32_t to);
/* The batch on its way is entries[from … to - 1]: as parsed ahead, or now. */
void work_parse(struct shard *s);

/* trim.c: after a commit. */
void trim_run(struct shard *s);

/* gauges.c */
void gauges_count_batch(const struct shard *s, int64_t commit_us);
void gauges_take_stream(struct shard *s, const struct history *h, const struct trim_seen *seen);
void gauges_scrape(struct shard *s);
/* How long ago events of each metric of the catalog were counted. */
void gauges_scrape_metrics(const struct catalog *c);
/* Forget what gauges remember (shutdown). */
void gauges_done(void);
/* Look at the stream's length, whoever owns the stream: lag must show when nothing is committed. */
void gauges_poll(struct shard *s);

#endif
