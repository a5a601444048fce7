/* Reading ahead: one connection that waits in XREAD, two buffers. While one buffer is worked on,
 * the other one fills.
 *
 *     feed_start -> on_due whenever a batch's worth waits and no batch is out
 *                -> feed_take gives it, feed_give_back when it has ended
 *     feed_stop forgets everything; nothing is lost, since entries leave the stream only when
 * trimmed */
#ifndef METERLINE_FEED_H
#define METERLINE_FEED_H

#include "aggregator/stream/entries.h"
#include "aggregator/stream/entry_id.h"
#include "aggregator/stream/xread.h"
#include "common/redis/redis.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct feed_spec {
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

struct feed {
    struct feed_spec spec;
    struct redis *redis; /* owned by the caller; its replies come through `reader` */
    struct xread reader;
    struct entries buffers[2];
    struct entries *filling;
    struct entries *taken; /* NULL: none is out */
    struct entry_id next;  /* read from after this one */
    int64_t first_us;      /* when the first entry of filling came, monotonic */
    bool running;
    bool polling;          /* inside feed_poll */
    bool in_flight;        /* an XREAD is */
    uint32_t count_before; /* of filling, when the XREAD was sent: decoding appends to it */
    size_t bytes_before;   /* of filling, likewise */
    bool drained;          /* once: the last reply brought nothing */
    bool more;             /* the last reply brought all that was asked for: there may be more */
    uint32_t asked;        /* COUNT of the XREAD in flight */
    uint32_t entry_bytes;  /* of an entry, to be expected, for the next COUNT */
};

void feed_init(struct feed *f, struct feed_spec spec);
void feed_done(struct feed *f);

/* Right after redis_open: the connection is for reading alone. */
void feed_attach(struct feed *f, struct redis *redis);
/* Read from after `from`. The connection is up, and nothing runs (asserted). */
void feed_start(struct feed *f, struct entry_id from);
void feed_stop(struct feed *f);

/* The waiting entries, if they are due and none are out; else NULL. */
const struct entries *feed_take(struct feed *f);
void feed_give_back(struct feed *f);
/* For an owner who works long in one turn of the loop, with entries taken: what has come is taken
 * in, and the next XREAD is sent. Nobody is told. */
void feed_poll(struct feed *f);
/* The entries that come in now: those that feed_take will give next. They are only appended to;
 * those below `complete` are there with all their fields. */
const struct entries *feed_filling(const struct feed *f, uint32_t *complete);
/* Is there more in the stream than was taken, as far as is known? */
bool feed_has_more(const struct feed *f);
/* After on_empty with once: look again. */
void feed_resume(struct feed *f);

#endif
