/* The batch loop: one batch after the other, from the stream reader into the ledger.
 *
 *      IDLE -> JUDGING -> WRITING -> IDLE -> FOLDING -> IDLE
 *                 ^         |                  ^  |
 *                 |         +---- (refused) ---+  |
 *                 +-------------------------------+
 *
 * JUDGING: read the catalog's version, parse, look for repeats and ask the ledger about them. Of
 * entries that are read again, ask what became of them.
 * WRITING: the transaction is under way, and only its answer tells what became of it.
 * FOLDING: the stream is empty, or a batch was refused: the sums that earlier batches left pending
 * are folded.
 *
 * Normally a batch's minute sums are folded into minute rows and totals in its own transaction. In
 * a backlog with many keys that would touch each row once a batch. There, they are added up in
 * memory (pending_sums.h) until enough have come together.
 *
 * Failure modes: a batch that PostgreSQL refuses is halved until the culprit is alone, and that
 * entry is rejected with PostgreSQL's message. After anything else, a lost answer to COMMIT
 * included, the batch is forgotten and the position read again. */
#ifndef METERLINE_BATCH_LOOP_H
#define METERLINE_BATCH_LOOP_H

#include "aggregator/batch/batch.h"
#include "aggregator/batch/parse_ahead.h"
#include "aggregator/ledger/ledger.h"
#include "aggregator/ledger/pending_sums.h"
#include "aggregator/stream/stream_reader.h"

#include <stdbool.h>
#include <stdint.h>

enum batch_loop_state { BATCH_IDLE, BATCH_JUDGING, BATCH_WRITING, BATCH_FOLDING };

struct batch_loop_events {
    /* The batch is in the ledger, and its keys are in the table. */
    void (*committed)(void *owner, const struct batch *b, int64_t commit_us);
    /* Totals that a fold changed, rows of fold.sql, which are the taker's own. from_ms: the entry
     * time of the first event in them. Of every fold of this ledger. */
    void (*totals)(void *owner, PGresult *rows, int64_t from_ms);
    /* The ledger refused a commit, since the stream is another's by now: stop. */
    void (*fenced)(void *owner, const struct err *error);
    /* A step failed: stop. */
    void (*failed)(void *owner, const char *step, const struct err *error);
    /* After batch_loop_leave: what was being written has ended. */
    void (*rested)(void *owner);
    /* After batch_loop_stop: the ledger was still at work, and is free now. */
    void (*late)(void *owner);
    void *owner;
};

struct batch_loop {
    const char *stream;           /* borrowed, as are … */
    struct ledger *ledger;        /* … its ledger, whose on_totals is set, … */
    struct stream_reader *reader; /* … and its stream reader */
    struct batch_loop_events events;
    struct parse_ahead parsed;
    struct pending_sums pending; /* committed, but not yet in minute rows and totals */
    struct dedupe *dedupe;       /* borrowed */
    bool running;                /* between start and stop */
    bool leaving;                /* no new batch */
    enum batch_loop_state state;
    const struct entries *entries; /* taken from the stream reader */
    uint32_t from;                 /* of entries: all before are committed */
    uint32_t to;                   /* of entries: the batch on its way ends here */
    uint32_t size_max;             /* halved when PostgreSQL refuses a batch */
    char refusal[160];             /* why the one entry of this batch is rejected unseen, or "" */
    bool batch_open;               /* the dedupe table has it pending */
    bool kept;                     /* its sums are in memory alone */
    bool spills;                   /* it writes those in memory and its own, and folds none */
    int64_t write_started_us;
};

struct batch_loop_spec {
    const char *stream;           /* borrowed, as are … */
    struct ledger *ledger;        /* … its ledger, whose on_totals is set here, … */
    struct stream_reader *reader; /* … and its stream reader */
    int shard, shards;            /* as for batch_init, as is … */
    const unsigned char *key;     /* … this */
    struct batch_loop_events events;
};
void batch_loop_init(struct batch_loop *w, struct batch_loop_spec spec);
void batch_loop_done(struct batch_loop *w);

/* The position and the table are read. dedupe: borrowed until stop. repeats_until: see batch.h. */
void batch_loop_start(struct batch_loop *w, struct dedupe *dedupe, struct entry_id repeats_until);
/* Forget what is on its way, and what is not folded; nothing, if nothing runs. */
void batch_loop_stop(struct batch_loop *w);
/* The batch that is being written is the last one. */
void batch_loop_leave(struct batch_loop *w);
/* The stream reader has a batch's worth: begin, if nothing is on its way. */
void batch_loop_poke(struct batch_loop *w);
/* The stream reader has more: parse what came. */
void batch_loop_parse_ahead(struct batch_loop *w);
/* A transaction is under way, and only its answer tells. */
bool batch_loop_is_writing(const struct batch_loop *w);
/* Fold what a backlog left, if something is: true, and rested or the next batch follows. */
bool batch_loop_fold_rest(struct batch_loop *w);

#endif
