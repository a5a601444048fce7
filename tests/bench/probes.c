#include "tests/bench/probes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { POLL_US = 1000 };
#define PROBE "probe"

int64_t clock_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void sleep_until(int64_t at_us)
{
    struct timespec t = {.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
        ;
}

static unsigned read_used(redisContext *redis)
{
    redisReply *reply = redisCommand(redis, "HGET quota:{" PROBE "} %s.used", metric_name(0));
    unsigned used;

    if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
        fail(reply ? reply->str : redis->errstr);
    used = reply->type == REDIS_REPLY_STRING ? (unsigned)strtoul(reply->str, NULL, 10) : 0;
    freeReplyObject(reply);
    return used;
}

static void take_used(struct probes *p, unsigned used, int64_t now_us)
{
    unsigned arrived = atomic_load(&p->arrived);

    if (used > atomic_load(&p->sent))
        fail("the quota cache shows more than was sent");
    while (arrived < used)
        p->arrived_us[arrived++] = now_us;
    atomic_store(&p->arrived, arrived);
}

static void *watch(void *owner)
{
    struct probes *p = owner;
    redisContext *redis = redisConnect(p->host, atoi(p->port));

    if (redis == NULL || redis->err)
        fail("cannot connect the watcher");
    for (;;) {
        int64_t began_us = clock_us();
        unsigned used = read_used(redis);

        take_used(p, used, clock_us());
        sleep_until(began_us + POLL_US);
    }
    return NULL;
}

/* Independent moments: the time between two is exponential. */
static void plan_next(struct probes *p)
{
    p->next_us += (int64_t)(-log(1.0 - drand48()) * p->every_us);
}

void probes_start(struct probes *p)
{
    p->next_us = clock_us();
    plan_next(p);
    if (pthread_create(&p->watcher, NULL, watch, p) != 0)
        fail("cannot start the watcher");
}

void probes_emit_due(struct probes *p, struct wire *w)
{
    for (; p->next_us <= clock_us(); plan_next(p)) {
        unsigned n = atomic_load(&p->sent);
        struct event e = {.thousandths = 1000, .ts_ms = (int64_t)time(NULL) * 1000};

        if (n == PROBES_MAX)
            fail("too many probes");
        snprintf(e.id, sizeof e.id, "probe-%u", n);
        p->sent_us[n] = clock_us();
        atomic_store(&p->sent, n + 1);
        wire_add(w, PROBE, &e);
    }
}

int probes_wait(const struct probes *p, int seconds)
{
    int64_t deadline_us = clock_us() + (int64_t)seconds * 1000000;

    while (atomic_load(&p->arrived) < atomic_load(&p->sent)) {
        if (clock_us() > deadline_us)
            return -1;
        sleep_until(clock_us() + POLL_US);
    }
    return 0;
}
