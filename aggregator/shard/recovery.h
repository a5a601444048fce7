/* Opening a stream: may this Redis be trusted, and is the history intact? Afterwards the group
 * stands where the ledger does, and reading can begin.
 *
 *      read the history -> judge it -> (correct the ledger -> read the position again) -> enter
 *
 * What Redis and the ledger disagree about is judged by history.h; a new epoch is opened, or lost
 * entries are booked, before the stream is entered. */
#ifndef METERLINE_RECOVERY_H
#define METERLINE_RECOVERY_H

#include "aggregator/config.h"
#include "aggregator/ledger/ledger.h"
#include "aggregator/shard/history.h"
#include "common/log.h"

#include <stdbool.h>
#include <stdint.h>

struct recovery_events {
    /* Told once that is known: NULL, or why this Redis must not be used (static); then this ends
     * here. */
    void (*redis_judged)(void *owner, const char *unfit);
    /* The stream is another ledger's, which was logged. This ends here. */
    void (*foreign)(void *owner);
    /* The ledger's position is where reading begins. */
    void (*recovered)(void *owner);
    /* A step failed. ERR_FENCED: the lease is another's. */
    void (*failed)(void *owner, const char *step, const struct err *error);
    /* After recovery_stop: the ledger was still at work, and is free now. */
    void (*late)(void *owner);
    void *owner;
};

struct recovery_spec {
    struct ledger *ledger; /* all are borrowed */
    struct redis *redis;
    const char *stream;
    const struct config *config;
    bool *weakness_logged; /* of all streams of the process: that Redis may lose the last entries */
    struct recovery_events events;
};

struct recovery {
    struct recovery_spec spec;
    bool running;
    uint64_t generation; /* rises with every end */
    struct judgement found;
    char foreign_ledger[EPOCH_TOKEN_SIZE]; /* that the stream belongs to, if not to ours; or "" */
    struct log_repeat foreign_repeats;
};

void recovery_init(struct recovery *r, struct recovery_spec spec);
/* The lease is ours and Redis is up. Exactly one of foreign, recovered, failed and an unfit Redis
 * ends it, from the loop; or recovery_stop, or the loss of a connection, which its owner hears of.
 */
void recovery_run(struct recovery *r);
void recovery_stop(struct recovery *r);

#endif
