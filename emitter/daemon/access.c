#include "emitter/daemon/access.h"

#include "common/contract.h"
#include "common/str.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { KEY_MIN = 16, KEY_MAX = 128, DIGEST_SIZE = crypto_generichash_BYTES };

/* A bucket that fills by the rate, up to what may be sent in a second, and may be overdrawn by one
 * request. In thousandths of an event. */
struct access_rate {
    int64_t tokens;
    int64_t filled_ms; /* monotonic; 0: not used yet */
};

struct key {
    unsigned char digest[DIGEST_SIZE];
    char *tenant; /* owned; NULL: any */
    struct access_rate rate;
};

/* Keys are looked up by a digest that is keyed anew in each process, so that the time which that
 * takes tells nothing of them. */
struct access {
    int64_t rate_per_s;
    unsigned char secret[crypto_generichash_KEYBYTES];
    char *text;       /* owned; NULL: everybody may */
    struct key *keys; /* sorted by digest */
    size_t count;
    struct access_rate common;
};

/* Cuts the next "key=tenant" off. */
static bool pop_pair(const char **at, struct slice *key, struct slice *tenant)
{
    if (!**at)
        return false;
    size_t length = strcspn(*at, ",");
    const char *equals = memchr(*at, '=', length);
    size_t key_length = equals ? (size_t)(equals - *at) : length;
    *key = (struct slice){*at, key_length};
    *tenant = (struct slice){*at + key_length + 1, equals ? length - key_length - 1 : 0};
    *at += length + ((*at)[length] == ',');
    return true;
}

static bool is_key(struct slice key)
{
    for (size_t i = 0; i < key.length; i++)
        if (key.data[i] <= ' ' || key.data[i] > '~')
            return false;
    return key.length >= KEY_MIN && key.length <= KEY_MAX;
}

int access_check_keys(const char *keys, struct err *e)
{
    struct slice key;
    struct slice tenant;
    while (pop_pair(&keys, &key, &tenant)) {
        if (!is_key(key))
            return err_set(e, ERR_CONFIG, "each key must have %d to %d printable characters",
                           KEY_MIN, KEY_MAX);
        if (tenant.length == 0 || tenant.length > TENANT_MAX_BYTES ||
            !str_is_utf8(tenant.data, tenant.length))
            return err_set(e, ERR_CONFIG, "each key must be key=tenant, or key=* for all tenants");
    }
    return 0;
}

struct access *access_new(int64_t rate_per_s)
{
    struct access *a = xcalloc(1, sizeof *a);
    a->rate_per_s = rate_per_s;
    randombytes_buf(a->secret, sizeof a->secret);
    return a;
}

static void digest_of(const struct access *a, struct slice key, unsigned char out[DIGEST_SIZE])
{
    crypto_generichash(out, DIGEST_SIZE, (const unsigned char *)key.data, key.length, a->secret,
                       sizeof a->secret);
}

static int compare(const void *left, const void *right)
{
    return memcmp(((const struct key *)left)->digest, ((const struct key *)right)->digest,
                  DIGEST_SIZE);
}

static void forget_keys(struct access *a)
{
    for (size_t i = 0; i < a->count; i++)
        free(a->keys[i].tenant);
    free(a->keys);
    if (a->text)
        sodium_memzero(a->text, strlen(a->text));
    free(a->text);
    a->text = NULL;
    a->keys = NULL;
    a->count = 0;
}

void access_set_keys(struct access *a, const char *keys)
{
    struct slice key;
    struct slice tenant;
    if ((!keys && !a->text) || (keys && a->text && !strcmp(keys, a->text)))
        return;
    forget_keys(a);
    a->text = keys ? xstrdup(keys) : NULL;
    for (const char *at = a->text ? a->text : ""; pop_pair(&at, &key, &tenant);) {
        bool is_any = tenant.length == 1 && *tenant.data == '*';
        a->keys = xrealloc(a->keys, (a->count + 1) * sizeof *a->keys);
        struct key *added = &a->keys[a->count++];
        *added = (struct key){.tenant = is_any ? NULL : xstrndup(tenant.data, tenant.length)};
        digest_of(a, key, added->digest);
    }
    if (a->count > 0)
        qsort(a->keys, a->count, sizeof *a->keys, compare);
}

void access_free(struct access *a)
{
    forget_keys(a);
    sodium_memzero(a->secret, sizeof a->secret);
    free(a);
}

static struct slice key_of(const char *authorization, const char *api_key)
{
    static const char BEARER[] = "Bearer ";
    const char *key = api_key;
    if (authorization && !strncasecmp(authorization, BEARER, sizeof BEARER - 1))
        key = authorization + sizeof BEARER - 1;
    return (struct slice){key ? key : "", key ? strlen(key) : 0};
}

bool access_is_open(const struct access *a)
{
    return !a->text;
}

bool access_find(struct access *a, const char *authorization, const char *api_key,
                 struct caller *out)
{
    struct key wanted = {.tenant = NULL};
    *out = (struct caller){.rate = &a->common};
    if (!a->text)
        return true;
    digest_of(a, key_of(authorization, api_key), wanted.digest);
    struct key *found =
        a->count > 0 ? bsearch(&wanted, a->keys, a->count, sizeof *a->keys, compare) : NULL;
    if (!found)
        return false;
    out->rate = &found->rate;
    if (found->tenant)
        out->tenant = (struct slice){found->tenant, strlen(found->tenant)};
    return true;
}

int64_t access_wait_s(const struct access *a, const struct caller *c, int64_t now_ms)
{
    struct access_rate *r = c->rate;
    int64_t full = a->rate_per_s * 1000;
    if (a->rate_per_s == 0)
        return 0;
    int64_t passed_ms = now_ms - r->filled_ms;
    bool is_long = r->filled_ms == 0 || passed_ms > (full - r->tokens) / a->rate_per_s;
    r->tokens = is_long ? full : r->tokens + passed_ms * a->rate_per_s;
    r->filled_ms = now_ms;
    return r->tokens > 0 ? 0 : -r->tokens / full + 1;
}

void access_spend(const struct access *a, const struct caller *c, int64_t events)
{
    if (a->rate_per_s > 0)
        c->rate->tokens -= events * 1000;
}
