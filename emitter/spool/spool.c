#include "emitter/spool/spool.h"

#include "common/clock.h"
#include "common/str.h"
#include "emitter/spool/spool_folder.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { SYNC_EVERY_MS = 100, SPARE_RETRY_MS = 1000 };

struct spool {
    struct spool_terms terms;
    struct spool_folder *folder; /* NULL: memory alone */
    pthread_mutex_t lock;        /* of all that follows, but what the reader alone has */
    pthread_cond_t changed;      /* a segment went, there is something to read, or spool_wake */
    struct segment *first;       /* the oldest that is not settled */
    struct segment *last;        /* that is appended to */
    struct segment *spare;       /* made ahead; NULL: none */
    uint64_t bytes;              /* that all of them take */
    uint64_t appended;           /* records */
    uint64_t next_number;
    _Atomic bool reader_sleeps;
    /* The reader's. */
    struct segment *reading;
    int64_t synced_ms; /* monotonic */
    int64_t spare_ms;  /* monotonic: no spare segment is tried before */
};

static void fault(struct spool *s, const char *text)
{
    if (s->terms.on_fault)
        s->terms.on_fault(s->terms.owner, text);
}

/* Opening. */

static void init_locks(struct spool *s)
{
    pthread_mutexattr_t adaptive;
    pthread_condattr_t monotonic;
    pthread_mutexattr_init(&adaptive);
    pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&s->lock, &adaptive);
    pthread_mutexattr_destroy(&adaptive);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

/* Until one of the changes that cond tells of, or until then, monotonic. False: then. */
static bool wait_until(struct spool *s, int64_t until_ms)
{
    const struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    return pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0;
}

static bool is_full(const struct spool *s)
{
    return s->bytes + s->terms.segment_bytes > s->terms.max_bytes;
}

static struct segment *make_segment(const struct spool *s, uint64_t number, struct err *e)
{
    struct segment *made = segment_create(s->terms.folder, number, s->terms.segment_bytes, e);
    if (made && s->folder && s->terms.sync != SPOOL_SYNC_NEVER && spool_folder_sync(s->folder, e)) {
        segment_remove(made);
        return NULL;
    }
    return made;
}

static void add_last(struct spool *s, struct segment *segment)
{
    if (s->last) {
        s->last->next = segment;
        atomic_store(&s->last->closed, 1);
    } else {
        s->first = segment;
    }
    s->last = segment;
}

static void take_old(void *owner, struct segment *segment)
{
    struct spool *s = owner;
    s->bytes += segment->size;
    s->next_number = segment->number + 1;
    add_last(s, segment);
    segment_unmap(segment);
}

static void skip_old(void *owner, uint64_t number, const char *why)
{
    struct spool *s = owner;
    s->next_number = number + 1;
    fault(s, why);
}

static int open_all(struct spool *s, struct err *e)
{
    if (s->terms.folder && !(s->folder = spool_folder_open(s->terms.folder, e)))
        return -1;
    if (s->folder && spool_folder_read(s->folder, take_old, skip_old, s, e))
        return -1;
    struct segment *own = make_segment(s, s->next_number, e);
    if (!own)
        return -1;
    s->next_number++;
    s->bytes += own->size;
    add_last(s, own);
    s->reading = s->first;
    return segment_map(s->reading, e);
}

struct spool *spool_open(const struct spool_terms *terms, struct err *e)
{
    struct spool *s = xcalloc(1, sizeof *s);
    assert(terms->segment_bytes >= SEGMENT_HEADER_SIZE + segment_room_of(SEGMENT_RECORD_MAX));
    assert(terms->max_bytes / 2 >= terms->segment_bytes);
    s->terms = *terms;
    s->terms.folder = terms->folder ? xstrdup(terms->folder) : NULL;
    s->next_number = 1;
    init_locks(s);
    if (open_all(s, e) == 0)
        return s;
    spool_close(s);
    return NULL;
}

/* If all is in Redis, no file is left. */
void spool_close(struct spool *s)
{
    struct segment *next;
    for (struct segment *at = s->first; at; at = next) {
        next = at->next;
        atomic_store(&at->closed, 1);
        if (at == s->reading && at->bytes && segment_is_read(at) && segment_is_settled(at))
            segment_remove(at);
        else
            segment_free(at);
    }
    if (s->spare)
        segment_remove(s->spare);
    if (s->folder)
        spool_folder_close(s->folder);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free((char *)s->terms.folder);
    free(s);
}

/* Appending. */

/* Under the lock: the last segment has room then. */
static enum spool_result make_room(struct spool *s, size_t room, int64_t wait_ms, struct err *e)
{
    int64_t until_ms = wait_ms > 0 ? clock_monotonic_ms() + wait_ms : 0;
    while (s->last->size - atomic_load(&s->last->reserved) < room) {
        if (s->spare) {
            add_last(s, s->spare);
            s->spare = NULL;
        } else if (!is_full(s)) {
            struct segment *made = make_segment(s, s->next_number, e);
            if (!made)
                return SPOOL_FAILED;
            s->next_number++;
            s->bytes += made->size;
            add_last(s, made);
        } else if (until_ms == 0 || !wait_until(s, until_ms)) {
            return SPOOL_FULL;
        }
    }
    return SPOOL_DONE;
}

