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

static void send_read(struct stream_reader *r);

void stream_reader_init(struct stream_reader *r, struct stream_reader_spec spec)
{
    *r = (struct stream_reader){.spec = spec};
    r->filling = &r->buffers[0];
}

void stream_reader_done(struct stream_reader *r)
{
    entries_done(&r->buffers[0]);
    entries_done(&r->buffers[1]);
    xread_done(&r->xread);
}

/* Entries that still find room. */
static uint32_t room_left(const struct stream_reader *r)
{
    uint32_t max = r->spec.batch_max + (r->taken ? r->spec.batch_max / 5 * 6 : 0);
    return r->filling->count >= max || r->filling->bytes >= BUFFER_BYTES_MAX
               ? 0
               : max - r->filling->count;
}

/* Milliseconds until what waits must be committed; 0 if it must now. */
static int64_t flush_in_ms(const struct stream_reader *r)
{
    int64_t waited = (clock_monotonic_us() - r->first_us) / 1000;
    return waited >= r->spec.flush_ms ? 0 : r->spec.flush_ms - waited;
}

static bool is_due(const struct stream_reader *r)
{
    return r->filling->count > 0 &&
           (r->filling->count >= r->spec.batch_max || r->filling->bytes >= BUFFER_BYTES_MAX ||
            (r->spec.once && !r->more) || flush_in_ms(r) == 0);
}

/* The estimate rises at once and falls step by step. A reply of many entries that turn out to be
 * large may be more than there is memory or time for, and would be asked for after each crash. */
static void learn_entry_bytes(struct stream_reader *r)
{
    const struct entries *e = r->filling;
    size_t mean = (e->bytes - r->bytes_before) / (e->count - r->count_before) + 64;
    size_t least = r->entry_bytes / 4;
    r->entry_bytes = (uint32_t)(mean > least ? mean : least);
}

static void take_reply(struct stream_reader *r)
{
    const struct entries *e = r->filling;
    uint32_t before = r->count_before;
    r->drained = r->spec.once && e->count == before;
    r->more = e->count - before >= r->asked;
    if (e->count == before)
        return;
    /* Redis sends entries above the id that was asked for, in order. */
    assert(entry_id_compare(entries_id(e, before), r->next) > 0);
    if (before == 0)
        r->first_us = clock_monotonic_us();
    r->next = entries_id(e, e->count - 1);
    learn_entry_bytes(r);
}

/* No callback runs inside stream_reader_poll. A failure is reported when the connection is back and
 * meets it again. */
static void take_polled(struct stream_reader *r, const struct err *error)
{
    if (error) {
        redis_reset(r->redis);
        return;
    }
    take_reply(r);
    if (room_left(r) > 0 && !r->drained)
        send_read(r);
}

/* Hand over what is due, then keep one XREAD in flight as long as there is room. */
static void pump(struct stream_reader *r)
{
    if (!r->running || r->in_flight)
        return;
    if (is_due(r) && !r->taken)
        r->spec.on_due(r->spec.owner);
    if (r->running && !r->in_flight && room_left(r) > 0 && !(r->drained && r->taken))
        send_read(r);
}

static void on_read(void *owner, const struct err *error, void *reply)
{
    struct stream_reader *r = owner;
    (void)reply;
    r->in_flight = false;
    stage_crash_point("while_reading");
    if (!r->running)
        return;
    if (r->polling) {
        take_polled(r, error);
        return;
    }
    if (error) {
        r->spec.on_failed(r->spec.owner, error);
        return;
    }
    take_reply(r);
    if (r->filling->count == 0 && !r->taken)
        r->spec.on_empty(r->spec.owner);
    if (r->running && !(r->drained && r->filling->count == 0 && !r->taken))
        pump(r);
    if (r->running && r->spec.on_more)
        r->spec.on_more(r->spec.owner);
}

/* How long this XREAD may wait: until the flush is due, or a while. */
static int64_t block_ms(const struct stream_reader *r)
{
    if (r->filling->count == 0)
        return r->more ? RECHECK_MS : IDLE_BLOCK_MS;
    int64_t wait = flush_in_ms(r);
    /* Due, but a batch is still out: look again soon. 0 would mean for ever. */
    return wait > 0 ? wait : RECHECK_MS;
}

static void send_read(struct stream_reader *r)
{
    uint32_t room = room_left(r);
    uint32_t count = REPLY_BYTES / r->entry_bytes;
    count = count > COUNT_MAX ? COUNT_MAX : count;
    count = count > room ? room : count;
    char id[ENTRY_ID_TEXT_SIZE];
    entry_id_format(r->next, id);
    xread_target(&r->xread, r->filling);
    r->count_before = r->filling->count;
    r->bytes_before = r->filling->bytes;
    r->in_flight = true;
    r->asked = count > 0 ? count : 1;
    if (r->spec.once)
        redis_commandf(r->redis, DEADLINE_MS, on_read, r, "XREAD COUNT %u STREAMS %s %s", r->asked,
                       r->spec.stream, id);
    else
        redis_commandf(r->redis, DEADLINE_MS + (uint64_t)block_ms(r), on_read, r,
                       "XREAD COUNT %u BLOCK %lld STREAMS %s %s", r->asked, (long long)block_ms(r),
                       r->spec.stream, id);
}

void stream_reader_poll(struct stream_reader *r)
{
    if (!r->running || !r->in_flight)
        return;
    r->polling = true;
    redis_poll(r->redis);
    r->polling = false;
}

static void restart_reader(void *owner)
{
    struct stream_reader *r = owner;
    xread_restart(&r->xread);
}

static char *reserve_bytes(void *owner, size_t *size)
{
    struct stream_reader *r = owner;
    return xread_reserve(&r->xread, size);
}

static int take_bytes(void *owner, size_t n, struct err *e)
{
    struct stream_reader *r = owner;
    return xread_take(&r->xread, n, e);
}

void stream_reader_attach(struct stream_reader *r, struct redis *redis)
{
    r->redis = redis;
    redis_set_decoder(redis, (struct redis_decoder){restart_reader, reserve_bytes, take_bytes, r});
}

void stream_reader_start(struct stream_reader *r, struct entry_id from)
{
    assert(!r->running && !r->taken);
    r->next = from;
    r->entry_bytes = ENTRY_BYTES_FIRST;
    r->running = true;
    r->drained = false;
    pump(r);
}

void stream_reader_stop(struct stream_reader *r)
{
    r->running = false;
    r->taken = NULL;
    entries_clear(&r->buffers[0]);
    entries_clear(&r->buffers[1]);
    /* A reply under way is not wanted any more, and must not go where the next one goes. */
    if (r->in_flight)
        redis_reset(r->redis);
}

const struct entries *stream_reader_take(struct stream_reader *r)
{
    if (!r->running || r->in_flight || r->taken || !is_due(r))
        return NULL;
    r->taken = r->filling;
    r->taken_since_us = r->first_us;
    r->filling = r->filling == &r->buffers[0] ? &r->buffers[1] : &r->buffers[0];
    return r->taken;
}

void stream_reader_give_back(struct stream_reader *r)
{
    assert(r->taken);
    entries_clear(r->taken);
    r->taken = NULL;
    pump(r);
}

bool stream_reader_has_more(const struct stream_reader *r)
{
    return r->more || r->filling->count > 0;
}

void stream_reader_resume(struct stream_reader *r)
{
    pump(r);
}

/* A reply comes in pieces: its last entry may be half there. */
const struct entries *stream_reader_filling(const struct stream_reader *r, uint32_t *complete)
{
    *complete = r->in_flight ? r->count_before : r->filling->count;
    return r->filling;
}
