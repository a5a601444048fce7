#include "aggregator/batch/minute_sums.h"

#include "common/clock.h"
#include "common/str.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

/* An index takes 2704 bytes: tenant, metric and dimensions as jsonb, which may be twice as long. */
#define DIMS_LARGE_BYTES 1000U

#define ROWS_INITIAL  1024U
#define SLOTS_INITIAL 2048U

static void set_slots(struct minute_sums *t, uint32_t count)
{
    free(t->slots);
    t->slots = xcalloc(count, sizeof(*t->slots));
    t->slots_mask = count - 1;
}

void minute_sums_init(struct minute_sums *t, const unsigned char key[16])
{
    *t = (struct minute_sums){0};
    memcpy(t->key, key, sizeof(t->key));
    set_slots(t, SLOTS_INITIAL);
}

void minute_sums_done(struct minute_sums *t)
{
    free(t->rows);
    free(t->slots);
    *t = (struct minute_sums){0};
}

void minute_sums_clear(struct minute_sums *t)
{
    memset(t->slots, 0, (t->slots_mask + 1) * sizeof(*t->slots));
    t->count = 0;
    t->has_large = false;
    t->sorted = false;
}

/* The tenant's hash is keyed already; minute and metric are mixed in by one wide multiplication
 * with secret numbers, dimensions by a keyed hash where there are any. */
static uint32_t hash_key(const struct minute_sums *t, const struct event *event, int64_t minute_ms)
{
    uint64_t secret[2];
    uint64_t dims = 0;
    uint64_t when = (uint64_t)(minute_ms / MINUTE_MS) | (uint64_t)event->metric << 40;
    memcpy(secret, t->key, sizeof(secret));
    if (event->dims_json.length > strlen("{}"))
        crypto_shorthash((unsigned char *)&dims, (const unsigned char *)event->dims_json.data,
                         event->dims_json.length, t->key);
    dec_uint product = (dec_uint)(event->tenant->hash ^ dims ^ secret[0]) * (when ^ secret[1]);
    return (uint32_t)((uint64_t)(product >> 64) ^ (uint64_t)product);
}

static bool is_row_of(const struct minute_sum *row, const struct event *event, int64_t minute_ms)
{
    return row->tenant == event->tenant && row->metric == event->metric &&
           row->minute_ms == minute_ms && text_equal(row->dims_json, event->dims_json);
}

static void grow_slots(struct minute_sums *t)
{
    set_slots(t, (t->slots_mask + 1) * 2);
    for (uint32_t n = 0; n < t->count; n++) {
        uint32_t i = t->rows[n].hash & t->slots_mask;
        while (t->slots[i] != 0)
            i = (i + 1) & t->slots_mask;
        t->slots[i] = n + 1;
    }
}

static void reserve_row(struct minute_sums *t)
{
    if (t->count >= (t->slots_mask + 1) / 2)
        grow_slots(t);
    if (t->count < t->capacity)
        return;
    assert(t->capacity <= UINT32_MAX / 4);
    t->capacity = t->capacity == 0 ? ROWS_INITIAL : t->capacity * 2;
    t->rows = xrealloc(t->rows, t->capacity * sizeof(*t->rows));
}

/* The row of that key; opened if need be, with no events yet. */
static struct minute_sum *find_row(struct minute_sums *t, const struct event *event)
{
    int64_t minute_ms = clock_minute_of(event->occurred_ms);
    uint32_t hash = hash_key(t, event, minute_ms);
    reserve_row(t);
    uint32_t i;
    for (i = hash & t->slots_mask; t->slots[i] != 0; i = (i + 1) & t->slots_mask) {
        struct minute_sum *row = &t->rows[t->slots[i] - 1];
        if (row->hash == hash && is_row_of(row, event, minute_ms))
            return row;
    }
    t->rows[t->count] = (struct minute_sum){
        .tenant = event->tenant,
        .dims_json = event->dims_json,
        .minute_ms = minute_ms,
        .metric = event->metric,
        .hash = hash,
    };
    t->has_large |= event->dims_json.length > DIMS_LARGE_BYTES;
    t->slots[i] = ++t->count;
    return &t->rows[t->count - 1];
}

