/* The lease of a stream, taken over from its aggregator so that nobody counts while a command
 * changes the stream, and the token of the epoch that the command opens. */
#ifndef METERLINE_CTL_STREAM_LEASE_H
#define METERLINE_CTL_STREAM_LEASE_H

#include "common/lease_owner.h"
#include "common/redis/epoch_mark.h"
#include "ctl/streams/stream_info.h"

#define STREAM_LEASE_S "30"

/* The position as it was when the lease was taken. */
struct stream_lease {
    char stream[STREAM_NAME_SIZE];
    char owner[LEASE_OWNER_SIZE]; /* this run of meterctl, by lease_owner_name */
    char epoch[16];
    char last_id[ENTRY_ID_SIZE];
    char token[EPOCH_TOKEN_SIZE];
    char next_token[EPOCH_TOKEN_SIZE]; /* of the epoch to open */
    int64_t outcomes;                  /* entries accounted for in this epoch */
    int64_t added;                     /* entries-added at last_id */
    char ledger[EPOCH_TOKEN_SIZE];     /* this ledger */
    int32_t takeovers;
};

/* stream and owner are filled in by the caller. Returns 0, or -1 with e. */
int stream_lease_take(struct stream_lease *l, PGconn *conn, struct err *e);

/* Give the stream back. untouched: the next epoch is not going to be opened, its token is
 * forgotten. Returns 0, or -1 with e. */
int stream_lease_release(const struct stream_lease *l, PGconn *conn, bool untouched, struct err *e);

/* The mark of the epoch to open. extra: entries that are added to the balance of the epoch that
 * ends. An epoch with nothing in it is opened once more in place of being ended. */
struct epoch_mark stream_lease_mark(const struct stream_lease *l, int64_t extra);

#endif
