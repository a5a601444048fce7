/* Rewrites all limits in the quota cache every minute, so that a lost cache heals and new plans
 * take hold; and, once in a while, counts and forgets webhook events. */
#ifndef METERLINE_HEALER_H
#define METERLINE_HEALER_H

#include <stdbool.h>
#include <stdint.h>

struct context;
struct limits;
struct healer;

struct healer *healer_open(const struct context *context, struct limits *limits);
/* Redis is back: begin a round now, since it may have come back empty. */
void healer_hurry(struct healer *h);
/* The catalog has this version: begin a round now if the last one began with another. */
void healer_tell_catalog(struct healer *h, int64_t version);
/* Nothing is in flight. */
bool healer_is_idle(const struct healer *h);
void healer_close(struct healer *h);

#endif
