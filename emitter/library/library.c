/* The library's functions: checks what a service gives, and puts it into the spool. */
#include "common/clock.h"
#include "common/events/event_line.h"
#include "common/redis/redis.h"
#include "common/str.h"
#include "emitter/library/library_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS_MAX = 1024, QUOTA_TIMEOUT_MS = 250, QUOTA_TIMEOUT_MAX_MS = 60000 };
/* For ever, such as INT64_MAX: longer than anybody waits, and no sum with a clock overflows. */
#define WAIT_MAX_MS (1000LL * 365 * DAY_MS)

static __thread char error_text[256];

int library_fail(enum meterline_result result, const char *format, ...)
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

bool library_is_parents(const struct meterline *m)
{
    return m->forks != outlet_forks();
}

int library_refuse_parents(void)
{
    return library_fail(METERLINE_FORKED,
                        "the handle belongs to the parent process: open another one "
                        "after fork(), with a spool folder of its own");
}

/* Opening. */

static void tell_state(void *owner, const char *fault)
{
    const struct meterline *m = owner;
    if (m->on_state)
        m->on_state(m->owner, fault);
}

void library_take_struct(void *out, size_t size, const void *given, size_t given_size)
{
    memset(out, 0, size);
    memcpy(out, given, given_size < size ? given_size : size);
}

static int check_options(const struct meterline_options *o, struct err *e)
{
    struct redis_url url;
    if (o->stream_shards < 0 || o->stream_shards > SHARDS_MAX)
        return err_set(e, ERR_CONFIG, "stream_shards: must be 1 to %d", SHARDS_MAX);
    if (o->spool_max_bytes && o->spool_max_bytes < OUTLET_MIN_BYTES)
        return err_set(e, ERR_CONFIG, "spool_max_bytes: must be at least %llu", OUTLET_MIN_BYTES);
    if (o->wait_ms < 0)
        return err_set(e, ERR_CONFIG, "wait_ms: must not be negative");
    if (o->quota_timeout_ms < 0 || o->quota_timeout_ms > QUOTA_TIMEOUT_MAX_MS)
        return err_set(e, ERR_CONFIG, "quota_timeout_ms: must be 1 to %d", QUOTA_TIMEOUT_MAX_MS);
    if (redis_url_parse(o->redis_url, &url, e))
        return err_wrap(e, "redis_url");
    redis_url_done(&url);
    return 0;
}

static struct outlet *open_outlet(struct meterline *m, const struct meterline_options *o,
                                  struct err *e)
{
    static const enum spool_sync SYNCS[] = {[METERLINE_SYNC_OFTEN] = SPOOL_SYNC_OFTEN,
                                            [METERLINE_SYNC_ALWAYS] = SPOOL_SYNC_ALWAYS,
                                            [METERLINE_SYNC_NEVER] = SPOOL_SYNC_NEVER};
    return outlet_open(&(struct outlet_terms){.redis_url = o->redis_url,
                                              .shards = o->stream_shards ? o->stream_shards : 1,
                                              .folder = o->spool_folder,
                                              .max_bytes = o->spool_max_bytes,
                                              .sync = SYNCS[o->sync],
                                              .on_state = tell_state,
                                              .owner = m},
                       e);
}

