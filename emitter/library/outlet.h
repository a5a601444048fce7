/* The way out of this process: what was put is in the spool, and a thread sends it to Redis. The
 * library's handle has one, and so has the daemon. */
#ifndef METERLINE_EMITTER_OUTLET_H
#define METERLINE_EMITTER_OUTLET_H

#include "common/events/event_line.h"
#include "common/str.h"
#include "emitter/library/delivery.h"
#include "emitter/spool/spool.h"

#include <stdint.h>

#define OUTLET_DEFAULT_BYTES (256ULL << 20)
#define OUTLET_MIN_BYTES     (16ULL << 20)

struct outlet_terms {
    const char *redis_url; /* copied */
    int64_t shards;
    const char *folder; /* of the spool; NULL: memory alone */
    uint64_t max_bytes; /* of the spool; 0: OUTLET_DEFAULT_BYTES */
    enum spool_sync sync;
    bool reads_files; /* REDIS_URL_FILE, which may change, for the sending thread */
    /* Something failed: what, in words; NULL: all is well again. Any thread. */
    void (*on_state)(void *owner, const char *fault);
    /* More is in Redis than before. The sending thread; may be NULL. */
    void (*on_sent)(void *owner);
    void *owner;
};

struct outlet {
    struct emitter_config config;
    char **keys; /* of the streams, one a shard; owned */
    struct spool *spool;
    struct delivery *delivery; /* NULL once it was stopped */
    struct outlet_terms terms;
};

/* Once in a process, before all else. Returns 0, or -1. Any thread. */
int outlet_start_process(void);
/* How often this process was forked from one that had started: a handle of before is not its own.
 */
uint64_t outlet_forks(void);

/* Returns NULL with e. */
struct outlet *outlet_open(const struct outlet_terms *terms, struct err *e);
/* Ends the thread, in the middle if need be: it may wait as long as an answer of Redis may take.
 * Nothing is put any more. */
void outlet_stop(struct outlet *o);
/* Stops it if need be, and frees it. */
void outlet_close(struct outlet *o);

/* Any thread. line: checked. An event without an id gets one, and one without a time gets now_ms;
 * made_id: the id that it was given, "" if it had one. wait_ms: how long to wait for room. */
enum spool_result outlet_put(struct outlet *o, const struct event_line *line, int64_t now_ms,
                             int64_t wait_ms, char made_id[UUID_TEXT_SIZE], struct err *e);

#endif