enum spool_result spool_append(struct spool *s, int64_t shard, const char *data, size_t length,
                               int64_t wait_ms, struct err *e)
{
    size_t room = segment_room_of(length);
    assert(length <= SEGMENT_RECORD_MAX);
    pthread_mutex_lock(&s->lock);
    enum spool_result result = make_room(s, room, wait_ms, e);
    if (result != SPOOL_DONE) {
        pthread_mutex_unlock(&s->lock);
        return result;
    }
    struct segment *segment = s->last;
    size_t at = atomic_load_explicit(&segment->reserved, memory_order_relaxed);
    atomic_fetch_add(&segment->writers, 1);
    atomic_store(&segment->reserved, at + room);
    s->appended++;
    pthread_mutex_unlock(&s->lock);
    segment_write(segment, at, shard, data, length);
    if (s->terms.sync == SPOOL_SYNC_ALWAYS && segment_sync(segment, e))
        result = SPOOL_FAILED;
    atomic_fetch_sub(&segment->writers, 1);
    if (atomic_load(&s->reader_sleeps))
        spool_wake(s);
    return result;
}

void spool_wake(struct spool *s)
{
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

uint64_t spool_bytes(struct spool *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t bytes = s->bytes;
    pthread_mutex_unlock(&s->lock);
    return bytes;
}

uint64_t spool_appended(struct spool *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t appended = s->appended;
    pthread_mutex_unlock(&s->lock);
    return appended;
}

/* Reading. */

static void remove_settled(struct spool *s)
{
    while (s->first != s->reading && segment_is_settled(s->first)) {
        pthread_mutex_lock(&s->lock);
        struct segment *gone = s->first;
        s->first = gone->next;
        s->bytes -= gone->size;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        if (gone->is_damaged)
            fault(s, "a segment of the spool was damaged: what could be read of it was sent, and "
                     "it was kept with the suffix .damaged");
        segment_remove(gone);
    }
}

/* To the next segment, if all of this one was read. */
static bool advance(struct spool *s)
{
    struct err e;
    if (!segment_is_read(s->reading))
        return false;
    pthread_mutex_lock(&s->lock);
    struct segment *next = s->reading->next;
    pthread_mutex_unlock(&s->lock);
    if (!next)
        return false;
    if (segment_map(next, &e)) {
        fault(s, e.text);
        return false;
    }
    s->reading = next;
    remove_settled(s);
    return true;
}

int spool_next(struct spool *s, struct segment_record *out, struct spool_place *place)
{
    do {
        if (segment_next(s->reading, out)) {
            *place = (struct spool_place){s->reading, out->end};
            return 1;
        }
    } while (advance(s));
    return 0;
}

void spool_settle(struct spool *s, struct spool_place place)
{
    for (struct segment *before = s->first; before != place.segment; before = before->next)
        segment_settle(before, before->read_end);
    segment_settle(place.segment, place.end);
    remove_settled(s);
}

void spool_wait(struct spool *s, int64_t timeout_ms)
{
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->reader_sleeps, true);
    if (s->reading->read == atomic_load(&s->reading->reserved))
        wait_until(s, clock_monotonic_ms() + timeout_ms);
    atomic_store(&s->reader_sleeps, false);
    pthread_mutex_unlock(&s->lock);
}

/* Maintaining. */

static void make_spare(struct spool *s, int64_t now_ms)
{
    struct err e;
    pthread_mutex_lock(&s->lock);
    uint64_t number = s->next_number;
    bool is_wanted = !s->spare && !is_full(s) && now_ms >= s->spare_ms;
    if (is_wanted) {
        s->next_number++;
        s->bytes += s->terms.segment_bytes;
    }
    pthread_mutex_unlock(&s->lock);
    if (!is_wanted)
        return;
    struct segment *made = make_segment(s, number, &e);
    /* If somebody could not wait for it, there is a later one: numbers rise in the list. */
    pthread_mutex_lock(&s->lock);
    bool is_late = made && made->number < s->last->number;
    s->spare = is_late ? NULL : made;
    if (!s->spare)
        s->bytes -= s->terms.segment_bytes;
    pthread_mutex_unlock(&s->lock);
    if (is_late)
        segment_remove(made);
    if (!made) {
        s->spare_ms = now_ms + SPARE_RETRY_MS;
        fault(s, e.text);
    }
}

static void sync_one(struct spool *s, struct segment *segment)
{
    struct err e;
    bool is_complete = atomic_load(&segment->closed) && atomic_load(&segment->writers) == 0;
    if (segment->is_synced || segment->is_old)
        return;
    if (segment_sync(segment, &e))
        fault(s, e.text);
    else
        segment->is_synced = is_complete;
}

/* What waits behind the reader's place and before the last need not be in memory meanwhile. */
static void rest_one(const struct spool *s, struct segment *segment, const struct segment *last)
{
    if (segment != s->reading && segment != last && segment->number > s->reading->number &&
        atomic_load(&segment->closed) && atomic_load(&segment->writers) == 0)
        segment_unmap(segment);
}

void spool_maintain(struct spool *s)
{
    int64_t now_ms = clock_monotonic_ms();
    make_spare(s, now_ms);
    if (now_ms < s->synced_ms + SYNC_EVERY_MS)
        return;
    s->synced_ms = now_ms;
    pthread_mutex_lock(&s->lock);
    struct segment *last = s->last;
    pthread_mutex_unlock(&s->lock);
    for (struct segment *at = s->first; at; at = at == last ? NULL : at->next) {
        if (s->terms.sync == SPOOL_SYNC_OFTEN)
            sync_one(s, at);
        rest_one(s, at, last);
    }
}
