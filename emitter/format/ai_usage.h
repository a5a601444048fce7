/* Tokens that a call of a model took, as gateways report them, into events by the catalog's table:
 *
 *     "gateway_usage": [
 *       {"provider": "openai", "model": "gpt-4o*", "kind": "input", "metric": "llm_tokens",
 *        "dimensions": ["model", "kind"]}, …]
 *
 * Of each kind (input, output, cached, reasoning) the first rule that fits counts; a kind without
 * a rule makes no event. Cached tokens are part of the input and reasoning tokens of the output,
 * unless they have a rule of their own. An event's id is that of the response or span, a blank, and
 * the kind, so that a report that comes again counts once. Pure, but for reading the file. */
#ifndef METERLINE_EMITTER_AI_USAGE_H
#define METERLINE_EMITTER_AI_USAGE_H

#include "common/events/format.h"

enum ai_kind { AI_INPUT, AI_OUTPUT, AI_CACHED, AI_REASONING, AI_KINDS };

struct ai_table; /* opaque */

/* Of a catalog file. Returns NULL with e. A catalog without the table makes no events. */
struct ai_table *ai_table_load(const char *file, struct err *e);
void ai_table_free(struct ai_table *t); /* NULL is fine */
bool ai_table_is_empty(const struct ai_table *t);

/* One call. Texts may be NULL: not reported. */
struct ai_usage {
    const char *id;
    const char *provider;
    const char *model;
    const char *tenant;       /* else the sender's */
    int64_t ts_ms;            /* Unix; 0: not reported */
    int64_t tokens[AI_KINDS]; /* input with cached, output with reasoning */
};

/* Gives the events of it to f, or what is wrong. */
void ai_usage_give(struct format *f, const struct ai_table *t, const struct ai_usage *u);
void ai_usage_refuse(struct format *f, const char *why);
/* A number of tokens: 0 if it is not there or null. Returns 0, or -1: it is none. */
int ai_tokens_of(const json_t *value, int64_t *out);

#endif
