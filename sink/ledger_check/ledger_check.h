/* Whether the ledger is the one that sinks sent from, or an older one from a backup.
 *
 * Whenever PostgreSQL was started anew, failed over or was restored (ledger_life() in SQL is
 * another one), sink_hold() is -1 and no sink claims or picks. The ledger is compared with what
 * Redis knows, and sinks go on by themselves, or hold until a person has compared it with Stripe.
 * While Redis is away nobody can tell, and nothing is sent: Redis is told of each pick before its
 * first call. */
#ifndef METERLINE_SINK_LEDGER_CHECK_H
#define METERLINE_SINK_LEDGER_CHECK_H

#include "common/stage.h"
#include "common/str.h"
#include "sink/config.h"
#include "sink/ledger_check/ledger_facts.h"

#include <stdbool.h>
#include <stdint.h>

struct ledger_check;

/* on_change: whether it has passed may have changed; from the loop. NULL with e: REDIS_URL cannot
 * be used. */
struct ledger_check *ledger_check_open(struct stage *stage, const struct config *config,
                                       void (*on_change)(void *owner), void *owner, struct err *e);

/* Claims and picks may be tried. */
bool ledger_check_passed(const struct ledger_check *c);
/* Returns ledger_check_passed; else appends why not, a line. */
bool ledger_check_is_ready(const struct ledger_check *c, struct buf *why);
/* A claim or a pick found that PostgreSQL was started anew: check again. */
void ledger_check_again(struct ledger_check *c);

/* Tell Redis the number of a pick of this ledger, before its first call. done: once, from the loop;
 * error NULL: it knows. */
void ledger_check_note_pick(struct ledger_check *c, const char *ledger, int64_t picks,
                            ledger_told_fn done, void *owner);

/* closed runs from the loop, after every done. */
void ledger_check_close(struct ledger_check *c, void (*closed)(void *owner), void *owner);

#endif
