/* Which idempotency keys were counted within the window, in 8 bytes a slot (at most 12 bytes a
 * key). Pure: the clock and the random key come in. One table a stream.
 *
 * The window is measured back from what is being read: a key leaves when its own entry was added
 * so long before that, however late both are read. A batch that was committed within the window
 * stays, too: a stream whose entries tell no time would else forget it at once.
 *
 * A slot holds 32 bits of the key's hash and an ordinal, a running number that leads to the batch
 * and to the row in it. A hit is a candidate only: the caller compares tenant and id, in memory for
 * the pending batch, else with the stored batch. A false one comes about once in 400,000 keys.
 *
 * Numbers and rows. A stored batch is cut into 16 slices by tenant, and rows are counted through
 * slice 0, slice 1 …; within a slice they keep the order of arrival. Which row an event gets is
 * known only after duplicates were sorted out, so a key is numbered twice:
 *
 *     dedupe_begin(d, n)                 n: events in the batch at most
 *     dedupe_hash(d, …)                  for each event; then in order of arrival, for each i:
 *       dedupe_prefetch(d, &hash[i + 8])
 *       dedupe_probe(d, &hash[i], …)     hits in this batch by number, in others by row
 *       dedupe_insert(d, &hash[i], i)    unless a hit in this batch was confirmed
 *     …                                  confirm hits against stored batches (asynchronous)
 *     dedupe_place(d, &hash[i], i, row)  for each survivor, its row in the stored order
 *     dedupe_commit(d, &batch)           after COMMIT; keys that were not placed are gone
 *  or dedupe_abort(d)                    forgets the batch, at once, whatever was done with it
 *
 * When memory is full the oldest batches are dropped: the window shrinks, and says so. */
#ifndef METERLINE_DEDUPE_H
#define METERLINE_DEDUPE_H

#include "aggregator/batch/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEDUPE_KEY_BYTES        16
#define DEDUPE_MEMORY_MIN_BYTES (1U << 20)
/* Keys are kept so much longer than the window: a stream that lost its last moments is read again
 * from a little before, and the table still serves. */
#define DEDUPE_SLACK_MS 300000LL

struct dedupe; /* opaque */

struct dedupe_hash {
    uint64_t place; /* picks where to look */
    uint64_t tag;   /* its lower half is stored */
};

/* What the stored batch is found by, and where its slices begin. */
struct dedupe_batch {
    int64_t batch_id;
    int64_t committed_ms;          /* Unix ms */
    int64_t entry_ms;              /* Unix ms; the time of its last entry: entry_id_time_ms */
    int32_t day;                   /* days since 1970-01-01 UTC: the partition */
    int32_t epoch;                 /* of the stream */
    uint32_t slice_counts[SLICES]; /* rows in each; their sum is what was placed */
};

/* One candidate. */
struct dedupe_hit {
    bool pending;     /* in the batch that was begun: only number is set */
    uint32_t number;  /* as given to dedupe_insert */
    int64_t batch_id; /* else: the stored batch */
    int32_t day;
    int32_t epoch;
    uint32_t slice; /* 0 to 15 */
    uint32_t row;   /* within the slice, from 0 */
};

/* memory_bytes: for slots and batches together, at least DEDUPE_MEMORY_MIN_BYTES (asserted); taken
 * as needed. window_ms: how long a key is kept. key: random, of this process. */
struct dedupe *dedupe_new(size_t memory_bytes, int64_t window_ms,
                          const unsigned char key[DEDUPE_KEY_BYTES]);
void dedupe_free(struct dedupe *d);

/* How many events one batch may have at most: a quarter of what the table can hold. */
uint32_t dedupe_batch_max(const struct dedupe *d);

/* Over domain, tenant and id, each with its length: no two triples read the same. */
struct dedupe_hash dedupe_hash(const struct dedupe *d, enum id_domain domain, struct text tenant,
                               struct text id);
void dedupe_prefetch(const struct dedupe *d, const struct dedupe_hash *hash);

/* Start the pending batch: numbers and rows below n (at most dedupe_batch_max, asserted). Makes
 * room, if it must by dropping the oldest batches: ask for dedupe_window_ms afterwards, not before,
 * to tell which events are older than the window. One at a time (asserted). */
void dedupe_begin(struct dedupe *d, uint32_t n);

/* Candidates for this key, at most max of them, newest batch not necessarily first. Returns how
 * many there are, which may be more than max. */
int dedupe_probe(const struct dedupe *d, const struct dedupe_hash *hash, struct dedupe_hit *hits,
                 int max);

/* Add a key to the pending batch as that number. The caller has probed; nothing is compared. */
void dedupe_insert(struct dedupe *d, const struct dedupe_hash *hash, uint32_t number);

/* The event that was inserted as number is stored as that row, counted through all slices. */
void dedupe_place(struct dedupe *d, const struct dedupe_hash *hash, uint32_t number, uint32_t row);

/* Insert and place in one, for rows read back from a stored batch: begin, load each, commit; oldest
 * batch first. */
void dedupe_load(struct dedupe *d, const struct dedupe_hash *hash, uint32_t row);

/* Instead of dedupe_load: this row is another table's, and only counts where rows are numbered. */
void dedupe_skip(struct dedupe *d);

/* The pending batch is stored. */
void dedupe_commit(struct dedupe *d, const struct dedupe_batch *batch);
void dedupe_abort(struct dedupe *d);

/* What is read next was added at reading_ms or later. It may go back, if a stream is read again. */
void dedupe_read_from(struct dedupe *d, int64_t reading_ms);
/* Forget batches that have left the window. Cheap; call it once a batch. */
void dedupe_expire(struct dedupe *d, int64_t now_ms);

/* The table knows only of batches whose last entry came after since_ms: where a rebuild began to
 * read. What it knows to be less, since it dropped batches while they were loaded, stays so. */
void dedupe_set_since(struct dedupe *d, int64_t since_ms);
/* How far back from what is read next keys are known, in ms: window_ms, or less after shrinking or
 * a short rebuild. */
int64_t dedupe_window_ms(const struct dedupe *d);
/* Batches within the window dropped for want of memory since the last call. */
uint64_t dedupe_shrunk(struct dedupe *d);

struct dedupe_stats {
    uint64_t keys;     /* placed and alive */
    uint64_t batches;  /* alive */
    size_t used_bytes; /* of memory_bytes, for slots and batches */
};
struct dedupe_stats dedupe_stats(const struct dedupe *d);

#endif
