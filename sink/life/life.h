/* Whether the ledger is the one that sinks sent from, or an older one. Whenever PostgreSQL has
 * another life (sink_hold() in SQL is -1, and no sink claims or picks), it is compared with what
 * Redis knows: then sinks go on by themselves, or hold until a person has compared with Stripe.
 * While Redis is away nobody can tell, and nothing goes out: what does is noted there first. */
#ifndef METERLINE_SINK_LIFE_H
#define METERLINE_SINK_LIFE_H

#include "common/stage.h"
#include "common/str.h"
#include "sink/config.h"
#include "sink/life/life_ask.h"

#include <stdbool.h>
#include <stdint.h>

struct life; /* opaque */

/* on_change: whether it is whole may have changed; from the loop. NULL with e: REDIS_URL cannot be
 * used. */
struct life *life_open(struct stage *stage, const struct config *config,
                       void (*on_change)(void *owner), void *owner, struct err *e);

/* Claims and picks may be tried. */
bool life_is_whole(const struct life *l);
/* Returns life_is_whole; else why not, a line. */
bool life_is_ready(const struct life *l, struct buf *why);
/* A claim or a pick found another life: look. */
void life_doubt(struct life *l);

/* Redis is to know the number of a pick of this ledger, before its first call. done: once, from the
 * loop; error NULL: it does. */
void life_note(struct life *l, const char *ledger, int64_t picks, life_told_fn done, void *owner);

/* closed runs from the loop, after every done. */
void life_close(struct life *l, void (*closed)(void *owner), void *owner);

#endif
