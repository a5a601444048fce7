/* Events into Redis, pipelined. Two batches take turns: while one is on its way, the other is
 * filled.
 *
 * The happy path: send a batch, then take the answers to the one before. When Redis goes away,
 * answers badly for the time being, or is silent for too long: drop the connection, make it anew
 * with backoff, and send again what was not acknowledged. It may have arrived all the same; it has
 * the same id, so it counts once. */
#ifndef METERLINE_EMITTER_SENDER_H
#define METERLINE_EMITTER_SENDER_H

#include "common/err.h"
#include "common/str.h"
#include "emitter/config.h"
#include "emitter/event_line.h"

#include <stdbool.h>
#include <stdint.h>

struct sender; /* opaque */

/* Where an event came from, for people. */
struct sender_origin {
    const char *file; /* borrowed until the event is settled */
    uint64_t line;    /* from 1 */
};

struct sender_settings {
    struct emitter_config *config; /* its URL may be rolled meanwhile */
    /* Redis will never take this event: text says why. */
    void (*on_refused)(void *owner, struct sender_origin origin, const char *text);
    /* Given up: it is not known whether this one arrived. */
    void (*on_unknown)(void *owner, struct sender_origin origin);
    void *owner;
};

struct sender *sender_new(const struct sender_settings *settings);

/* Take one event. What is borrowed by event may go afterwards. Returns 0, or -1 with e: given up,
 * after on_unknown for each event that is not acknowledged. Then nothing may follow but
 * sender_free. */
int sender_add(struct sender *s, const struct event_line *event, struct sender_origin origin,
               int64_t now_ms, struct err *e);

/* Send what is held and wait for every answer. Returns as sender_add. */
int sender_flush(struct sender *s, struct err *e);

/* Events that Redis acknowledged. */
uint64_t sender_acknowledged(const struct sender *s);

void sender_free(struct sender *s);

#endif
