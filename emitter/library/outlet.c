#include "emitter/library/outlet.h"

#include "common/contract.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT_BYTES = 4 << 20, TS_TEXT_SIZE = 24 };
static_assert(OUTLET_MIN_BYTES >= 2ULL * SEGMENT_BYTES, "a spool has two segments at least");

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

int outlet_start_process(void)
{
    pthread_once(&once, start_once);
    return is_started ? 0 : -1;
}

uint64_t outlet_forks(void)
{
    return atomic_load_explicit(&forks, memory_order_relaxed);
}

/* Opening. */

static void tell_fault(void *owner, const char *text)
{
    const struct outlet *o = owner;
    if (o->terms.on_state)
        o->terms.on_state(o->terms.owner, text);
}

static void tell_back(void *owner)
{
    tell_fault(owner, NULL);
}

static void tell_sent(void *owner)
{
    const struct outlet *o = owner;
    if (o->terms.on_sent)
        o->terms.on_sent(o->terms.owner);
}

static const struct conf_setting SETTINGS[] = {CONF_REDIS_URL(struct emitter_config, base),
                                               {.name = NULL}};

static struct conf_reload *files_of(struct outlet *o)
{
    const struct conf_reload_terms terms = {.table = SETTINGS, .config = &o->config};
    return o->terms.reads_files ? conf_reload_new(&terms) : NULL;
}

static int start(struct outlet *o, struct err *e)
{
    const struct outlet_terms *t = &o->terms;
    o->spool = spool_open(
        &(struct spool_terms){.folder = t->folder,
                              .max_bytes = t->max_bytes ? t->max_bytes : OUTLET_DEFAULT_BYTES,
                              .segment_bytes = SEGMENT_BYTES,
                              .sync = t->sync,
                              .on_fault = tell_fault,
                              .owner = o},
        e);
    if (!o->spool)
        return -1;
    o->delivery = delivery_start(&(struct delivery_terms){.spool = o->spool,
                                                          .config = &o->config,
                                                          .files = files_of(o),
                                                          .on_fault = tell_fault,
                                                          .on_back = tell_back,
                                                          .on_sent = tell_sent,
                                                          .owner = o},
                                 e);
    return o->delivery ? 0 : -1;
}

struct outlet *outlet_open(const struct outlet_terms *terms, struct err *e)
{
    struct outlet *o = xcalloc(1, sizeof *o);
    o->terms = *terms;
    o->config.base.redis_url = xstrdup(terms->redis_url);
    o->config.base.stream_shards = terms->shards;
    o->keys = xcalloc((size_t)terms->shards, sizeof *o->keys);
    for (int i = 0; i < terms->shards; i++)
        o->keys[i] = terms->shards == 1 ? xstrdup(STREAM_KEY) : xasprintf(STREAM_SHARD_KEY, i);
    if (start(o, e) == 0)
        return o;
    outlet_close(o);
    return NULL;
}

void outlet_stop(struct outlet *o)
{
    if (o->delivery)
        delivery_stop(o->delivery);
    o->delivery = NULL;
}

void outlet_close(struct outlet *o)
{
    outlet_stop(o);
    if (o->spool)
        spool_close(o->spool);
    for (int64_t i = 0; i < o->config.base.stream_shards; i++)
        free(o->keys[i]);
    free(o->keys);
    free(o->config.base.redis_url);
    free(o);
}

/* Putting. */

/* Asking the kernel for random bytes each time would take longer than all the rest. */
static void make_id(int64_t now_ms, char out[UUID_TEXT_SIZE])
{
    static __thread unsigned char pool[64 * UUID_RANDOM_BYTES];
    static __thread size_t left;
    static __thread uint64_t forks_then;
    uint64_t forks_now = outlet_forks();
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

enum spool_result outlet_put(struct outlet *o, const struct event_line *line, int64_t now_ms,
                             int64_t wait_ms, char made_id[UUID_TEXT_SIZE], struct err *e)
{
    char bytes[COMMAND_MAX];
    struct buf command = {.data = bytes, .capacity = sizeof bytes};
    char ts[TS_TEXT_SIZE];
    struct slice tenant = line->known[EVENT_TENANT];
    int64_t shards = o->config.base.stream_shards;
    int64_t shard = shards > 1 ? str_crc16(tenant.data, tenant.length) % shards : 0;
    made_id[0] = '\0';
    if (!line->given[EVENT_ID])
        make_id(now_ms, made_id);
    snprintf(ts, sizeof ts, "%" PRId64, now_ms);
    event_line_add_command(line, o->keys[shard], made_id, ts, &command);
    assert(command.data == bytes);
    return spool_append(o->spool, shard, command.data, command.length, wait_ms, e);
}
