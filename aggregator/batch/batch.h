/* One batch in memory, from entries to what the ledger writes. No I/O:
 *
 *     batch_parse -> events with their hashes, and what is rejected
 *     batch_again_count above 0: ask the ledger what became of those entries, batch_note_again for
 *                    each that it knows, then batch_settle_again
 *     batch_probe -> keys in the table; then ask the ledger about candidates and old items
 *     batch_confirm for each stored row that the ledger found
 *     batch_settle -> fates, columns slice by slice, the minute sums
 *     batch_commit after COMMIT, or batch_abort
 *
 * A repeated id is judged against the stored event first, then against the first one of this batch.
 * A retraction has a key of its own, so that a repeated one is recognised, and finds its target by
 * the target's key. What became of an entry never changes: if it is read again, since Redis lost
 * what came after it, it is a duplicate of itself, whatever it would be judged to be by now.
 * Files: batch.c, batch_again.c, batch_retract.c, batch_settle.c. */
#ifndef METERLINE_BATCH_H
#define METERLINE_BATCH_H

#include "aggregator/batch/event.h"
#include "aggregator/batch/minute_sums.h"
#include "aggregator/dedupe/dedupe.h"
#include "aggregator/ledger/columns.h"
#include "aggregator/stream/entries.h"
#include "aggregator/stream/entry_id.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

enum fate { FATE_NEW, FATE_COUNTED, FATE_DUPLICATE, FATE_CONFLICT, FATE_REJECTED };

struct item {
    struct event event;
    struct dedupe_hash hash;
    enum fate fate;
    int64_t first;       /* number of the first item of this batch with the same key, or -1; of that
                          * one itself, should it not count: the one that does */
    uint32_t retraction; /* index in retractions, of one */
    bool old;            /* its time of use lies before the deduplication window, … */
    bool id_old;         /* … and so does the time at which its id says that it was made */
    bool again;          /* its entry was read before: what became of it is settled */
};

/* A counted event that a retraction takes back. */
struct target {
    bool found;
    bool by_default;    /* its id is one by default */
    struct text metric; /* its own, by the name that it was counted under */
    struct text fields; /* "{}" when none */
    struct dec quantity;
    int64_t occurred_ms;
    uint64_t ms; /* its entry */
    uint64_t seq;
};

struct retraction {
    enum id_domain domain;     /* of its target's key */
    struct dedupe_hash target; /* that key */
    int64_t first;             /* number of an earlier item of this batch with that key, or -1 */
    struct target stored;      /* as the ledger found it */
};

/* A stored row that may hold an item's key. */
struct candidate {
    uint32_t item;
    int32_t day;
    int64_t batch;
    uint32_t slice;
    uint32_t row; /* within the slice, from 0 */
};

/* An entry that is not counted and is kept with its reason. */
struct rejection {
    uint32_t entry; /* index into entries */
    const char *reason;
    struct text tenant;
    char detail[160];
};

/* A stored row as the ledger read it; texts borrowed. */
struct stored_row {
    struct text tenant;
    struct text metric;
    struct text id;  /* spelt out if by default */
    bool by_default; /* it had none of its own */
    uint64_t ms;
    uint64_t seq;
    struct dec quantity;
    struct text fields; /* "{}" when none */
    int64_t occurred_ms;
    int retracts; /* 0: usage; 1: takes back a given id, 2: an id by default */
};

struct batch {
    const struct catalog *catalog; /* borrowed, until the batch has ended */
    const struct entries *entries; /* borrowed, likewise */
    uint32_t clears;               /* of entries, when they were parsed */
    struct dedupe *dedupe;
    struct event_parser parser;
    struct entry_id
        repeats_until; /* set by the owner: entries up to it may have been read before */
    struct tenants tenants;
    uint32_t from; /* entries[from … to - 1] are this batch */
    uint32_t to;

    struct item *items;
    uint32_t items_count;
    uint32_t items_capacity;
    struct retraction *retractions;
    uint32_t retractions_count;
    uint32_t retractions_capacity;
    struct candidate *candidates;
    uint32_t candidates_count;
    uint32_t candidates_capacity;
    int64_t now_ms;          /* as given to batch_probe */
    int64_t known_since_ms;  /* batches whose last entry came later are in the dedupe table … */
    int64_t window_start_ms; /* … with all whose time of use is this or later */
    bool *again;             /* of entries[from + i]: read before; see batch_note_again */
    uint32_t again_capacity;
    uint32_t again_count;
    int64_t dropped_until_ms; /* set by the owner: minutes up to then cannot be counted anew … */
    int64_t rejects_dropped_until_ms; /* … and rejects of entries from before may be gone */
    uint32_t old_count;               /* items that are old, or whose ids are */
    struct rejection *rejections;     /* conflicts too */
    uint32_t rejections_count;
    uint32_t rejections_capacity;

