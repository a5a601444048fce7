#include "aggregator/stream/stream_reader.h"

#include "common/clock.h"
#include "common/stage.h"

#include <assert.h>

enum {
    BUFFER_BYTES_MAX =
        64 << 20,          /* of names and values: a buffer is full then, whatever its count */
    REPLY_BYTES = 4 << 20, /* what one XREAD should bring at most */
    ENTRY_BYTES_FIRST = 64 << 10, /* of an entry, as long as none is known */
    COUNT_MAX = 20000,
    IDLE_BLOCK_MS = 1000,
    RECHECK_MS = 20,
    DEADLINE_MS = 15000
};

static void pump(struct feed *f);

void feed_init(struct feed *f, struct feed_spec spec)
{
    *f = (struct feed){.spec = spec};
    f->filling = &f->buffers[0];
}

void feed_done(struct feed *f)
{
    entries_done(&f->buffers[0]);
    entries_done(&f->buffers[1]);
    xread_done(&f->reader);
}

static bool is_large(const struct feed *f)
{
    return f->filling->count >= f->spec.batch_max || f->filling->bytes >= BUFFER_BYTES_MAX;
}

/* Entries that still find room. */
static uint32_t room_left(const struct feed *f)
{
    uint32_t max = f->spec.batch_max + (f->taken != NULL ? f->spec.batch_max / 5 * 6 : 0);

    return f->filling->count >= max || f->filling->bytes >= BUFFER_BYTES_MAX
               ? 0
               : max - f->filling->count;
}

/* Milliseconds until what waits must be committed; 0 if it must now. */
static int64_t flush_in_ms(const struct feed *f)
{
    int64_t waited = (clock_monotonic_us() - f->first_us) / 1000;

    return waited >= f->spec.flush_ms ? 0 : f->spec.flush_ms - waited;
}

static bool is_due(const struct feed *f)
{
    return f->filling->count > 0 &&
           (is_large(f) || (f->spec.once && !f->more) || flush_in_ms(f) == 0);
}

/* Large entries tell at once, small ones bit by bit: a reply of many that turn out to be large may
 * be more than there is memory or time for, and would be asked for again after each crash. */
static void learn_entry_bytes(struct feed *f)
{
    const struct entries *e = f->filling;
    size_t mean = (e->bytes - f->bytes_before) / (e->count - f->count_before) + 64;
    size_t least = f->entry_bytes / 4;

    f->entry_bytes = (uint32_t)(mean > least ? mean : least);
}

static void take_reply(struct feed *f)
{
    const struct entries *e = f->filling;
    uint32_t before = f->count_before;

    f->drained = f->spec.once && e->count == before;
    f->more = e->count - before >= f->asked;
    if (e->count == before)
        return;
    /* Redis gives entries above the id that was asked for, in order: reading one twice is our bug.
     */
    assert(entry_id_compare((struct entry_id){.ms = e->list[before].ms, .seq = e->list[before].seq},
                            f->next) > 0);
    if (before == 0)
        f->first_us = clock_monotonic_us();
    f->next = (struct entry_id){.ms = e->list[e->count - 1].ms, .seq = e->list[e->count - 1].seq};
    learn_entry_bytes(f);
}

static void send_read(struct feed *f);

/* Nobody is told inside feed_poll. A failure is told when the connection is back and meets it
 * again. */
static void take_polled(struct feed *f, const struct err *error)
{
    if (error != NULL) {
        redis_reset(f->redis);
        return;
    }
    take_reply(f);
    if (room_left(f) > 0 && !f->drained)
        send_read(f);
}

static void on_read(void *owner, const struct err *error, void *reply)
{
    struct feed *f = owner;

    (void)reply;
    f->in_flight = false;
    stage_crash_point("while_reading");
    if (!f->running)
        return;
    if (f->polling) {
        take_polled(f, error);
        return;
    }
    if (error != NULL) {
        f->spec.on_failed(f->spec.owner, error);
        return;
    }
    take_reply(f);
    if (f->filling->count == 0 && f->taken == NULL)
        f->spec.on_empty(f->spec.owner);
    if (f->running && !(f->drained && f->filling->count == 0 && f->taken == NULL))
        pump(f);
    if (f->running && f->spec.on_more != NULL)
        f->spec.on_more(f->spec.owner);
}

