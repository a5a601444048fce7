/* Parsing ahead: PostgreSQL works on one batch while the entries of the next one are parsed as they
 * come. What is parsed depends on the entries, the catalog and the clock alone, so that it can be
 * thrown away whenever one of them is not what it was. */
#ifndef METERLINE_PARSE_AHEAD_H
#define METERLINE_PARSE_AHEAD_H

#include "aggregator/batch/batch.h"
#include "aggregator/ledger/ledger.h"

#include <stdbool.h>
#include <stdint.h>

struct parse_ahead {
    struct batch batches[2];
    struct batch *batch;         /* of batches: the one on its way */
    struct batch *ahead;         /* the other: entries that come in are parsed into it */
    int64_t ahead_version;       /* of the catalog that ahead was parsed by */
    const struct ledger *ledger; /* borrowed: catalog and clock */
    struct dedupe *dedupe;       /* borrowed; the owner's to set, before anything is parsed */
};

/* As batch_init. */
void parse_ahead_init(struct parse_ahead *p, const struct ledger *l, const char *stream, int shard,
                      int shards, const unsigned char key[16]);
void parse_ahead_done(struct parse_ahead *p);
/* See batch.h: of both batches. */
void parse_ahead_set_repeats(struct parse_ahead *p, struct entry_id repeats_until);

/* The first of these entries, before to: all their fields are there. */
void parse_ahead_run(struct parse_ahead *p, const struct entries *entries, uint32_t to);
/* The first of these are parsed, and still as they would be now. */
bool parse_ahead_has(const struct parse_ahead *p, const struct entries *entries);
/* entries[from … to - 1] become the batch on its way: as parsed ahead, or now. refuse: NULL, or as
 * for batch_parse. */
void parse_ahead_take(struct parse_ahead *p, const struct entries *entries, uint32_t from,
                      uint32_t to, const char *refuse);

#endif
