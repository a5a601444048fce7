/* The library's functions: checks what a service gives, and puts it into the spool. */
#include "common/clock.h"
#include "common/redis/redis.h"
#include "common/str.h"
#include "emitter/event_line.h"
#include "emitter/library/delivery.h"
#include "emitter/library/meterline.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT_BYTES = 4 << 20, SHARDS_MAX = 1024 };
#define SPOOL_DEFAULT_BYTES (256ULL << 20)
#define SPOOL_MIN_BYTES     (4ULL * SEGMENT_BYTES)
/* For ever, such as INT64_MAX: longer than anybody waits, and no sum with a clock overflows. */
#define WAIT_MAX_MS (1000LL * 365 * DAY_MS)

struct meterline {
    struct emitter_config config;
    char **keys; /* of the streams, one a shard; owned */
    int shards;
    struct spool *spool;
    struct delivery *delivery;
    int64_t wait_ms;
    void (*on_state)(void *owner, const char *fault);
    void *owner;
    uint64_t forks; /* there were so many when it was opened */
    _Atomic uint64_t refused;
};

static __thread char error_text[256];

static int fail(enum meterline_result result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int fail(enum meterline_result result, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error_text, sizeof error_text, format, args);
    va_end(args);
    return result;
}

const char *meterline_error(void)
{
    return error_text;
}

static int64_t bounded_wait(int64_t wait_ms)
{
    if (wait_ms < 0)
        return 0;
    return wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS;
}

/* Processes. */

static _Atomic uint64_t forks;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_started;

static void count_fork(void)
{
    atomic_fetch_add(&forks, 1);
}

static void start_once(void)
{
    is_started = sodium_init() >= 0 && pthread_atfork(NULL, NULL, count_fork) == 0;
}

static bool is_parents(const struct meterline *m)
{
    return m->forks != atomic_load_explicit(&forks, memory_order_relaxed);
}

static int refuse_parents(void)
{
    return fail(METERLINE_FORKED, "the handle belongs to the parent process: open another one "
                                  "after fork(), with a spool folder of its own");
}

/* Opening. */

static void tell_fault(void *owner, const char *text)
{
    const struct meterline *m = owner;
    if (m->on_state)
        m->on_state(m->owner, text);
}

static void tell_back(void *owner)
{
    tell_fault(owner, NULL);
}

/* Of a caller that was compiled with an older header, what its struct did not have is 0. */
static void take_struct(void *out, size_t size, const void *given, size_t given_size)
{
    memset(out, 0, size);
    memcpy(out, given, given_size < size ? given_size : size);
}

static int check_options(const struct meterline_options *o, struct err *e)
{
    struct redis_url url;
    if (o->stream_shards < 0 || o->stream_shards > SHARDS_MAX)
        return err_set(e, ERR_CONFIG, "stream_shards: must be 1 to %d", SHARDS_MAX);
    if (o->spool_max_bytes && o->spool_max_bytes < SPOOL_MIN_BYTES)
        return err_set(e, ERR_CONFIG, "spool_max_bytes: must be at least %llu", SPOOL_MIN_BYTES);
    if (o->wait_ms < 0)
        return err_set(e, ERR_CONFIG, "wait_ms: must not be negative");
    if (redis_url_parse(o->redis_url, &url, e))
        return err_wrap(e, "redis_url");
    redis_url_done(&url);
    return 0;
}

