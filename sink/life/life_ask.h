/* What Redis knows of a ledger: the number of its sinks' last pick, and where each of its streams
 * is counted to. Nothing is written but that number. */
#ifndef METERLINE_SINK_LIFE_ASK_H
#define METERLINE_SINK_LIFE_ASK_H

#include "common/redis/redis_router.h"
#include "sink/life/life_rule.h"

#include <stdbool.h>
#include <stdint.h>

enum { REDIS_RUN_SIZE = 41 };

/* Owned by who asks; streams has a place for each, whose name is set. */
struct life_answers {
    bool sent_known;
    int64_t sent;
    char redis_run[REDIS_RUN_SIZE]; /* run_id of the server that keeps it; "": it does not tell */
    struct life_stream *streams;
    int count;
};

void life_answers_init(struct life_answers *a, int count);
/* name: copied. */
void life_answers_name(struct life_answers *a, int at, const char *name);
void life_answers_done(struct life_answers *a);

/* error: one of the questions had no answer. Once, from the loop. */
typedef void (*life_asked_fn)(void *owner, const struct err *error);

/* into: borrowed, with done's owner, until done runs. */
void life_ask(struct redis_router *redis, const char *ledger, struct life_answers *into,
              life_asked_fn done, void *owner);

/* Redis is to know of a pick of that number. done: known is the greatest that it knows, with error
 * NULL. */
typedef void (*life_told_fn)(void *owner, const struct err *error, int64_t known);
void life_tell(struct redis_router *redis, const char *ledger, int64_t picks, life_told_fn done,
               void *owner);

/* run_id: of the server that keeps the number, "" if it does not tell; borrowed. */
typedef void (*life_named_fn)(void *owner, const struct err *error, const char *run_id);
void life_ask_run(struct redis_router *redis, const char *ledger, life_named_fn done, void *owner);

#endif
