/* What one call puts on the wire: the address, the headers, the bytes. Pure. */
#ifndef METERLINE_SINK_REQUEST_H
#define METERLINE_SINK_REQUEST_H

#include "sink/config.h"
#include "sink/send/submission.h"

struct request {
    char *url;
    struct http_header headers[TRANSPORT_HEADERS];
    struct buf body;
    struct buf key; /* the Idempotency-Key */
};

/* batch: of one transport, and stripe_caller_accepts each; borrowed, like config and authorization
 * ("Bearer …", of a key or a token), for the request's life. r: filled in place, not to be moved.
 */
void request_init(struct request *r, const struct submission_queue *batch,
                  const struct config *config, const char *authorization);
void request_done(struct request *r);

#endif
