/* What the hash of one tenant is to hold, as the words of the command that writes it. Pure. */
#ifndef METERLINE_LIMIT_WORDS_H
#define METERLINE_LIMIT_WORDS_H

#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <stdbool.h>

enum { WORDS_KEY_AT = 3, WORDS_READ_AT = 4, WORDS_PAIRS_AT = 6 };

/* EVAL script 1 key read_at_ms n (field value)×n ledger (field that must be gone)… All owned. */
struct limit_words {
    char **list;
    int n;
    int capacity;
    int pairs;
};

/* The columns of read_limits.sql. */
enum limit_columns {
    LIMITS_TENANT,
    LIMITS_STATUS,
    LIMITS_READ_AT_MS,
    LIMITS_METRIC,
    LIMITS_CAP,
    LIMITS_TEXT,
    LIMITS_GRACE_UNTIL_MS,
    LIMITS_LEDGER
};

/* Of the rows from first up to end, which are one tenant's. */
void limit_words_make(struct limit_words *w, const PGresult *rows, int first, int end);
void limit_words_done(struct limit_words *w);

/* HMGET of all the fields that they are about, whose hash it is first: the arguments, to be freed;
 * what they point to is borrowed. */
const char **limit_words_ask(const struct limit_words *w, int *argc);
/* Whether the answer to it is what they would write. */
bool limit_words_match(const struct limit_words *w, const redisReply *answer);

#endif