/* How long this XREAD may wait: until the flush is due, or a while. */
static int64_t block_ms(const struct feed *f)
{
    int64_t wait;

    if (f->filling->count == 0)
        return f->more ? RECHECK_MS : IDLE_BLOCK_MS;
    wait = flush_in_ms(f);
    /* Due, but a batch is still out: look again soon. 0 would mean for ever. */
    return wait > 0 ? wait : RECHECK_MS;
}

static void send_read(struct feed *f)
{
    char id[ENTRY_ID_TEXT_SIZE];
    uint32_t room = room_left(f);
    uint32_t count = REPLY_BYTES / f->entry_bytes;

    count = count > COUNT_MAX ? COUNT_MAX : count;
    count = count > room ? room : count;
    entry_id_format(f->next, id);
    xread_target(&f->reader, f->filling);
    f->count_before = f->filling->count;
    f->bytes_before = f->filling->bytes;
    f->in_flight = true;
    f->asked = count > 0 ? count : 1;
    if (f->spec.once)
        redis_commandf(f->redis, DEADLINE_MS, on_read, f, "XREAD COUNT %u STREAMS %s %s", f->asked,
                       f->spec.stream, id);
    else
        redis_commandf(f->redis, DEADLINE_MS + (uint64_t)block_ms(f), on_read, f,
                       "XREAD COUNT %u BLOCK %lld STREAMS %s %s", f->asked, (long long)block_ms(f),
                       f->spec.stream, id);
}

/* Hand over what is due, then keep one XREAD in flight as long as there is room. */
static void pump(struct feed *f)
{
    if (!f->running || f->in_flight)
        return;
    if (is_due(f) && f->taken == NULL)
        f->spec.on_due(f->spec.owner);
    if (f->running && !f->in_flight && room_left(f) > 0 && !(f->drained && f->taken != NULL))
        send_read(f);
}

void feed_poll(struct feed *f)
{
    if (!f->running || !f->in_flight)
        return;
    f->polling = true;
    redis_poll(f->redis);
    f->polling = false;
}

static void restart_reader(void *owner)
{
    struct feed *f = owner;

    xread_restart(&f->reader);
}

static char *reserve_bytes(void *owner, size_t *size)
{
    struct feed *f = owner;

    return xread_reserve(&f->reader, size);
}

static int take_bytes(void *owner, size_t n, struct err *e)
{
    struct feed *f = owner;

    return xread_take(&f->reader, n, e);
}

void feed_attach(struct feed *f, struct redis *redis)
{
    f->redis = redis;
    redis_set_decoder(redis, (struct redis_decoder){restart_reader, reserve_bytes, take_bytes, f});
}

void feed_start(struct feed *f, struct entry_id from)
{
    assert(!f->running && f->taken == NULL);
    f->next = from;
    f->entry_bytes = ENTRY_BYTES_FIRST;
    f->running = true;
    f->drained = false;
    pump(f);
}

void feed_stop(struct feed *f)
{
    f->running = false;
    f->taken = NULL;
    entries_clear(&f->buffers[0]);
    entries_clear(&f->buffers[1]);
    /* A reply under way is for nobody any more, and must not meet the next one's target. */
    if (f->in_flight)
        redis_reset(f->redis);
}

const struct entries *feed_take(struct feed *f)
{
    if (!f->running || f->in_flight || f->taken != NULL || !is_due(f))
        return NULL;
    f->taken = f->filling;
    f->filling = f->filling == &f->buffers[0] ? &f->buffers[1] : &f->buffers[0];
    return f->taken;
}

void feed_give_back(struct feed *f)
{
    assert(f->taken != NULL);
    entries_clear(f->taken);
    f->taken = NULL;
    pump(f);
}

bool feed_has_more(const struct feed *f)
{
    return f->more || f->filling->count > 0;
}

void feed_resume(struct feed *f)
{
    pump(f);
}

/* A reply comes in pieces: its last entry may be half there. */
const struct entries *feed_filling(const struct feed *f, uint32_t *complete)
{
    *complete = f->in_flight ? f->count_before : f->filling->count;
    return f->filling;
}
