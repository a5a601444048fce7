/* What gateways of AI models post: see ai_usage.h for what becomes of it, and format.h for what
 * these return. Pure.
 *
 * openai: the answer to a chat completion or a response, as OpenAI-compatible servers give it, or
 * the whole stream of one (text/event-stream), whose last piece has the usage. litellm: the payload
 * of LiteLLM's generic callback, one or an array. otlp: OTLP/HTTP traces or logs as JSON, of which
 * spans and records without gen_ai.usage.* are passed over. */
#ifndef METERLINE_EMITTER_AI_FEEDS_H
#define METERLINE_EMITTER_AI_FEEDS_H

#include "emitter/format/ai_usage.h"

typedef int (*ai_feed_fn)(struct format *f, const struct ai_table *t, const char *body,
                          size_t length, struct err *e);

int ai_feed_openai(struct format *f, const struct ai_table *t, const char *body, size_t length,
                   struct err *e);
int ai_feed_litellm(struct format *f, const struct ai_table *t, const char *body, size_t length,
                    struct err *e);
int ai_feed_otlp(struct format *f, const struct ai_table *t, const char *body, size_t length,
                 struct err *e);

#endif
