/* The library's thread: what is in the spool goes to Redis, in order, until Redis has all of it.
 *
 * Redis away, full, a replica, refusing: it tries again, for ever, and the spool fills meanwhile.
 * Errors that will not pass by themselves (no permission, a key that is no stream) are no other
 * case: nothing is thrown away, and last_fault tells. */
#ifndef METERLINE_EMITTER_DELIVERY_H
#define METERLINE_EMITTER_DELIVERY_H

#include "emitter/config.h"
#include "emitter/spool/spool.h"

struct delivery; /* opaque */

struct delivery_terms {
    struct spool *spool;           /* borrowed: this thread reads it */
    struct emitter_config *config; /* borrowed: URL and shards */
    struct conf_reload *files; /* that the URL's secrets come from, owned from now on; or NULL */
    /* That thread. An attempt failed; Redis has everything again. */
    void (*on_fault)(void *owner, const char *text);
    void (*on_back)(void *owner);
    void (*on_sent)(void *owner); /* delivery_sent has risen */
    void *owner;
};

/* Starts the thread. Returns NULL with e. */
struct delivery *delivery_start(const struct delivery_terms *terms, struct err *e);
/* Events of this process that Redis has, and those of processes before it. Any thread. */
uint64_t delivery_sent(const struct delivery *d);
uint64_t delivery_recovered(const struct delivery *d);
/* Until delivery_sent is at least that, or timeout_ms are over: then false. Any thread. */
bool delivery_wait(struct delivery *d, uint64_t sent, int64_t timeout_ms);
/* Ends the thread, in the middle if need be, and frees d. */
void delivery_stop(struct delivery *d);

#endif