static bool is_later(int64_t occurred_ms, uint64_t ms, uint64_t seq, const struct minute_sum *row)
{
    if (occurred_ms != row->last_occurred_ms)
        return occurred_ms > row->last_occurred_ms;
    return ms != row->last_ms ? ms > row->last_ms : seq > row->last_seq;
}

static void count_event(struct minute_sum *row, const struct event *event)
{
    bool first = row->events++ == 0;
    if (first || dec_cmp(event->quantity, row->min) < 0)
        row->min = event->quantity;
    if (first || dec_cmp(event->quantity, row->max) > 0)
        row->max = event->quantity;
    if (!first && !is_later(event->occurred_ms, event->ms, event->seq, row))
        return;
    row->last = event->quantity;
    row->last_occurred_ms = event->occurred_ms;
    row->last_ms = event->ms;
    row->last_seq = event->seq;
}

int minute_sums_add(struct minute_sums *t, const struct event *event)
{
    assert(!event->retract && !t->sorted);
    struct minute_sum *row = find_row(t, event);
    /* A row that was opened just now cannot overflow: a quantity has 18 digits before the point. */
    if (dec_add(row->sum, event->quantity, &row->sum) < 0)
        return -1;
    count_event(row, event);
    return 0;
}

static bool is_same_row(const struct minute_sum *a, const struct minute_sum *b)
{
    return a->hash == b->hash && a->tenant == b->tenant && a->metric == b->metric &&
           a->minute_ms == b->minute_ms && text_equal(a->dims_json, b->dims_json);
}

static void merge_row(struct minute_sum *to, const struct minute_sum *row)
{
    /* Millions of events of at most 18 digits before the point fit the 29 there are. */
    if (dec_add(to->sum, row->sum, &to->sum) < 0)
        abort();
    to->events += row->events;
    if (dec_cmp(row->min, to->min) < 0)
        to->min = row->min;
    if (dec_cmp(row->max, to->max) > 0)
        to->max = row->max;
    if (!is_later(row->last_occurred_ms, row->last_ms, row->last_seq, to))
        return;
    to->last = row->last;
    to->last_occurred_ms = row->last_occurred_ms;
    to->last_ms = row->last_ms;
    to->last_seq = row->last_seq;
}

bool minute_sums_merge(struct minute_sums *t, const struct minute_sum *row)
{
    assert(!t->sorted);
    reserve_row(t);
    uint32_t i;
    for (i = row->hash & t->slots_mask; t->slots[i] != 0; i = (i + 1) & t->slots_mask) {
        if (is_same_row(&t->rows[t->slots[i] - 1], row)) {
            merge_row(&t->rows[t->slots[i] - 1], row);
            return false;
        }
    }
    t->rows[t->count] = *row;
    t->slots[i] = ++t->count;
    return true;
}

void minute_sums_own_dims(struct minute_sums *t, struct text dims_json)
{
    t->rows[t->count - 1].dims_json = dims_json;
}

static int compare_rows(const void *a, const void *b)
{
    const struct minute_sum *x = a;
    const struct minute_sum *y = b;
    if (x->tenant != y->tenant)
        return text_compare(x->tenant->name, y->tenant->name);
    if (x->metric != y->metric)
        return x->metric < y->metric ? -1 : 1;
    if (x->minute_ms != y->minute_ms)
        return x->minute_ms < y->minute_ms ? -1 : 1;
    return text_compare(x->dims_json, y->dims_json);
}

void minute_sums_sort(struct minute_sums *t)
{
    if (t->count > 0)
        qsort(t->rows, t->count, sizeof(*t->rows), compare_rows);
    t->sorted = true;
}
