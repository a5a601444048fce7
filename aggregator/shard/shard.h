/* One stream of those that this process works on: who owns it, what is read, what is written.
 *
 *      OFFLINE ---> LEASING ---> OPENING ---> LOADING ---> RUNNING
 *         ^            |            |            |            |
 *         +------------+------------+------------+------------+      then RELEASING -> ENDED
 *
 * OFFLINE: a server is away, or a step failed. LEASING: asking for the stream's lease until it is
 * ours. OPENING: recovery.h, is the history intact? LOADING: loading.h, catalog and deduplication
 * table. RUNNING: stream_reader.h reads ahead and batch_loop.h commits batches, side by side.
 *
 * Whatever fails goes back to OFFLINE, forgets what was in flight and reads the position again.
 * That is always safe, because entries leave the stream only after they are in the ledger. */
#ifndef METERLINE_SHARD_H
#define METERLINE_SHARD_H

#include "aggregator/config.h"
#include "aggregator/ledger/ledger.h"
#include "aggregator/shard/batch_loop.h"
#include "aggregator/shard/loading.h"
#include "aggregator/shard/recovery.h"
#include "aggregator/shard/retire.h"
#include "aggregator/shard/stream_watch.h"
#include "aggregator/stream/stream_name.h"
#include "aggregator/stream/stream_reader.h"
#include "common/backoff.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"

enum shard_state {
    SHARD_OFFLINE,
    SHARD_LEASING,
    SHARD_OPENING,
    SHARD_LOADING,
    SHARD_RUNNING,
    SHARD_RELEASING,
    SHARD_ENDED
};
extern const struct machine SHARD_MACHINE;

struct shard;

/* What a shard tells the process that it is part of. */
struct shard_events {
    /* Its lease was taken: others should see. */
    void (*lease_taken)(void *owner);
    /* The stream is this ledger's, and so is what the process writes into Redis from now on. */
    void (*entered)(void *owner, struct shard *s);
    /* The number of shards in the database has changed. */
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

/* What is known or logged once for all shards of a process. */
struct shards_shared {
    bool entered;  /* a stream was found to be this ledger's, or new; set by the owner */
    bool weakness; /* that Redis' durability is weak was logged */
};

/* What a shard is made of; the pointers live as long as the process. */
struct shard_spec {
    uv_loop_t *loop;
    const struct config *config;
    const unsigned char *key; /* 16 bytes, of every hash in this process */
    const char *process;      /* its name, in stream_positions */
    int64_t shards;           /* how many there are */
    struct shards_shared *shared;
    struct shard_events events;
};

/* One stream: its machine, its connections, and the parts that work on it. */
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
    struct stream_reader reader;
    struct recovery recovery;     /* OPENING */
    struct loading loading;       /* LOADING; it has the deduplication table */
    struct batch_loop batch_loop; /* RUNNING */
    struct retire retire;         /* a retired stream's end */
    struct stream_watch watch;
    enum shard_state state;
    int64_t running_since_ms; /* monotonic */
    uint64_t generation;      /* bumped on each move to OFFLINE; older replies are dropped */
    uv_timer_t retry;
    struct backoff backoff;
    struct log_repeat refused;   /* a Redis that is not fit, a replica, a failing step */
    bool leaving;                /* it is to end, and another process may have the stream */
    bool renewed;                /* the heartbeat that is out keeps its lease, … */
    uint64_t renewed_generation; /* … in this generation, … */
    int64_t renewed_batches;     /* … in which so many were committed: not fewer may be found */
    int64_t lease_asked_ms;      /* monotonic; --once gives up after a while */
    bool finished;               /* --once: nothing is left to do */
    struct closing closing;
};

/* shard.c */
/* Replies to what is in flight are dropped from here on. */
void shard_stop_parts(struct shard *s);
/* Those that take a pointer to void are callbacks too. */
/* The next step towards RUNNING, or towards the end, if all is there that it needs. */
void shard_try(void *shard);
void shard_ask_schema(struct shard *s);
/* Forget what is in flight and start again, after a backoff if delay. */
void shard_restart(struct shard *s, bool delay);
void shard_fail(void *shard, const char *step, const struct err *error);
/* Finish the batch that is being written, forget the rest, give the lease back, and end. */
void shard_leave(struct shard *s);
/* A step towards its end: when something that this waits for has happened. */
void shard_drain(void *shard);
void shard_on_retry(uv_timer_t *timer);
void shard_on_lease_lost(struct shard *s);
/* This process has the lease as far as it knows, and the last heartbeat was to renew it. */
bool shard_is_renewed(const struct shard *s);
void shard_on_redis_down(struct shard *s);
bool shard_has_redis(const struct shard *s);

/* shard_parts.c */
/* Returns NULL with e for a URL that cannot be used. */
struct shard *shard_open(const struct shard_spec *spec, const char *stream, int number,
                         struct err *e);
/* Ends at once, whatever is in flight. Afterwards closed runs from the loop; the shard is freed
 * then. */
void shard_close(struct shard *s, void (*closed)(void *owner), void *owner);
/* The parts report to it: when the rest of it is there. */
void shard_init_parts(struct shard *s);
/* Once a second: look at the stream; a retired one that rests ends. */
void shard_poll(struct shard *s);
/* Delete a retired stream's key if all that it ever had is counted, and end its epoch. */
void shard_retire(struct shard *s);

#endif
