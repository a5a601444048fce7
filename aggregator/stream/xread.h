/* Replies to XREAD, as the bytes that Redis sends, into entries.
 *
 *     struct xread x = {0};
 *     xread_target(&x, &entries);
 *     for each piece that comes, of whatever size:
 *         char *room = xread_reserve(&x, &size);
 *         … n bytes, at most size, are written there …
 *         xread_take(&x, n, &error)
 *
 * Pure: whoever has the bytes calls. Names and values are copied once, from the piece into the
 * entries; large ones are written there at once. A piece may end anywhere: what was tokenized stays
 * so, but for a length's line that has not ended (24 bytes at most).
 *
 * What a reply has appended counts only once the reply is whole; one that breaks off, is an error
 * or odd leaves the target as it was. */
#ifndef METERLINE_XREAD_H
#define METERLINE_XREAD_H

#include "aggregator/stream/entries.h"
#include "common/err.h"

/* What comes next, in this order; the last four again and again. */
enum xread_state {
    XREAD_AT_REPLY,   /* an array of one stream, or nil, or an error */
    XREAD_AT_STREAM,  /* an array of name and entries */
    XREAD_AT_NAME,    /* of the stream */
    XREAD_AT_ENTRIES, /* an array of entries */
    XREAD_AT_ENTRY,   /* an array of id and fields */
    XREAD_AT_ID,
    XREAD_AT_FIELDS, /* an array of name, value, name, value …, or nil: the entry was deleted */
    XREAD_AT_STRING, /* a name or a value */
    XREAD_AT_LINE    /* the rest of an error, or of another reply of one line */
};

/* Zero-initialise. */
struct xread {
    struct entries *next_target; /* borrowed: of the replies that have not begun; NULL: none */
    struct entries *target;      /* borrowed: of the reply that has */
    uint32_t mark_clears;        /* of target, when this reply began */
    uint32_t mark_count;
    uint32_t mark_strings;
    size_t mark_bytes;

    enum xread_state state;
    uint32_t entries_left; /* of this reply */
    uint32_t strings_left; /* of this entry */
    int64_t length;        /* of the string whose "$length" was taken; -1: not yet */
    char *body;            /* in target's arena: where a large string's bytes go; or NULL */
    size_t body_left;      /* that have not come; 0 with body: its line end has not */
    char line[180];        /* of XREAD_AT_LINE, as far as it fits */
    uint32_t line_length;

    char *buffer;    /* owned; NULL before the first reserve */
    size_t at;       /* in buffer: up to here it is tokenized */
    size_t end;      /* in buffer: up to here bytes have come */
    uint64_t passed; /* bytes of this reply before buffer[at]; for messages */
};

/* Entries of the replies that begin from now on go to target, which lives until the reply ends or
 * xread_restart is called. Clearing it meanwhile is an error of that reply. */
void xread_target(struct xread *x, struct entries *target);

/* Another connection: what came of a reply is forgotten. */
void xread_restart(struct xread *x);

/* Where the next bytes go, valid until the next call of anything here; *size: how many, at least
 * 1. */
char *xread_reserve(struct xread *x, size_t *size);

/* n bytes have been written there. Returns 0: more are needed. 1: a reply has ended; e->kind is
 * ERR_NONE and its entries were appended (none for nil), or ERR_REFUSED with Redis' text, or
 * ERR_INPUT for an integer or a status. More replies may be there: call with n = 0 until it says 0.
 * -1 with ERR_INPUT: these bytes are no reply to XREAD, and nobody knows where the next one begins;
 * only xread_restart helps. */
int xread_take(struct xread *x, size_t n, struct err *e);

void xread_done(struct xread *x); /* frees what it owns, not the target */

#endif