static int start(struct meterline *m, const struct meterline_options *o, struct err *e)
{
    static const enum spool_sync SYNCS[] = {[METERLINE_SYNC_OFTEN] = SPOOL_SYNC_OFTEN,
                                            [METERLINE_SYNC_ALWAYS] = SPOOL_SYNC_ALWAYS,
                                            [METERLINE_SYNC_NEVER] = SPOOL_SYNC_NEVER};
    m->spool =
        spool_open(&(struct spool_terms){.folder = o->spool_folder,
                                         .max_bytes = o->spool_max_bytes ? o->spool_max_bytes
                                                                         : SPOOL_DEFAULT_BYTES,
                                         .segment_bytes = SEGMENT_BYTES,
                                         .sync = SYNCS[o->sync],
                                         .on_fault = tell_fault,
                                         .owner = m},
                   e);
    if (!m->spool)
        return -1;
    m->delivery = delivery_start(&(struct delivery_terms){.spool = m->spool,
                                                          .config = &m->config,
                                                          .on_fault = tell_fault,
                                                          .on_back = tell_back,
                                                          .owner = m},
                                 e);
    return m->delivery ? 0 : -1;
}

static void meterline_free(struct meterline *m)
{
    if (m->spool)
        spool_close(m->spool);
    for (int i = 0; i < m->shards; i++)
        free(m->keys[i]);
    free(m->keys);
    free(m->config.base.redis_url);
    free(m);
}

struct meterline *meterline_open(const struct meterline_options *options)
{
    struct meterline_options o;
    struct err e;
    take_struct(&o, sizeof o, options, options->size);
    o.redis_url = o.redis_url ? o.redis_url : "redis://127.0.0.1:6379";
    pthread_once(&once, start_once);
    if (!is_started) {
        fail(METERLINE_FAILED, "libsodium does not start");
        return NULL;
    }
    if ((unsigned)o.sync > METERLINE_SYNC_NEVER || check_options(&o, &e)) {
        fail(METERLINE_INVALID, "%s",
             (unsigned)o.sync > METERLINE_SYNC_NEVER ? "sync: there is no such value" : e.text);
        return NULL;
    }
    struct meterline *m = xcalloc(1, sizeof *m);
    m->shards = o.stream_shards ? o.stream_shards : 1;
    m->config.base.redis_url = xstrdup(o.redis_url);
    m->config.base.stream_shards = m->shards;
    m->keys = xcalloc((size_t)m->shards, sizeof *m->keys);
    for (int i = 0; i < m->shards; i++)
        m->keys[i] = m->shards == 1 ? xstrdup(STREAM_KEY) : xasprintf(STREAM_SHARD_KEY, i);
    m->wait_ms = bounded_wait(o.wait_ms);
    m->on_state = o.on_state;
    m->owner = o.owner;
    m->forks = atomic_load(&forks);
    if (start(m, &o, &e) == 0)
        return m;
    fail(METERLINE_FAILED, "%s", e.text);
    meterline_free(m);
    return NULL;
}

/* Emitting. */

static struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static int give(struct event_line *line, enum event_known known, const char *text)
{
    return text ? event_line_give(line, known, slice_of(text)) : 0;
}

static int give_dimensions(struct event_line *line, const struct meterline_event *event)
{
    for (size_t i = 0; i < event->dimensions_count; i++) {
        const struct meterline_dimension *d = &event->dimensions[i];
        if (!d->name || !d->value) {
            snprintf(line->why, sizeof line->why, "dimension %zu: has no %s", i + 1,
                     d->name ? "value" : "name");
            return -1;
        }
        if (event_line_give_dimension(line, slice_of(d->name), slice_of(d->value)))
            return -1;
    }
    return 0;
}

enum { TS_TEXT_SIZE = 24 };

static int parse(struct event_line *line, const struct meterline_event *event, int64_t now_ms,
                 char ts[TS_TEXT_SIZE])
{
    event_line_begin(line);
    snprintf(ts, TS_TEXT_SIZE, "%" PRId64, event->ts_ms);
    if (give(line, EVENT_TENANT, event->tenant) || give(line, EVENT_METRIC, event->metric) ||
        give(line, EVENT_QUANTITY, event->quantity) || give(line, EVENT_ID, event->id) ||
        give(line, EVENT_TS, event->ts_ms ? ts : NULL) ||
        give(line, EVENT_OP, event->retract ? "retract" : NULL) || give_dimensions(line, event))
        return -1;
    return event_line_check(line, now_ms, NULL);
}

