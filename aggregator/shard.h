/* One stream of those that this process works on: who owns it, what is read, what is written:
 *
 *      OFFLINE ---> LEASING ---> OPENING ---> LOADING ---> RUNNING
 *         ^            |            |            |            |
 *         +------------+------------+------------+------------+      then RELEASING -> ENDED
 *
 * OFFLINE: a peer is away, or a step failed. LEASING: asking for the stream's lease until it is
 * ours. OPENING: is the history intact? LOADING: catalog and deduplication table. RUNNING: feed.h
 * reads ahead and work.c commits batches, side by side. Whatever fails goes back to OFFLINE,
 * forgets what was in flight and reads the position again; that is always safe, because entries
 * leave the stream only after they are in the ledger. */
#ifndef METERLINE_SHARD_H
#define METERLINE_SHARD_H

#include "aggregator/batch.h"
#include "aggregator/config.h"
#include "aggregator/dedupe.h"
#include "aggregator/feed.h"
#include "aggregator/history.h"
#include "aggregator/ledger.h"
#include "aggregator/stream_name.h"
#include "aggregator/unfolded.h"
#include "common/backoff.h"
#include "common/log.h"

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

struct shard;

/* What a shard tells the process that it is part of. */
struct shard_events {
    /* Its lease was taken: others should see. */
    void (*lease_taken)(void *owner);
    /* The stream is this ledger's, and so is what the process writes into Redis from now on. */
    void (*entered)(void *owner, struct shard *s);
    /* The database has another number of shards than the process goes by. */
    void (*number_moved)(void *owner, int64_t shards);
    /* Totals that a fold changed, rows of fold.sql, which are the taker's own. from_ms: the entry
     * time of the first event in them. */
    void (*totals)(void *owner, PGresult *rows, int64_t from_ms);
    void (*committed)(void *owner);
    /* --once: the stream is read to its end and counted, or cannot be had (EXIT_FAILED). */
    void (*finished)(void *owner, struct shard *s, int exit_code);
    /* The process was started with something that it cannot work with. */
    void (*refused)(void *owner, int exit_code);
    /* It has nothing in flight any more and has given its lease back: to be closed. */
    void (*ended)(void *owner, struct shard *s);
    void *owner;
};

/* What the shards of a process tell of together. */
struct shards_told {
    bool entered;  /* some stream was found to be this ledger's, or nobody's; the owner's to set */
    bool weakness; /* of Redis' durability */
};

/* What a shard is made of; the pointers live as long as the process. */
struct shard_spec {
    uv_loop_t *loop;
    const struct config *config;
    const unsigned char *key; /* 16 bytes, of every hash in this process */
    const char *process;      /* its name, in stream_positions */
    int64_t shards;           /* how many there are */
    struct shards_told *told;
    struct shard_events events;
};

/* One stream: its machine, its connections, what it knows and what is on its way. */
struct shard {
    struct shard_spec spec;
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
    void (*closed)(void *owner);
    int references; /* its handles, and what waits for an answer on a connection of the process */
};

/* shard_open.c */
/* Returns NULL with e for a URL that cannot be used. */
struct shard *shard_open(const struct shard_spec *spec, const char *stream, int number,
                         struct err *e);
/* Ends at once, whatever is in flight. Afterwards closed runs from the loop, with the events'
 * owner; the shard is freed then. */
void shard_close(struct shard *s, void (*closed)(void *owner));
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
/* Its lease is ours as far as we know, and the heartbeat that is out was to keep it. */
bool shard_is_renewed(const struct shard *s);
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
