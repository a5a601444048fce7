/* The facts that ledger_rule judges by: the ledger's own row (read_ledger.sql), and what Redis
 * knows of that ledger: the number of its sinks' last pick, and how far each of its streams was
 * counted. Nothing is written but that number. */
#ifndef METERLINE_SINK_LEDGER_FACTS_H
#define METERLINE_SINK_LEDGER_FACTS_H

#include "common/redis/redis_router.h"
#include "sink/ledger_check/ledger_rule.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* The rows of read_ledger.sql: at least one. */

/* The ledger was compared since PostgreSQL was started. */
bool ledger_row_is_known(const PGresult *r);
/* No sink has ever compared it. */
bool ledger_row_is_first(const PGresult *r);
const char *ledger_row_id(const PGresult *r);
const char *ledger_row_life(const PGresult *r); /* ledger_life() */
int64_t ledger_row_picks(const PGresult *r);

enum { REDIS_RUN_ID_SIZE = 41 };

/* What Redis answered. Zero-initialise. */
struct ledger_answers {
    bool sent_known;
    int64_t sent;
    char run_id[REDIS_RUN_ID_SIZE]; /* of the server that keeps it; "": it does not tell */
    struct ledger_stream *streams;  /* one for each of the rows' streams */
    int count;
};
void ledger_answers_done(struct ledger_answers *a);

/* error: one of the questions had no answer. Once, from the loop. */
typedef void (*ledger_asked_fn)(void *owner, const struct err *error);

/* Ask Redis of the ledger in r and of its streams. into: empty; borrowed, with done's owner, until
 * done runs, then to be freed by ledger_answers_done. */
void ledger_facts_ask(struct redis_router *redis, const PGresult *r, struct ledger_answers *into,
                      ledger_asked_fn done, void *owner);

/* Rows that were read after Redis was asked, and its answers. Returns false if streams came or went
 * meanwhile. answers borrow from r until they are freed. */
bool ledger_facts_judge(const PGresult *r, struct ledger_answers *answers,
                        enum ledger_verdict *verdict);

/* Tell Redis of a pick of that number. done: known is the greatest that it knows, with error NULL.
 */
typedef void (*ledger_told_fn)(void *owner, const struct err *error, int64_t known);
void ledger_facts_tell(struct redis_router *redis, const char *ledger, int64_t picks,
                       ledger_told_fn done, void *owner);

/* run_id: of the server that keeps the number, another one after each of its starts; "" if it does
 * not tell; borrowed. */
typedef void (*ledger_run_id_fn)(void *owner, const struct err *error, const char *run_id);
void ledger_facts_ask_run_id(struct redis_router *redis, const char *ledger, ledger_run_id_fn done,
                             void *owner);

#endif
