/* Reading a stream ahead: one connection that waits in XREAD, and two buffers. While one buffer is
 * worked on, the other one fills.
 *
 *     stream_reader_start      then on_due whenever a batch's worth waits and none is out
 *     stream_reader_take       gives it
 *     stream_reader_give_back  when that batch has ended
 *     stream_reader_stop       forgets everything, which loses nothing: entries stay in the stream
 *                              until it is trimmed */
#ifndef METERLINE_STREAM_READER_H
#define METERLINE_STREAM_READER_H

#include "aggregator/stream/entries.h"
#include "aggregator/stream/entry_id.h"
#include "aggregator/stream/xread.h"
#include "common/redis/redis.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct stream_reader_spec {
    const char *stream;
    uint32_t batch_max; /* entries that make a batch due; while one is out, some more may come */
    int64_t flush_ms;   /* longest wait for one to fill */
    bool once;          /* do not wait for entries */
    void (*on_due)(void *owner);
    /* Nothing came, and nothing waits here; with once: the stream is read to its end. */
    void (*on_empty)(void *owner);
    /* More entries came, after the next XREAD was sent. */
    void (*on_more)(void *owner);
    void (*on_failed)(void *owner, const struct err *error);
    void *owner;
};

struct stream_reader {
    struct stream_reader_spec spec;
    struct redis *redis; /* owned by the caller; its replies come through `xread` */
    struct xread xread;
    struct entries buffers[2];
    struct entries *filling;
    struct entries *taken;  /* NULL: none is out */
    struct entry_id next;   /* read from after this one */
    int64_t first_us;       /* when the first entry of filling came, monotonic */
    int64_t taken_since_us; /* … and that of taken */
    bool running;
    bool polling;          /* inside stream_reader_poll */
    bool in_flight;        /* an XREAD is */
    uint32_t count_before; /* of filling, when the XREAD was sent: decoding appends to it */
    size_t bytes_before;   /* of filling, likewise */
    bool drained;          /* once: the last reply brought nothing */
    bool more;             /* the last reply brought all that was asked for: there may be more */
    uint32_t asked;        /* COUNT of the XREAD in flight */
    uint32_t entry_bytes;  /* of an entry, to be expected, for the next COUNT */
};

void stream_reader_init(struct stream_reader *r, struct stream_reader_spec spec);
void stream_reader_done(struct stream_reader *r);

/* Right after redis_open: the connection is for reading alone. */
void stream_reader_attach(struct stream_reader *r, struct redis *redis);
/* Read from after `from`. The connection is up, and nothing runs (asserted). */
void stream_reader_start(struct stream_reader *r, struct entry_id from);
void stream_reader_stop(struct stream_reader *r);

/* The waiting entries, if they are due and none are out; else NULL. */
const struct entries *stream_reader_take(struct stream_reader *r);
void stream_reader_give_back(struct stream_reader *r);
/* For an owner who works long in one turn of the loop, with entries taken: what has come is taken
 * in, and the next XREAD is sent. No callback runs. */
void stream_reader_poll(struct stream_reader *r);
/* The entries that come in now: those that stream_reader_take will give next. They are only
 * appended to; those below `complete` are there with all their fields. */
const struct entries *stream_reader_filling(const struct stream_reader *r, uint32_t *complete);
/* Is there more in the stream than was taken, as far as is known? */
bool stream_reader_has_more(const struct stream_reader *r);
/* After on_empty with once: look again. */
void stream_reader_resume(struct stream_reader *r);

#endif
