/* What Redis knows of a ledger: the number of its sinks' last pick, and where each of its streams
 * is counted to. Nothing is written but that number. */
#ifndef METERLINE_SINK_LEDGER_FACTS_H
#define METERLINE_SINK_LEDGER_FACTS_H

#include "common/redis/redis_router.h"
#include "sink/ledger_check/ledger_rule.h"

#include <stdbool.h>
#include <stdint.h>

enum { REDIS_RUN_SIZE = 41 };

/* Owned by who asks; streams has a place for each, whose name is set. */
struct ledger_answers {
    bool sent_known;
    int64_t sent;
    char redis_run[REDIS_RUN_SIZE]; /* run_id of the server that keeps it; "": it does not tell */
    struct ledger_stream *streams;
    int count;
};

void ledger_answers_init(struct ledger_answers *a, int count);
/* name: copied. */
void ledger_answers_name(struct ledger_answers *a, int at, const char *name);
void ledger_answers_done(struct ledger_answers *a);

/* error: one of the questions had no answer. Once, from the loop. */
typedef void (*ledger_asked_fn)(void *owner, const struct err *error);

/* into: borrowed, with done's owner, until done runs. */
void ledger_facts_ask(struct redis_router *redis, const char *ledger, struct ledger_answers *into,
                      ledger_asked_fn done, void *owner);

/* Redis is to know of a pick of that number. done: known is the greatest that it knows, with error
 * NULL. */
typedef void (*ledger_told_fn)(void *owner, const struct err *error, int64_t known);
void ledger_facts_tell(struct redis_router *redis, const char *ledger, int64_t picks,
                       ledger_told_fn done, void *owner);

/* run_id: of the server that keeps the number, "" if it does not tell; borrowed. */
typedef void (*ledger_run_id_fn)(void *owner, const struct err *error, const char *run_id);
void ledger_facts_ask_run_id(struct redis_router *redis, const char *ledger, ledger_run_id_fn done,
                             void *owner);

#endif