    int64_t counted;
    int64_t duplicates;
    int64_t rejected;
    int64_t conflicts;
    uint32_t slice_counts[SLICES];
    uint32_t *order; /* numbers of items by slice, in the order of arrival within one */
    uint32_t order_capacity;
    struct slice_columns slices[SLICES];
    struct columns repeats;
    struct minute_sums sums;
    struct columns recounts;
};

/* key: 16 random bytes of this process. stream: static. */
void batch_init(struct batch *b, const char *stream, int shard, int shards,
                const unsigned char key[16]);
void batch_done(struct batch *b);

/* Parse entries[from … to - 1]. dedupe: its table is not looked into before batch_probe, nor is
 * anything else that changes with another batch. refuse: NULL, or why the one entry (to = from + 1)
 * is rejected as `refused` unseen. */
void batch_parse(struct batch *b, const struct catalog *catalog, struct dedupe *dedupe,
                 const struct entries *entries, uint32_t from, uint32_t to, const char *refuse);
/* The same for the entries from there until before to. */
void batch_parse_more(struct batch *b, uint32_t to);
/* How many of its first entries lie at or before repeats_until, and may have been read before. */
uint32_t batch_again_count(const struct batch *b);
/* Is the stored row what became of that entry? They may differ, since Redis may give the id of an
 * entry that it lost to another one. */
bool batch_is_row(struct batch *b, uint32_t entry, const struct stored_row *row);
/* The number of the entry with that id; -1: there is none in this batch. */
int64_t batch_find_entry(const struct batch *b, struct entry_id id);
/* The ledger has what became of this entry. */
void batch_note_again(struct batch *b, uint32_t entry);
bool batch_is_again(const struct batch *b, uint32_t entry);
/* After the last batch_note_again: those entries are duplicates, even if they would be rejected by
 * now. Of the others, those that retention may have dropped (see …dropped_until_ms) are rejected,
 * since they may have been counted. */
void batch_settle_again(struct batch *b);
/* Look for repeated keys. From here until batch_commit or batch_abort the table is this batch's.
 * Events that may have been counted before the dedupe window are old, or their ids are: the ledger
 * must be asked for them too. now_ms: Unix, by the ledger's clock. Entries without an id of
 * their own are repeats only up to repeats_until, and only if they are the same: in a stream that
 * began anew, Redis may give an id again to another entry. */
void batch_probe(struct batch *b, int64_t now_ms);
/* The ledger's answer for an item, which may be another key: that is compared here. */
void batch_confirm(struct batch *b, uint32_t item, const struct stored_row *row);
/* Decide every fate and fill columns, slice by slice (what one holds depends on no other, since a
 * tenant has one), and the minute sums. on_slice is called for each that is done. */
typedef void (*batch_slice_fn)(void *owner, int slice);
void batch_settle(struct batch *b, batch_slice_fn on_slice, void *owner);
/* It has something to fold, and waits in the ledger until that is done. So does a batch of
 * retractions alone: until then its minutes still hold what it takes back. */
bool batch_waits(const struct batch *b);
/* COMMIT came back. stored: all but slice_counts is set by the caller. */
void batch_commit(struct batch *b, struct dedupe_batch *stored);
/* Nothing was written, or that is not known. */
void batch_abort(struct batch *b);

/* For the files of this header alone. */

/* Room for one more element of a growing list. */
void *batch_grow(void *list, uint32_t count, uint32_t *capacity, size_t size);
struct rejection *batch_add_rejection(struct batch *b, uint32_t entry, const char *reason);
/* The item with the same key that was counted before in this batch, or NULL. first: see struct
 * item, or -1. */
const struct item *batch_counted_first(const struct batch *b, int64_t first);
void batch_note_duplicate(struct batch *b, const struct item *item);
/* The item is counted. Later ones with its key are judged by it. */
void batch_own_key(struct batch *b, uint32_t number);
/* A retraction was parsed: what its target's keys may be. */
void retraction_open(struct batch *b, struct item *item);
/* A stored row of the same tenant: the retraction itself, its target, or neither. */
void retraction_confirm(struct batch *b, uint32_t number, const struct stored_row *row);
/* Decide its fate, in the order of arrival. */
void retraction_settle(struct batch *b, uint32_t number);

#endif
