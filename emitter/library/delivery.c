#include "emitter/library/delivery.h"

#include "common/clock.h"
#include "common/str.h"
#include "emitter/sender.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* More than a sender ever has under way, and a power of two. */
enum { PLACES = 4096, MAINTAIN_EVERY = 1024 };
/* Idle: it looks each millisecond for so long, and then sleeps until it is woken. */
enum { LOOKS = 200, LOOK_MS = 1, SLEEP_MS = 1000 };
/* Longer than anybody waits. */
#define NEVER_GIVE_UP_MS (1000LL * 365 * DAY_MS)

struct delivery {
    struct delivery_terms terms;
    struct sender *sender;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t settled;
    _Atomic bool stopping;
    _Atomic uint64_t sent;
    _Atomic uint64_t recovered;
    _Atomic int waiters;
    /* The thread's own: the places of what is under way, by its number. */
    struct spool_place places[PLACES];
    bool is_old[PLACES];
    uint64_t added;
    uint64_t acknowledged;
};

static bool is_over(void *owner)
{
    const struct delivery *d = owner;
    return atomic_load(&d->stopping);
}

static void on_lost(void *owner, const struct err *error)
{
    const struct delivery *d = owner;
    d->terms.on_fault(d->terms.owner, error->text);
}

static void on_back(void *owner)
{
    const struct delivery *d = owner;
    d->terms.on_back(d->terms.owner);
}

/* They stay in the spool. */
static void on_unknown(void *owner, struct sender_origin origin)
{
    (void)owner;
    (void)origin;
}

static void take_acknowledged(struct delivery *d)
{
    uint64_t acknowledged = sender_acknowledged(d->sender);
    uint64_t old = 0;
    if (acknowledged == d->acknowledged)
        return;
    for (uint64_t i = d->acknowledged; i < acknowledged; i++)
        old += d->is_old[i % PLACES];
    spool_settle(d->terms.spool, d->places[(acknowledged - 1) % PLACES]);
    atomic_fetch_add(&d->recovered, old);
    atomic_fetch_add(&d->sent, acknowledged - d->acknowledged - old);
    d->acknowledged = acknowledged;
    if (atomic_load(&d->waiters) > 0) {
        pthread_mutex_lock(&d->lock);
        pthread_cond_broadcast(&d->settled);
        pthread_mutex_unlock(&d->lock);
    }
    d->terms.on_sent(d->terms.owner);
}

/* Returns 1 if there was a record, 0 if there is none, -1 if it is over. */
static int send_next(struct delivery *d)
{
    struct segment_record record;
    struct spool_place place;
    struct err e;
    if (spool_next(d->terms.spool, &record, &place) == 0)
        return 0;
    assert(d->added - d->acknowledged < PLACES);
    d->places[d->added % PLACES] = place;
    d->is_old[d->added % PLACES] = place.segment->is_old;
    d->added++;
    return sender_add_command(d->sender, record.shard, record.data, record.length,
                              (struct sender_origin){NULL, 0}, &e)
               ? -1
               : 1;
}

static void rest(struct delivery *d, int looks)
{
    spool_maintain(d->terms.spool);
    if (looks < LOOKS)
        nanosleep(&(struct timespec){0, LOOK_MS * 1000000}, NULL);
    else
        spool_wait(d->terms.spool, SLEEP_MS);
}

static void *run(void *owner)
{
    struct delivery *d = owner;
    struct err e;
    int looks = 0;
    while (!atomic_load(&d->stopping)) {
        int more = send_next(d);
        if (more < 0 || (more == 0 && sender_flush(d->sender, &e)))
            break;
        take_acknowledged(d);
        looks = more ? 0 : looks + 1;
        if (more == 0)
            rest(d, looks);
        else if (d->added % MAINTAIN_EVERY == 0)
            spool_maintain(d->terms.spool);
    }
    return NULL;
}

/* A service's signals are not for this thread; and SIGPIPE, from a connection that Redis closed,
 * must not end the service. */
static int start_thread(struct delivery *d, struct err *e)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&d->thread, NULL, run, d);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? err_set(e, ERR_IO, "start a thread: %s", strerror(failed)) : 0;
}

static void delivery_free(struct delivery *d)
{
    sender_free(d->sender);
    pthread_cond_destroy(&d->settled);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

struct delivery *delivery_start(const struct delivery_terms *terms, struct err *e)
{
    struct delivery *d = xcalloc(1, sizeof *d);
    pthread_condattr_t monotonic;
    d->terms = *terms;
    d->terms.config->give_up_ms = NEVER_GIVE_UP_MS;
    d->sender = sender_new(&(struct sender_settings){.config = terms->config,
                                                     .files = terms->files,
                                                     .on_unknown = on_unknown,
                                                     .on_lost = on_lost,
                                                     .on_back = on_back,
                                                     .is_over = is_over,
                                                     .keeps_refused = true,
                                                     .owner = d});
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&d->settled, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (start_thread(d, e) == 0)
        return d;
    delivery_free(d);
    return NULL;
}

uint64_t delivery_sent(const struct delivery *d)
{
    return atomic_load(&d->sent);
}

uint64_t delivery_recovered(const struct delivery *d)
{
    return atomic_load(&d->recovered);
}

bool delivery_wait(struct delivery *d, uint64_t sent, int64_t timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    const struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    bool in_time = true;
    atomic_fetch_add(&d->waiters, 1);
    pthread_mutex_lock(&d->lock);
    while (atomic_load(&d->sent) < sent && in_time)
        in_time = pthread_cond_timedwait(&d->settled, &d->lock, &until) == 0;
    pthread_mutex_unlock(&d->lock);
    atomic_fetch_sub(&d->waiters, 1);
    return atomic_load(&d->sent) >= sent;
}

void delivery_stop(struct delivery *d)
{
    atomic_store(&d->stopping, true);
    spool_wake(d->terms.spool);
    pthread_join(d->thread, NULL);
    delivery_free(d);
}