/* Asking the kernel for random bytes each time would take longer than all the rest. */
static void make_id(int64_t now_ms, char out[UUID_TEXT_SIZE])
{
    static __thread unsigned char pool[64 * UUID_RANDOM_BYTES];
    static __thread size_t left;
    static __thread uint64_t forks_then;
    uint64_t forks_now = atomic_load_explicit(&forks, memory_order_relaxed);
    if (left == 0 || forks_then != forks_now) {
        randombytes_buf(pool, sizeof pool);
        left = sizeof pool;
        forks_then = forks_now;
    }
    left -= UUID_RANDOM_BYTES;
    uuid_v7_of(now_ms, pool + left, out);
}

/* All that the rules of an event allow, as a command, is shorter. */
enum { COMMAND_MAX = SEGMENT_RECORD_MAX };

static int put(struct meterline *m, const struct event_line *line, int64_t now_ms)
{
    char bytes[COMMAND_MAX];
    struct buf command = {.data = bytes, .capacity = sizeof bytes};
    char id[UUID_TEXT_SIZE];
    char ts[TS_TEXT_SIZE];
    struct err e;
    struct slice tenant = line->known[EVENT_TENANT];
    int shard = m->shards > 1 ? str_crc16(tenant.data, tenant.length) % m->shards : 0;
    make_id(now_ms, id);
    snprintf(ts, sizeof ts, "%" PRId64, now_ms);
    event_line_add_command(line, m->keys[shard], id, ts, &command);
    assert(command.data == bytes);
    switch (spool_append(m->spool, shard, command.data, command.length, m->wait_ms, &e)) {
    case SPOOL_DONE:
        return METERLINE_OK;
    case SPOOL_FULL:
        return fail(METERLINE_FULL, "the spool is full: Redis has not taken what is in it");
    case SPOOL_FAILED:
        break;
    }
    return fail(METERLINE_FAILED, "%s", e.text);
}

int meterline_emit(struct meterline *m, const struct meterline_event *given)
{
    struct meterline_event event;
    struct event_line line;
    char ts[TS_TEXT_SIZE];
    int64_t now_ms = clock_unix_ms();
    int result;
    if (is_parents(m))
        return refuse_parents();
    take_struct(&event, sizeof event, given, given->size);
    if (parse(&line, &event, now_ms, ts))
        result = fail(METERLINE_INVALID, "%s", line.why);
    else
        result = put(m, &line, now_ms);
    if (result != METERLINE_OK)
        atomic_fetch_add_explicit(&m->refused, 1, memory_order_relaxed);
    return result;
}

/* The rest. */

int meterline_flush(struct meterline *m, int64_t timeout_ms)
{
    if (is_parents(m))
        return refuse_parents();
    uint64_t wanted = spool_appended(m->spool);
    if (delivery_wait(m->delivery, wanted, bounded_wait(timeout_ms)))
        return METERLINE_OK;
    return fail(METERLINE_TIMEOUT, "%" PRIu64 " events are not in Redis yet",
                wanted - delivery_sent(m->delivery));
}

void meterline_stats(const struct meterline *m, struct meterline_stats *out)
{
    struct meterline_stats found = {.size = out->size < sizeof found ? out->size : sizeof found,
                                    .refused = atomic_load(&m->refused)};
    if (!is_parents(m)) {
        found.emitted = spool_appended(m->spool);
        found.sent = delivery_sent(m->delivery);
        found.recovered = delivery_recovered(m->delivery);
        found.spool_bytes = spool_bytes(m->spool);
    }
    memcpy(out, &found, found.size);
}

/* In a child of fork the thread is not there, and the lock of the folder is the parent's. */
int meterline_close(struct meterline *m, int64_t timeout_ms)
{
    if (is_parents(m))
        return refuse_parents();
    int result = meterline_flush(m, timeout_ms);
    delivery_stop(m->delivery);
    meterline_free(m);
    return result;
}
