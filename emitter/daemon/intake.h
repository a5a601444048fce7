/* Takes the events of a request, in any of their forms, and answers for each of them.
 *
 * With a spool folder, what was taken is in it when the answer goes out. Without one, the answer
 * waits until Redis has all of it, or EMITTER_WAIT_MS are over: then nobody knows, and the answer
 * has the ids under which the events may be sent again. */
#ifndef METERLINE_EMITTER_INTAKE_H
#define METERLINE_EMITTER_INTAKE_H

#include "common/http/http_server.h"
#include "emitter/daemon/context.h"
#include "emitter/format/ai_feeds.h"

struct intake; /* opaque */

struct intake *intake_open(const struct context *context);
/* POST /v1/events. Answers x, now or later. */
void intake_take(struct intake *i, struct http_exchange *x, const struct caller *caller);
/* What gateways of AI models post: POST /v1/usage/openai and the like. is_otlp: it is answered as
 * OTLP/HTTP has it. */
void intake_take_feed(struct intake *i, struct http_exchange *x, const struct caller *caller,
                      ai_feed_fn feed, bool is_otlp);
/* More is in Redis than before. */
void intake_on_sent(struct intake *i);
/* The last event could not be taken: the spool is full, or the disk. */
bool intake_is_full(const struct intake *i);
/* Whoever still waits for Redis is answered now. */
void intake_give_up(struct intake *i);
void intake_close(struct intake *i);

#endif
