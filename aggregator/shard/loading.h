/* Loading what counting needs from the ledger before the first entry is read: partitions, the
 * catalog, the sums that others left pending, and the deduplication table. */
#ifndef METERLINE_LOADING_H
#define METERLINE_LOADING_H

#include "aggregator/config.h"
#include "aggregator/dedupe/dedupe.h"
#include "aggregator/ledger/ledger.h"

#include <stdbool.h>
#include <stdint.h>

struct loading_events {
    void (*loaded)(void *owner);
    /* The number of shards in the database has changed: this ends here. */
    void (*number_moved)(void *owner, int64_t shards);
    void (*failed)(void *owner, const char *step, const struct err *error);
    /* After loading_stop: the ledger was still at work, and is free now. */
    void (*late)(void *owner);
    void *owner;
};

struct loading_spec {
    struct ledger *ledger; /* all are borrowed */
    const struct config *config;
    const unsigned char *key; /* 16 bytes, of every hash in this process */
    int number;               /* of the stream; or RETIRED: nothing of it is counted any more */
    int64_t shards;
    struct loading_events events;
};

struct loading {
    struct loading_spec spec;
    bool running;
    bool sums_left;        /* of batches before a restart: they may be pending; set by the owner */
    struct dedupe *dedupe; /* owned; NULL: none yet */
    int64_t batches;       /* position.batches that it reflects; -1: none */
    int64_t reading_ms;    /* the latest entry that its window was measured from */
    int64_t resharded_ms;  /* likewise, when the number of shards had last changed */
};

void loading_init(struct loading *l, struct loading_spec spec);
void loading_done(struct loading *l);
/* The position is read. One of the events but late follows, maybe never if the connection is lost.
 */
void loading_run(struct loading *l);
void loading_stop(struct loading *l);
/* Somebody else may have counted meanwhile: what the table has is not enough. */
void loading_forget_table(struct loading *l);
/* A batch was committed, as ledger.stored says: keys leave, and it is told if memory made some
 * leave before. */
void loading_move_window(struct loading *l);

#endif
