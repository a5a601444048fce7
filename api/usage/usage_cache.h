/* What tenants have used in their current period, for the many who ask: all questions that come
 * while one statement is under way are asked together by the next one, and an answer serves for
 * API_CACHE_MS. The totals themselves follow the stream within about a second. */
#ifndef METERLINE_API_USAGE_CACHE_H
#define METERLINE_API_USAGE_CACHE_H

#include "api/request.h"

struct usage_cache;

struct usage_cache *usage_cache_open(const struct context *context);
/* Answers r, of a route whose tenant it is. */
void usage_cache_answer(struct usage_cache *c, struct api_request *r);
/* After the pool has closed. */
void usage_cache_close(struct usage_cache *c);

#endif
