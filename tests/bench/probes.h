/* How long after XADD the quota cache shows an event: events of the tenant `probe`, each of
 * quantity 1, and a thread that asks for the probe's usage every millisecond. When it has reached
 * n, the first n probes have arrived: one tenant's events are counted in the order of the stream.
 */
#ifndef METERLINE_BENCH_PROBES_H
#define METERLINE_BENCH_PROBES_H

#include "tests/bench/wire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { PROBES_MAX = 1 << 20 };

struct probes {
    const char *host; /* of Redis; borrowed, as port */
    const char *port;
    pthread_t watcher;
    double every_us; /* on average, at random moments */
    int64_t next_us; /* when the next one is due; clock_us() */
    atomic_uint sent;
    atomic_uint arrived;
    int64_t sent_us[PROBES_MAX]; /* just before XADD was written */
    int64_t arrived_us[PROBES_MAX];
};

int64_t clock_us(void); /* monotonic */
void sleep_until(int64_t at_us);

/* p is zeroed but for host, port and every_us. The watcher runs until the program ends. */
void probes_start(struct probes *p);
/* Emits those that are due; the caller flushes at once. */
void probes_emit_due(struct probes *p, struct wire *w);
/* Returns 0 when all that were sent have arrived, -1 after so many seconds. */
int probes_wait(const struct probes *p, int seconds);

#endif
