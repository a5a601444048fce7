/* An epoch is the life of a stream's content in Redis: it ends when Redis loses entries or an
 * operator resets the stream, and the ledger keeps each epoch's balance apart.
 *
 * Which ledger counts a stream, and which of its epochs the stream in Redis belongs to: the
 * name of a consumer, which never reads anything, in the group `aggregator`. It lies in the
 * stream's own key, so a replica, a restored file or a rewritten key has with the entries the mark
 * of their time. Pure. */
#ifndef METERLINE_EPOCH_MARK_H
#define METERLINE_EPOCH_MARK_H

#include <stdint.h>

enum { EPOCH_TOKEN_SIZE = 37, EPOCH_MARK_SIZE = 208 };

struct epoch_mark {
    char token[EPOCH_TOKEN_SIZE]; /* a UUID, as in stream_positions */
    int32_t epoch;
    uint64_t base;                 /* the stream's entries-added where the epoch begins */
    char ended[EPOCH_TOKEN_SIZE];  /* of the epoch before, or "" … */
    int64_t ended_added;           /* … and how many entries that had */
    char ledger[EPOCH_TOKEN_SIZE]; /* a UUID: whose stream it is, ledger_identity.ledger_id … */
    int32_t takeovers;             /* … and its takeovers */
};

/* "epoch:<epoch>:<token>:<base>:<token before>:<added before>:<ledger>:<takeovers>" */
void epoch_mark_format(const struct epoch_mark *mark, char out[EPOCH_MARK_SIZE]);
/* Returns 0, or -1 if the name is no mark. */
int epoch_mark_parse(const char *name, struct epoch_mark *out);

#endif
