/* Entries of a stream, as XREAD returns them (xread.h), without an object for each field.
 *
 * Entries are only ever appended, and their strings never move: texts stay valid until
 * entries_clear, also while more entries come. */
#ifndef METERLINE_ENTRIES_H
#define METERLINE_ENTRIES_H

#include "aggregator/stream/arena.h"
#include "aggregator/stream/entry_id.h"
#include "aggregator/stream/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry {
    uint64_t ms;          /* id, first half: Unix ms unless a client chose it; any 64 bits */
    uint64_t seq;         /* id, second half */
    uint32_t first_field; /* index into strings */
    uint32_t fields;      /* strings: name, value, name, value …; 0: the entry was deleted */
    uint32_t bytes;       /* of all its names and values; Redis refuses entries of 1 GiB */
};

/* Zero-initialise. */
struct entries {
    struct entry *list; /* in the stream's order */
    struct text *strings;
    uint32_t count;            /* of list */
    uint32_t capacity;         /* of list */
    uint32_t strings_count;    /* of strings */
    uint32_t strings_capacity; /* of strings */
    uint32_t clears;           /* counts entries_clear, so that a reader notices */
    size_t bytes;              /* of all names and values: what a batch's memory bound looks at */
    struct arena arena;        /* owns the bytes of strings; equal names may share theirs */
};

void entries_clear(struct entries *e); /* empty; memory kept */
void entries_done(struct entries *e);  /* frees all */

/* The names and values of one entry: list[index].fields texts, NULL if it was deleted. Valid until
 * the next append. */
static inline const struct text *entries_fields(const struct entries *e, uint32_t index)
{
    return e->list[index].fields == 0 ? NULL : e->strings + e->list[index].first_field;
}

/* What an entry says, in 64 bits: by it one that is read again is told from another one to which
 * Redis gave the id of an entry that it lost. Kept in the ledger, so it never changes: SipHash-2-4
 * without a key over each name and value in the entry's order, each with its length. */
int64_t entry_content(const struct entries *entries, uint32_t index);

static inline struct entry_id entries_id(const struct entries *e, uint32_t index)
{
    return (struct entry_id){.ms = e->list[index].ms, .seq = e->list[index].seq};
}

/* Append: begin an entry, then each name and value. */
void entries_add(struct entries *e, uint64_t ms, uint64_t seq);
void entries_add_field(struct entries *e, struct text name, struct text value);

/* Room for one more string at least; for xread.c. */
void entries_grow_strings(struct entries *e);

#endif
