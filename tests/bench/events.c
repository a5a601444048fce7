#include "tests/bench/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The metrics of catalog.json, how many of 100 tenants use each, and its largest quantity in
 * thousandths. */
static const struct {
    const char *name;
    unsigned share;
    uint64_t quantity_max;
    uint64_t step; /* 1000: whole numbers only */
    int is_level;  /* the latest value counts, else the sum */
} METRIC[METRICS] = {
    {"api_calls", 45, 1000, 1000, 0},        {"llm_tokens", 30, 4000000, 1000, 0},
    {"agent_executions", 15, 3000, 1000, 0}, {"storage_gb", 6, 400000, 1, 1},
    {"user_seats", 4, 50000, 1000, 1},
};

const char *metric_name(uint32_t metric)
{
    return METRIC[metric].name;
}

/* splitmix64, public domain: https://prng.di.unimi.it/splitmix64.c */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* Numbers of their own for every entry: the states of two never meet. */
static uint64_t seed_of(uint64_t number)
{
    uint64_t state = number;

    return next_random(&state);
}

uint64_t mix_original(const struct mix *m, uint64_t number)
{
    while (number > 0) {
        uint64_t state = ~seed_of(number);
        uint64_t near = number < m->repeats_within ? number : m->repeats_within;

        if (next_random(&state) % 100 >= m->repeats_percent)
            break;
        number -= 1 + next_random(&state) % near;
    }
    return number;
}

static uint32_t choose_metric(unsigned ticket)
{
    uint32_t metric = 0;

    while (ticket >= METRIC[metric].share)
        ticket -= METRIC[metric++].share;
    return metric;
}

/* RFC 9562, version 4. */
static void put_uuid(uint64_t high, uint64_t low, char id[UUID_SIZE])
{
    static const char DIGITS[] = "0123456789abcdef";
    char *to = id;

    high = (high & ~UINT64_C(0xf000)) | 0x4000;
    low = (low & ~(UINT64_C(3) << 62)) | (UINT64_C(2) << 62);
    for (int i = 0; i < 32; i++) {
        uint64_t half = i < 16 ? high : low;

        if (i == 8 || i == 12 || i == 16 || i == 20)
            *to++ = '-';
        *to++ = DIGITS[half >> (60 - 4 * (i % 16)) & 15];
    }
    *to = '\0';
}

void mix_event(const struct mix *m, uint64_t number, struct event *e)
{
    uint64_t state = seed_of(number);
    uint64_t high = next_random(&state);
    uint64_t low = next_random(&state);

    put_uuid(high, low, e->id);
    e->tenant = (uint32_t)(next_random(&state) % m->tenants);
    e->metric = choose_metric(e->tenant % 100);
    e->thousandths =
        METRIC[e->metric].step *
        (1 + next_random(&state) % (METRIC[e->metric].quantity_max / METRIC[e->metric].step));
    e->ts_ms = m->first_ms + m->span_ms * (int64_t)number / (int64_t)m->entries;
}

void expected_init(struct expected *x, uint32_t tenants)
{
    *x = (struct expected){.tenants = tenants};
    x->thousandths = calloc((size_t)tenants * METRICS, sizeof *x->thousandths);
    if (x->thousandths == NULL)
        abort();
}

void expected_done(struct expected *x)
{
    free(x->thousandths);
}

void expected_add(struct expected *x, const struct event *e)
{
    uint64_t *sum = &x->thousandths[(size_t)e->tenant * METRICS + e->metric];

    *sum = METRIC[e->metric].is_level ? e->thousandths : *sum + e->thousandths;
    x->different++;
}

void expected_print(const struct expected *x)
{
    printf("events %" PRIu64 "\n", x->different);
    for (uint32_t tenant = 0; tenant < x->tenants; tenant++)
        for (uint32_t metric = 0; metric < METRICS; metric++) {
            uint64_t sum = x->thousandths[(size_t)tenant * METRICS + metric];

            if (sum > 0)
                printf("tenant-%06" PRIu32 " %s %" PRIu64 ".%03" PRIu64 "\n", tenant,
                       METRIC[metric].name, sum / 1000, sum % 1000);
        }
}
