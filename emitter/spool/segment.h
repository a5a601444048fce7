/* One file of the spool: records behind each other in shared memory, so that they outlive the
 * process that wrote them, however it ends.
 *
 * A record counts once its checksum is written, which comes last. The checksum is keyed by a secret
 * of the segment, so that no text of an event can pass for a record when a segment is read after a
 * crash. Disk space is taken when the file is made: a full disk is an error then, never a signal
 * when memory is touched later. */
#ifndef METERLINE_EMITTER_SEGMENT_H
#define METERLINE_EMITTER_SEGMENT_H

#include "common/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEGMENT_HEADER_SIZE 4096
#define SEGMENT_RECORD_MAX  16384 /* bytes of one record */
#define SEGMENT_SUFFIX      ".spool"
#define SEGMENT_UNFINISHED  ".new" /* while it is made: nothing is in it */

struct segment {
    char *path;  /* owned; NULL: in memory alone */
    int fd;      /* -1: in memory alone */
    char *bytes; /* mapped; NULL while it is not */
    size_t size; /* of all of it, in bytes */
    uint64_t number;
    _Atomic size_t reserved; /* up to here records are written, or will be in a moment */
    _Atomic int writers;     /* that still copy */
    _Atomic int closed;      /* 1: nothing more is reserved */
    bool is_old;             /* another process wrote it */
    bool is_damaged;         /* a record was there that nobody can read */
    bool is_synced;          /* all of it, after it was closed */
    size_t read;             /* the reader's place */
    size_t read_end;         /* of the last record that was read, or settled by another process */
    struct segment *next;
};

struct segment_record {
    const char *data; /* in the segment: valid until it is settled */
    size_t length;
    int64_t shard;
    size_t end; /* of the record in its segment: what to settle up to */
};

/* folder: NULL for memory alone. Returns NULL with e. */
struct segment *segment_create(const char *folder, uint64_t number, size_t size, struct err *e);
/* One that another process left. What it settled is not read again. Returns NULL with e. */
struct segment *segment_open(const char *path, uint64_t number, struct err *e);
/* Unmaps it; the file stays. */
void segment_free(struct segment *s);
/* Deletes its file; one that is damaged is kept under another name. */
void segment_remove(struct segment *s);

/* The room that a record of that length takes. */
size_t segment_room_of(size_t length);
/* At `at`, which was reserved. */
void segment_write(struct segment *s, size_t at, int64_t shard, const char *data, size_t length);
/* The next record, in the order of places. Returns 1, or 0: there is none now. */
int segment_next(struct segment *s, struct segment_record *out);
/* All records that end at or before `end` are done with: nobody reads them again. */
void segment_settle(struct segment *s, size_t end);
/* Nothing that was read waits to be settled. */
bool segment_is_settled(const struct segment *s);
/* The reader has passed all of it, and nobody writes. */
bool segment_is_read(const struct segment *s);
/* While nobody reads or writes it, it need not be in memory. */
void segment_unmap(struct segment *s);
int segment_map(struct segment *s, struct err *e); /* 0, or -1 with e; again does nothing */
/* To disk, and not just out of this process. Returns 0, or -1 with e. */
int segment_sync(const struct segment *s, struct err *e);

#endif
