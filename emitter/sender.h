/* Sends events to Redis in pipelined batches until each is acknowledged. Two batches take turns:
 * while one is in flight, the other is filled.
 *
 * The happy path: send a batch, then take the answers to the previous one. If Redis goes away,
 * answers with an error that will pass, or is silent for too long, the connection is dropped and
 * made again with backoff, and what was not acknowledged is sent again. It may have arrived all the
 * same; it has the same id, so it counts once. */
#ifndef METERLINE_EMITTER_SENDER_H
#define METERLINE_EMITTER_SENDER_H

#include "common/err.h"
#include "common/events/event_line.h"
#include "common/str.h"
#include "emitter/config.h"

#include <stdbool.h>
#include <stdint.h>

struct sender;

/* Where an event came from, for messages. */
struct sender_origin {
    const char *file; /* borrowed until the event is settled */
    uint64_t line;    /* from 1 */
};

struct sender_settings {
    struct emitter_config *config; /* its URL may change meanwhile */
    struct conf_reload *files;     /* that its secrets come from, owned from now on; NULL: none */
    /* Redis refused this event for good; text says why. */
    void (*on_refused)(void *owner, struct sender_origin origin, const char *text);
    /* It gave up, and does not know whether this event arrived. */
    void (*on_unknown)(void *owner, struct sender_origin origin);
    /* An attempt failed, and another one follows; after that, one succeeded. */
    void (*on_lost)(void *owner, const struct err *error);
    void (*on_back)(void *owner);
    /* Asked while it waits for the next attempt: true makes it give up. NULL: never. */
    bool (*is_over)(void *owner);
    /* An event that Redis refuses is tried again like any other failure. on_refused is not used. */
    bool keeps_refused;
    void *owner;
};

struct sender *sender_new(const struct sender_settings *settings);

/* Add one event, which is copied. Returns 0, or -1 with e: it gave up, and has called on_unknown
 * for each event that is not acknowledged. After that only sender_free may follow. */
int sender_add(struct sender *s, const struct event_line *event, struct sender_origin origin,
               int64_t now_ms, struct err *e);
/* The same of the bytes that event_line_add_command made for that shard. */
int sender_add_command(struct sender *s, int64_t shard, const char *command, size_t length,
                       struct sender_origin origin, struct err *e);

/* Send what was added and wait for every answer. Returns as sender_add. */
int sender_flush(struct sender *s, struct err *e);

/* Events that Redis acknowledged: the first so many that were added, of which none was refused. */
uint64_t sender_acknowledged(const struct sender *s);

void sender_free(struct sender *s);

#endif
