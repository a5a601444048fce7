/* Who may call, for which tenant, and how much: the keys of EMITTER_KEYS, and a rate for each. */
#ifndef METERLINE_EMITTER_ACCESS_H
#define METERLINE_EMITTER_ACCESS_H

#include "common/err.h"
#include "common/events/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct access; /* opaque */
struct access_rate;

struct caller {
    struct slice tenant; /* the key's, or the one that was named; empty: none */
    bool is_bound;       /* to that tenant: it is the key's */
    struct access_rate *rate;
};

/* For the settings table: "key=tenant,key=*". */
int access_check_keys(const char *keys, struct err *e);

/* rate_per_s: events; 0: no limit. */
struct access *access_new(int64_t rate_per_s);
/* Use these keys from now on; NULL: everybody may. Callers that were found before are void. Does
 * nothing if they are the same. */
void access_set_keys(struct access *a, const char *keys);
void access_free(struct access *a);

/* Everybody may. */
bool access_is_open(const struct access *a);
/* authorization: of the header, "Bearer <key>"; api_key: of X-Api-Key. Either may be NULL. Returns
 * false: no such key. */
bool access_find(struct access *a, const char *authorization, const char *api_key,
                 struct caller *out);

/* May it send more now? 0, or after how many seconds. now_ms: monotonic. */
int64_t access_wait_s(const struct access *a, const struct caller *c, int64_t now_ms);
/* It has sent so many events. */
void access_spend(const struct access *a, const struct caller *c, int64_t events);

#endif
