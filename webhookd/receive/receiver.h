/* POST /webhooks/stripe: verify, keep, answer. Several requests that wait at once are kept by one
 * transaction. */
#ifndef METERLINE_RECEIVER_H
#define METERLINE_RECEIVER_H

#include "common/err.h"
#include "common/str.h"

#include <stdbool.h>

struct context;
struct receiver;

struct receiver_events {
    void (*on_stored)(void *owner); /* events were kept */
    void (*on_schema)(void *owner,
                      bool ready); /* whether PostgreSQL has the schema of this build */
    void *owner;
};

/* Opens the listener and a database connection of its own. Returns NULL with e. */
struct receiver *receiver_open(const struct context *context, struct receiver_events events,
                               struct err *e);
/* Takes no new connection. */
void receiver_quiesce(struct receiver *r);
bool receiver_is_idle(const struct receiver *r);
/* Appends what is missing; false if something is. */
bool receiver_is_ready(const struct receiver *r, struct buf *why);
void receiver_close(struct receiver *r);

#endif
