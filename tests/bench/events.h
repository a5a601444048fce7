/* What the bench emits: events like those of many services. Each is worked out from its number
 * alone, so that a repeat of any earlier one needs no memory of it, and every run is the same. */
#ifndef METERLINE_BENCH_EVENTS_H
#define METERLINE_BENCH_EVENTS_H

#include <stdint.h>

enum { METRICS = 5, UUID_SIZE = 37 };

/* How a run's events are. */
struct mix {
    uint64_t entries;         /* in all, repeats among them */
    uint32_t tenants;         /* each as likely as the others, with one metric each */
    unsigned repeats_percent; /* of the entries: exactly an earlier one again, … */
    uint64_t repeats_within;  /* … one of so many before it */
    int64_t first_ms;         /* Unix ms of the first; the others follow evenly … */
    int64_t span_ms;          /* … over this time */
};

struct event {
    char id[UUID_SIZE]; /* version 4: nothing in it that compresses */
    uint32_t tenant;
    uint32_t metric;
    uint64_t thousandths; /* the quantity */
    int64_t ts_ms;
};

const char *metric_name(uint32_t metric);

/* The number of the event that entry `number` carries: its own, or a lower one if it is a repeat.
 */
uint64_t mix_original(const struct mix *m, uint64_t number);
void mix_event(const struct mix *m, uint64_t number, struct event *e);

/* What the ledger must come to, worked out from the events alone. */
struct expected {
    uint64_t different;
    uint32_t tenants;
    uint64_t *thousandths; /* tenants x METRICS */
};

void expected_init(struct expected *x, uint32_t tenants);
void expected_done(struct expected *x);
/* Events are added in the order of their ts_ms, each once. */
void expected_add(struct expected *x, const struct event *e);
/* On stdout: `events <different>`, then `<tenant> <metric> <quantity>` for each that has any. */
void expected_print(const struct expected *x);

#endif
