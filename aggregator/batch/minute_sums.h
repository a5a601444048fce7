/* Minute sums: what a batch adds to the ledger for each tenant, metric, dimensions and minute. */
#ifndef METERLINE_MINUTE_SUMS_H
#define METERLINE_MINUTE_SUMS_H

#include "aggregator/batch/event.h"

#include <stdbool.h>
#include <stdint.h>

struct minute_sum {
    const struct tenant_ref *tenant;
    struct text dims_json; /* borrowed from the event that opened the row */
    int64_t minute_ms;     /* start of the minute of occurred_ms, Unix ms */
    int metric;            /* in the catalog */
    uint32_t hash;         /* of the key */
    int64_t events;
    struct dec sum;
    struct dec min;
    struct dec max;
    struct dec last;          /* quantity of the event that is last by occurred_ms, then entry */
    int64_t last_occurred_ms; /* of that event */
    uint64_t last_ms;         /* its entry */
    uint64_t last_seq;
};

struct minute_sums {
    unsigned char key[16];   /* of the hash: strangers choose dimensions */
    struct minute_sum *rows; /* in order of appearance; see minute_sums_sort */
    uint32_t *slots;         /* hash table: index + 1, 0 for none */
    uint32_t count;
    uint32_t capacity;
    uint32_t slots_mask;
    bool has_large; /* dimensions so long that an index may not take the row */
    bool sorted;    /* rows have moved, slots are void */
};

/* key: 16 random bytes of this process. */
void minute_sums_init(struct minute_sums *t, const unsigned char key[16]);
void minute_sums_done(struct minute_sums *t);
void minute_sums_clear(struct minute_sums *t); /* empty; memory kept */

/* Count one event (not a retraction: asserted), which must outlive the rows as far as
 * tenant and dims_json go. All events must share one struct tenants. Returns 0, or -1 if the sum
 * would pass 38 digits: nothing was counted. */
int minute_sums_add(struct minute_sums *t, const struct event *event);

/* Add a row of others with the same hash key; its tenant is of this one's table. True if it
 * is a new row, whose dims_json is still that of the other: see minute_sums_own_dims. */
bool minute_sums_merge(struct minute_sums *t, const struct minute_sum *row);
/* The newest row's dims_json, by an equal text that lives as long as the row. */
void minute_sums_own_dims(struct minute_sums *t, struct text dims_json);

/* Bring rows[0 … count - 1] into the order of tenant, metric, minute, dimensions (bytes), in which
 * every aggregator writes them. Nothing can be added afterwards until minute_sums_clear. */
void minute_sums_sort(struct minute_sums *t);

#endif
