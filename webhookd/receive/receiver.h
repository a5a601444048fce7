/* Serves Stripe's POSTs: verifies each delivery, stores it and answers. 200 means one thing:
 * the event is committed in webhook_events.
 *
 * The happy path: the body is whole, its signature is genuine, and it is an event. It waits until
 * the connection is free, is inserted with up to 63 others that wait, and after COMMIT the answer
 * is {"received":true}.
 *
 * Failure modes. PostgreSQL is away, has no schema yet, or does not answer in time: 503, and Stripe
 * delivers the event again, for three days. If it was stored after all, the second delivery changes
 * nothing. PostgreSQL refuses one of several events: they are tried again one by one, and the
 * refused one gets 500. Answers give no details, because whoever sees one may be a forger. */
#ifndef METERLINE_WEBHOOKD_RECEIVER_H
#define METERLINE_WEBHOOKD_RECEIVER_H

#include "common/err.h"
#include "common/str.h"

#include <stdbool.h>

struct context;
struct receiver;

struct receiver_events {
    void (*on_stored)(void *owner);
    /* Whether PostgreSQL has the schema of this build. */
    void (*on_schema)(void *owner, bool ready);
    void *owner;
};

/* Opens the listener and a database connection of its own. Returns NULL with e. */
struct receiver *receiver_open(const struct context *context, struct receiver_events events,
                               struct err *e);
/* Accepts no new connection. */
void receiver_quiesce(struct receiver *r);
bool receiver_is_idle(const struct receiver *r);
/* Appends what is missing, and returns false, while deliveries cannot be stored. */
bool receiver_is_ready(const struct receiver *r, struct buf *why);
void receiver_close(struct receiver *r);

#endif
