/* The aggregator of one stream: who owns it, what is read, what is written.
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
#include "aggregator/upkeep.h"
#include "common/backoff.h"
#include "common/log.h"
#include "common/stage.h"

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
enum work_state { WORK_IDLE, WORK_JUDGING, WORK_WRITING };

struct work {
    enum work_state state;
    const struct entries *entries; /* taken from the feed */
    uint32_t from;                 /* of entries: all before are committed */
    uint32_t to;                   /* of entries: the batch on its way ends here */
    uint32_t size_max;             /* halved when PostgreSQL refuses a batch */
    char refusal[160];             /* why the one entry of this batch is rejected unseen, or "" */
    bool batch_open;               /* the dedupe table has it pending */
    int period_rounds;             /* how often periods were asked for, for this batch */
    int64_t write_started_us;
};

struct aggregator {
    struct stage *stage;
    struct config *config;
    unsigned char key[16]; /* of every hash in this process */
    const char *stream;
    struct pg *pg; /* the ledger's */
    struct redis *commands;
    struct redis *reading;
    bool schema_ok;
    struct ledger ledger;
    struct upkeep upkeep;
    struct feed feed;
    struct dedupe *dedupe;
    int64_t table_batches; /* position.batches that the dedupe table reflects; -1: none */
    struct batch batch;
    struct work work;
    enum shard_state state;
    uint64_t generation; /* rises with every way to OFFLINE: answers of before are for nobody */
    uv_timer_t retry;
    uv_timer_t poll; /* of the gauges */
    struct backoff backoff;
    struct log_repeat refused; /* a Redis that is not fit, a replica, a failing step */
    bool waiting_logged;
    bool volatile_warned;
    int64_t lease_asked_ms; /* monotonic; --once gives up after a while */
    int open_handles;       /* while closing */
    bool closing;
};

extern const struct stage_spec AGGREGATOR_STAGE;

/* aggregator.c */
void aggregator_ask_schema(struct aggregator *a);

/* shard.c */
void shard_try(struct aggregator *a);
/* Forget what is in flight and start again, after a backoff if delay. */
void shard_restart(struct aggregator *a, bool delay);
void shard_fail(struct aggregator *a, const char *step, const struct err *error);
void shard_drain(struct aggregator *a);
/* The machine's answers call this first: true if the answer is of a life before. */
bool shard_is_stale(struct aggregator *a, enum shard_state expected);
void shard_on_retry(uv_timer_t *timer);
void shard_on_lease_lost(void *owner);

/* opening.c */
void opening_run(struct aggregator *a);
void opening_done(struct aggregator *a); /* calls back into shard.c: history is settled */

/* work.c */
void work_start(struct aggregator *a);
void work_forget(struct aggregator *a);

/* trim.c: after a commit. */
void trim_run(struct aggregator *a);

/* gauges.c */
void gauges_count_batch(const struct aggregator *a, int64_t commit_us);
void gauges_take_stream(struct aggregator *a, const struct history *h, uint64_t accounted,
                        bool trimmed);
void gauges_scrape(struct aggregator *a);
/* Look at the stream's length, whoever owns the stream: lag must show when nothing is committed. */
void gauges_poll(struct aggregator *a);

#endif
