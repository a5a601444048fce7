#include "api/keys/key_cache.h"

#include "api/keys/rate_rule.h"
#include "api/sql.h"
#include "common/api_key.h"
#include "common/clock.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 4096,
    SWEEP_EVERY_MS = 5000,
    IDLE_MS = 10000, /* its bucket is full again by then */
    LOOK_DEADLINE_MS = 5000
};

struct asker {
    key_found_fn found;
    void *owner;
    struct asker *next;
};

struct entry {
    unsigned char hash[API_KEY_HASH_BYTES];
    struct key_cache *cache;
    struct api_caller caller;
    bool is_known;
    bool is_asking;
    int64_t asked_ms; /* monotonic: when the answer that is known was asked for */
    int64_t ends_ms;  /* Unix: when it expires; 0: never */
    struct rate_bucket bucket;
    struct asker *askers;
    struct entry *next;
};

struct key_cache {
    const struct context *context;
    uv_timer_t timer;
    struct entry *buckets[BUCKETS];
    int asking;
    bool is_closing;
    bool timer_closed;
};

static struct entry **place_of(struct key_cache *c, const unsigned char *hash)
{
    struct entry **at = &c->buckets[(hash[0] << 8 | hash[1]) % BUCKETS];
    while (*at && memcmp((*at)->hash, hash, API_KEY_HASH_BYTES) != 0)
        at = &(*at)->next;
    return at;
}

static void entry_free(struct entry *n)
{
    free(n->caller.tenant);
    free(n);
}

/* The answer to everybody who waits for it. They may ask again at once. */
static void answer(struct entry *n, const struct err *error)
{
    struct asker *a = n->askers;
    n->askers = NULL;
    while (a) {
        struct asker *next = a->next;
        struct api_caller caller = n->caller;
        int64_t wait_us = 0;
        if (!error)
            wait_us =
                rate_take(&n->bucket, clock_monotonic_us(), n->cache->context->config->rate_per_s);
        a->found(a->owner, error, error ? NULL : &caller, (wait_us + 999) / 1000);
        free(a);
        a = next;
    }
}

static void forget(struct key_cache *c, struct entry *n)
{
    struct entry **at = place_of(c, n->hash);
    *at = n->next;
    entry_free(n);
}

static void refuse(struct key_cache *c, struct entry *n, const char *why)
{
    struct err e;
    err_set(&e, ERR_INPUT, "%s", why);
    answer(n, &e);
    if (!n->askers)
        forget(c, n);
}

static enum api_role role_of(const char *name)
{
    if (strcmp(name, "admin") == 0)
        return API_ADMIN;
    return strcmp(name, "editor") == 0 ? API_EDITOR : API_VIEWER;
}

static void keep(struct entry *n, const PGresult *r)
{
    struct api_caller *caller = &n->caller;
    snprintf(caller->key_id, sizeof caller->key_id, "%s", PQgetvalue(r, 0, 1));
    snprintf(caller->name, sizeof caller->name, "%s", PQgetvalue(r, 0, 2));
    caller->role = role_of(PQgetvalue(r, 0, 3));
    free(caller->tenant);
    caller->tenant = PQgetisnull(r, 0, 4) ? NULL : xstrdup(PQgetvalue(r, 0, 4));
    caller->is_portal = *PQgetvalue(r, 0, 5) == 't';
    n->is_known = true;
}

static void end(struct key_cache *c)
{
    if (c->is_closing && c->asking == 0 && c->timer_closed) {
        for (int i = 0; i < BUCKETS; i++)
            for (struct entry *n = c->buckets[i], *next; n; n = next) {
                next = n->next;
                entry_free(n);
            }
        free(c);
    }
}

static void take_key(void *owner, const struct err *error, PGresult **results, int n)
{
    struct entry *entry = owner;
    struct key_cache *c = entry->cache;
    (void)n;
    entry->is_asking = false;
    c->asking--;
    if (error) {
        entry->is_known = false;
        answer(entry, error);
        if (!entry->askers)
            forget(c, entry);
    } else if (PQntuples(results[0]) == 0) {
        refuse(c, entry, "there is no such key");
    } else if (strcmp(PQgetvalue(results[0], 0, 0), "valid") != 0) {
        bool has_expired = strcmp(PQgetvalue(results[0], 0, 0), "expired") == 0;
        refuse(c, entry, has_expired ? "the key has expired" : "the key was revoked");
    } else {
        keep(entry, results[0]);
        answer(entry, NULL);
    }
    end(c);
}

static void ask(struct key_cache *c, struct entry *n)
{
    struct pg_statement s;
    n->is_asking = true;
    n->asked_ms = clock_monotonic_ms();
    c->asking++;
    pg_statement_init(&s, SQL_FIND_KEY);
    pg_add_binary(&s, PG_BYTEA, n->hash, API_KEY_HASH_BYTES);
    pg_pool_run(c->context->pool, &s, 1, LOOK_DEADLINE_MS, take_key, n);
}

void key_cache_find(struct key_cache *c, const char *token, key_found_fn found, void *owner)
{
    unsigned char hash[API_KEY_HASH_BYTES];
    api_key_hash(token, hash);
    struct entry **at = place_of(c, hash);
    struct entry *n = *at;
    if (!n) {
        *at = n = xcalloc(1, sizeof *n);
        n->cache = c;
        memcpy(n->hash, hash, sizeof hash);
    }
    if (n->is_known && !n->is_asking && clock_monotonic_ms() - n->asked_ms < KEY_FRESH_MS) {
        int64_t wait_us =
            rate_take(&n->bucket, clock_monotonic_us(), c->context->config->rate_per_s);
        found(owner, NULL, &n->caller, (wait_us + 999) / 1000);
        return;
    }
    struct asker *a = xcalloc(1, sizeof *a);
    struct asker **last = &n->askers;
    *a = (struct asker){.found = found, .owner = owner};
    while (*last)
        last = &(*last)->next;
    *last = a;
    if (!n->is_asking)
        ask(c, n);
}

static void sweep(uv_timer_t *timer)
{
    struct key_cache *c = timer->data;
    int64_t now_ms = clock_monotonic_ms();
    for (int i = 0; i < BUCKETS; i++)
        for (struct entry **at = &c->buckets[i], *n; (n = *at);) {
            if (n->is_asking || now_ms - n->asked_ms < IDLE_MS) {
                at = &n->next;
                continue;
            }
            *at = n->next;
            entry_free(n);
        }
}

struct key_cache *key_cache_open(const struct context *context)
{
    struct key_cache *c = xcalloc(1, sizeof *c);
    c->context = context;
    uv_timer_init(stage_loop(context->stage), &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, sweep, SWEEP_EVERY_MS, SWEEP_EVERY_MS);
    return c;
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct key_cache *c = timer->data;
    c->timer_closed = true;
    end(c);
}

void key_cache_close(struct key_cache *c)
{
    c->is_closing = true;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