struct meterline *meterline_open(const struct meterline_options *options)
{
    struct meterline_options o;
    struct err e;
    library_take_struct(&o, sizeof o, options, options->size);
    o.redis_url = o.redis_url ? o.redis_url : "redis://127.0.0.1:6379";
    if (outlet_start_process()) {
        library_fail(METERLINE_FAILED, "libsodium does not start");
        return NULL;
    }
    if ((unsigned)o.sync > METERLINE_SYNC_NEVER || check_options(&o, &e)) {
        library_fail(METERLINE_INVALID, "%s",
                     (unsigned)o.sync > METERLINE_SYNC_NEVER ? "sync: there is no such value"
                                                             : e.text);
        return NULL;
    }
    struct meterline *m = xcalloc(1, sizeof *m);
    m->wait_ms = bounded_wait(o.wait_ms);
    m->on_state = o.on_state;
    m->owner = o.owner;
    m->forks = outlet_forks();
    m->quota_closed = o.quota_closed != 0;
    m->quotas =
        quota_pool_new(o.redis_url, o.quota_timeout_ms ? o.quota_timeout_ms : QUOTA_TIMEOUT_MS);
    m->outlet = open_outlet(m, &o, &e);
    if (m->outlet)
        return m;
    library_fail(METERLINE_FAILED, "%s", e.text);
    quota_pool_free(m->quotas);
    free(m);
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

int library_parse(struct event_line *line, const struct meterline_event *event, int64_t now_ms,
                  char ts[LIBRARY_TS_SIZE])
{
    event_line_begin(line);
    snprintf(ts, LIBRARY_TS_SIZE, "%" PRId64, event->ts_ms);
    if (give(line, EVENT_TENANT, event->tenant) || give(line, EVENT_METRIC, event->metric) ||
        give(line, EVENT_QUANTITY, event->quantity) || give(line, EVENT_ID, event->id) ||
        give(line, EVENT_TS, event->ts_ms ? ts : NULL) ||
        give(line, EVENT_OP, event->retract ? "retract" : NULL) || give_dimensions(line, event))
        return -1;
    return event_line_check(line, now_ms, NULL);
}

int library_put(struct meterline *m, const struct event_line *line, int64_t now_ms)
{
    char made_id[UUID_TEXT_SIZE];
    struct err e;
    switch (outlet_put(m->outlet, line, now_ms, m->wait_ms, made_id, &e)) {
    case SPOOL_DONE:
        return METERLINE_OK;
    case SPOOL_FULL:
        return library_fail(METERLINE_FULL, "the spool is full: Redis has not taken what is in it");
    case SPOOL_FAILED:
        break;
    }
    return library_fail(METERLINE_FAILED, "%s", e.text);
}

int meterline_emit(struct meterline *m, const struct meterline_event *given)
{
    struct meterline_event event;
    struct event_line line;
    char ts[LIBRARY_TS_SIZE];
    int64_t now_ms = clock_unix_ms();
    int result;
    if (library_is_parents(m))
        return library_refuse_parents();
    library_take_struct(&event, sizeof event, given, given->size);
    if (library_parse(&line, &event, now_ms, ts))
        result = library_fail(METERLINE_INVALID, "%s", line.why);
    else
        result = library_put(m, &line, now_ms);
    if (result != METERLINE_OK)
        atomic_fetch_add_explicit(&m->refused, 1, memory_order_relaxed);
    return result;
}

/* The rest. */

int meterline_flush(struct meterline *m, int64_t timeout_ms)
{
    if (library_is_parents(m))
        return library_refuse_parents();
    uint64_t wanted = spool_appended(m->outlet->spool);
    if (delivery_wait(m->outlet->delivery, wanted, bounded_wait(timeout_ms)))
        return METERLINE_OK;
    return library_fail(METERLINE_TIMEOUT, "%" PRIu64 " events are not in Redis yet",
                        wanted - delivery_sent(m->outlet->delivery));
}

void meterline_stats(const struct meterline *m, struct meterline_stats *out)
{
    struct meterline_stats found = {.size = out->size < sizeof found ? out->size : sizeof found,
                                    .refused = atomic_load(&m->refused)};
    if (!library_is_parents(m)) {
        found.emitted = spool_appended(m->outlet->spool);
        found.sent = delivery_sent(m->outlet->delivery);
        found.recovered = delivery_recovered(m->outlet->delivery);
        found.spool_bytes = spool_bytes(m->outlet->spool);
    }
    memcpy(out, &found, found.size);
}

/* In a child of fork the thread is not there, and the lock of the folder is the parent's. */
int meterline_close(struct meterline *m, int64_t timeout_ms)
{
    if (library_is_parents(m))
        return library_refuse_parents();
    int result = meterline_flush(m, timeout_ms);
    outlet_close(m->outlet);
    quota_pool_free(m->quotas);
    free(m);
    return result;
}
