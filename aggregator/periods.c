#include "aggregator/periods.h"

#include "common/str.h"

#include <sodium.h>
#include <stdlib.h>

/* A tenant's periods hang on one bucket each; most tenants have one or two. */
struct known {
    struct known *next;
    struct period period;
    uint64_t hash;
    uint32_t length;
    char tenant[]; /* not NUL-terminated */
};

struct periods {
    unsigned char key[crypto_shorthash_KEYBYTES];
    struct known **buckets;
    uint32_t mask;
    uint32_t count;
};

enum { BUCKETS_MIN = 1024 };

struct periods *periods_new(const unsigned char key[16])
{
    struct periods *p = xcalloc(1, sizeof *p);

    memcpy(p->key, key, sizeof p->key);
    p->buckets = xcalloc(BUCKETS_MIN, sizeof *p->buckets);
    p->mask = BUCKETS_MIN - 1;
    return p;
}

void periods_forget_all(struct periods *p)
{
    for (uint32_t i = 0; i <= p->mask; i++) {
        while (p->buckets[i] != NULL) {
            struct known *k = p->buckets[i];

            p->buckets[i] = k->next;
            free(k);
        }
    }
    p->count = 0;
}

void periods_free(struct periods *p)
{
    if (p == NULL)
        return;
    periods_forget_all(p);
    free(p->buckets);
    free(p);
}

static uint64_t hash_tenant(const struct periods *p, struct text tenant)
{
    uint64_t hash;

    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)tenant.data, tenant.length,
                     p->key);
    return hash;
}

static bool is_of(const struct known *k, uint64_t hash, struct text tenant)
{
    return k->hash == hash &&
           text_equal((struct text){.data = k->tenant, .length = k->length}, tenant);
}

bool periods_find(const struct periods *p, struct text tenant, int64_t minute_ms,
                  struct period *out)
{
    uint64_t hash = hash_tenant(p, tenant);

    for (const struct known *k = p->buckets[hash & p->mask]; k != NULL; k = k->next) {
        if (is_of(k, hash, tenant) && k->period.start_ms <= minute_ms &&
            minute_ms < k->period.end_ms) {
            *out = k->period;
            return true;
        }
    }
    return false;
}

static void grow(struct periods *p)
{
    uint32_t size = (p->mask + 1) * 2;
    struct known **buckets = xcalloc(size, sizeof *buckets);

    for (uint32_t i = 0; i <= p->mask; i++) {
        while (p->buckets[i] != NULL) {
            struct known *k = p->buckets[i];

            p->buckets[i] = k->next;
            k->next = buckets[k->hash & (size - 1)];
            buckets[k->hash & (size - 1)] = k;
        }
    }
    free(p->buckets);
    p->buckets = buckets;
    p->mask = size - 1;
}

void periods_add(struct periods *p, struct text tenant, struct period period)
{
    struct known *k = xmalloc(sizeof *k + tenant.length);

    if (p->count > p->mask)
        grow(p);
    k->hash = hash_tenant(p, tenant);
    k->period = period;
    k->length = tenant.length;
    memcpy(k->tenant, tenant.data, tenant.length);
    k->next = p->buckets[k->hash & p->mask];
    p->buckets[k->hash & p->mask] = k;
    p->count++;
}

void periods_forget(struct periods *p, struct text tenant)
{
    uint64_t hash = hash_tenant(p, tenant);
    struct known **at = &p->buckets[hash & p->mask];

    while (*at != NULL) {
        struct known *k = *at;

        if (!is_of(k, hash, tenant)) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        free(k);
        p->count--;
    }
}

uint32_t periods_count(const struct periods *p)
{
    return p->count;
}
