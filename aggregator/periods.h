/* Which billing period a tenant's minute belongs to, as the database answered before. Right as long
 * as `version` is the database's periods_version, which a writer checks inside its transaction. */
#ifndef METERLINE_PERIODS_H
#define METERLINE_PERIODS_H

#include "aggregator/text.h"

#include <stdbool.h>
#include <stdint.h>

struct periods; /* opaque */

struct period {
    int64_t start_ms; /* Unix ms, whole minutes */
    int64_t end_ms;   /* exclusive */
};

struct periods *periods_new(const unsigned char key[16]);
void periods_free(struct periods *p);

/* True and *out if the period of that minute is known. */
bool periods_find(const struct periods *p, struct text tenant, int64_t minute_ms,
                  struct period *out);
void periods_add(struct periods *p, struct text tenant, struct period period);
/* Forget one tenant, or all. */
void periods_forget(struct periods *p, struct text tenant);
void periods_forget_all(struct periods *p);
/* Periods held. */
uint32_t periods_count(const struct periods *p);

#endif
