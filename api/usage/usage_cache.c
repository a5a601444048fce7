#include "api/usage/usage_cache.h"

#include "api/sql.h"
#include "common/clock.h"
#include "common/pg/pg_array.h"
#include "common/str.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 1 << 14,
    ENTRIES_MAX = 1 << 15, /* of about a kilobyte each; beyond that, answers are not kept */
    TOGETHER_MAX = 256,    /* tenants in a statement */
    STATEMENTS_MAX = 2,    /* under way at once */
    SWEEP_EVERY_MS = 1000
};

/* One tenant. */
struct entry {
    char *tenant;
    char *text; /* the answer; NULL: none yet */
    size_t length;
    int64_t asked_ms; /* monotonic: when it was asked for */
    bool is_asked;    /* in a statement, or waiting for the next one */
    struct api_request **waiters;
    int waiters_count;
    int waiters_capacity;
    struct entry *next;        /* in its bucket */
    struct entry *next_wanted; /* waiting for the next statement */
};

struct usage_cache {
    const struct context *context;
    struct entry *buckets[BUCKETS];
    int entries;
    unsigned char secret[crypto_shorthash_KEYBYTES];
    struct entry *wanted; /* oldest first */
    struct entry *wanted_last;
    int statements;
    uv_timer_t sweep;
};

/* A statement under way. */
struct asking {
    struct usage_cache *cache;
    struct entry *entries[TOGETHER_MAX];
    int count;
};

static struct entry **place_of(struct usage_cache *c, const char *tenant)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)tenant, strlen(tenant),
                     c->secret);
    struct entry **at = &c->buckets[hash % BUCKETS];
    while (*at && strcmp((*at)->tenant, tenant) != 0)
        at = &(*at)->next;
    return at;
}

static void entry_free(struct usage_cache *c, struct entry *n)
{
    c->entries--;
    free(n->tenant);
    free(n->text);
    free(n->waiters);
    free(n);
}

static void drop(struct usage_cache *c, struct entry *n)
{
    struct entry **at = place_of(c, n->tenant);
    *at = n->next;
    entry_free(c, n);
}

/* error NULL: with what the entry has now. Who is answered may ask again, and is then served by the
 * next statement. */
static void answer_all(struct entry *n, const struct err *error)
{
    struct api_request **waiters = n->waiters;
    int count = n->waiters_count;
    n->waiters = NULL;
    n->waiters_count = n->waiters_capacity = 0;
    for (int i = 0; i < count; i++) {
        if (error)
            api_fail_err(waiters[i], error);
        else
            api_answer_text(waiters[i], n->text, n->length);
    }
    free(waiters);
}

static void ask(struct usage_cache *c);

static void keep(struct asking *a, const PGresult *r, int row)
{
    int64_t place = strtol(PQgetvalue(r, row, 0), NULL, 10) - 1;
    struct entry *n = place >= 0 && place < a->count ? a->entries[place] : NULL;
    if (!n)
        return;
    free(n->text);
    n->length = (size_t)PQgetlength(r, row, 1);
    n->text = xstrndup(PQgetvalue(r, row, 1), n->length);
}

static void take_usage(void *owner, const struct err *error, PGresult **results, int n)
{
    struct asking *a = owner;
    struct usage_cache *c = a->cache;
    (void)n;
    c->statements--;
    for (int row = 0; !error && row < PQntuples(results[0]); row++)
        keep(a, results[0], row);
    for (int i = 0; i < a->count; i++) {
        struct entry *entry = a->entries[i];
        bool is_kept = !error && c->context->config->cache_ms > 0 && c->entries <= ENTRIES_MAX;
        entry->is_asked = false;
        answer_all(entry, error);
        if (!is_kept && !entry->is_asked)
            drop(c, entry);
    }
    free(a);
    ask(c);
}

static void ask(struct usage_cache *c)
{
    struct pg_statement s;
    struct pg_array tenants;
    while (c->wanted && c->statements < STATEMENTS_MAX) {
        struct asking *a = xcalloc(1, sizeof *a);
        a->cache = c;
        pg_array_init(&tenants, PG_TEXT);
        int64_t now_ms = clock_monotonic_ms();
        while (c->wanted && a->count < TOGETHER_MAX) {
            struct entry *n = c->wanted;
            c->wanted = n->next_wanted;
            n->asked_ms = now_ms;
            a->entries[a->count++] = n;
            pg_array_add_text(&tenants, n->tenant);
        }
        if (!c->wanted)
            c->wanted_last = NULL;
        c->statements++;
        pg_statement_init(&s, SQL_READ_USAGE);
        pg_add_array(&s, &tenants);
        pg_pool_run(c->context->pool, &s, 1, API_DEADLINE_MS, take_usage, a);
        pg_array_done(&tenants);
    }
}

static void want(struct usage_cache *c, struct entry *n)
{
    n->is_asked = true;
    n->next_wanted = NULL;
    if (c->wanted_last)
        c->wanted_last->next_wanted = n;
    else
        c->wanted = n;
    c->wanted_last = n;
}

static struct entry *entry_of(struct usage_cache *c, const char *tenant)
{
    struct entry **at = place_of(c, tenant);
    if (!*at) {
        *at = xcalloc(1, sizeof **at);
        (*at)->tenant = xstrdup(tenant);
        c->entries++;
    }
    return *at;
}

void usage_cache_answer(struct usage_cache *c, struct api_request *r)
{
    struct entry *n = entry_of(c, r->tenant);
    if (!n->is_asked && n->text &&
        clock_monotonic_ms() - n->asked_ms < c->context->config->cache_ms) {
        api_answer_text(r, n->text, n->length);
        return;
    }
    if (n->waiters_count == n->waiters_capacity) {
        n->waiters_capacity = n->waiters_capacity ? 2 * n->waiters_capacity : 4;
        n->waiters = xrealloc(n->waiters, (size_t)n->waiters_capacity * sizeof(*n->waiters));
    }
    n->waiters[n->waiters_count++] = r;
    if (!n->is_asked)
        want(c, n);
    ask(c);
}

static void on_sweep(uv_timer_t *timer)
{
    struct usage_cache *c = timer->data;
    int64_t now_ms = clock_monotonic_ms();
    for (int i = 0; i < BUCKETS; i++)
        for (struct entry **at = &c->buckets[i], *n; (n = *at);) {
            if (n->is_asked || now_ms - n->asked_ms < c->context->config->cache_ms) {
                at = &n->next;
            } else {
                *at = n->next;
                entry_free(c, n);
            }
        }
}

struct usage_cache *usage_cache_open(const struct context *context)
{
    struct usage_cache *c = xcalloc(1, sizeof *c);
    c->context = context;
    randombytes_buf(c->secret, sizeof c->secret);
    uv_timer_init(stage_loop(context->stage), &c->sweep);
    c->sweep.data = c;
    uv_timer_start(&c->sweep, on_sweep, SWEEP_EVERY_MS, SWEEP_EVERY_MS);
    return c;
}

static void on_sweep_closed(uv_handle_t *timer)
{
    struct usage_cache *c = timer->data;
    for (int i = 0; i < BUCKETS; i++)
        for (struct entry *n = c->buckets[i], *next; n; n = next) {
            next = n->next;
            entry_free(c, n);
        }
    free(c);
}

void usage_cache_close(struct usage_cache *c)
{
    uv_close((uv_handle_t *)&c->sweep, on_sweep_closed);
}
