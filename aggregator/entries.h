/* Entries of a stream as XREAD replies them, without an object per field.
 *
 *     struct entries front = {0}, back = {0};
 *     struct entries_reader reader = {0};
 *     redis_set_reader(redis, &ENTRIES_READER_FUNCTIONS, &reader);
 *     entries_reader_target(&reader, &front);
 *     … XREAD; in its callback:
 *     if (entries_accept(&reader, reply, &error) == 0)
 *         … front has grown; entries_reader_target(&reader, &back), read on, work on front.
 *
 * Replies append to the target, whose strings never move: texts stay valid until entries_clear,
 * also while more replies are appended. What a reply has appended counts only once it is accepted;
 * a reply that breaks off, is odd or is not accepted leaves the target as it was. */
#ifndef METERLINE_ENTRIES_H
#define METERLINE_ENTRIES_H

#include "aggregator/arena.h"
#include "aggregator/text.h"
#include "common/err.h"

#include <hiredis/hiredis.h>
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
    struct arena arena;        /* owns the bytes of strings */
};

void entries_clear(struct entries *e); /* empty; memory kept */
void entries_done(struct entries *e);  /* frees all */

/* The names and values of one entry: list[index].fields texts, NULL if it was deleted. Valid until
 * the next append. */
static inline const struct text *entries_fields(const struct entries *e, uint32_t index)
{
    return e->list[index].fields == 0 ? NULL : e->strings + e->list[index].first_field;
}

/* Append by hand, for tests and for replay: begin, then each name and value. */
void entries_add(struct entries *e, uint64_t ms, uint64_t seq);
void entries_add_field(struct entries *e, struct text name, struct text value);

/* What hiredis' functions build into. Zero-initialise; lives as long as the connection. */
struct entries_reader {
    redisReply reply;         /* first: the root that hiredis hands around; never freed */
    struct entries *target;   /* borrowed: where the next reply's entries go; NULL: none expected */
    struct entries *decoding; /* borrowed: where this reply's go */
    uint32_t mark_clears;     /* of decoding, when this reply began */
    uint32_t mark_count;      /* likewise, or as accepted */
    uint32_t mark_strings;
    size_t mark_bytes;
    bool malformed;  /* this reply is not of XREAD's shape, or its target was cleared meanwhile */
    char levels[16]; /* their addresses name the depth of an array while it is being read */
    char *text;      /* malloc'd: text of an error or of another plain reply, or NULL */
};

/* For redis_set_reader, with a struct entries_reader as privdata. The root is a redisReply with
 * type, str and len (error, status, string), integer or elements set, and element always NULL. */
extern redisReplyObjectFunctions ENTRIES_READER_FUNCTIONS;

/* Entries of the replies that begin from now on go to target (or nowhere: NULL). A reply that has
 * begun goes on where it was; clearing that target meanwhile makes it malformed, freeing its struct
 * is not allowed before the reply has ended or its connection is gone. */
void entries_reader_target(struct entries_reader *r, struct entries *target);

/* In the callback: keep what this reply appended. reply: what the callback got. Returns 0 (also for
 * a nil reply, which appended nothing), or -1 with e: ERR_REFUSED with Redis' text for an error
 * reply, ERR_INPUT for a reply that is not of the shape [[stream, [[id, [name, value …]] …]]]. */
int entries_accept(struct entries_reader *r, const void *reply, struct err *e);

/* Frees what the reader itself owns, not the target. */
void entries_reader_done(struct entries_reader *r);

#endif
