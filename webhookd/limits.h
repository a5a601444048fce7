/* Limits into the quota cache: the fields of quota:{<tenant>} that this stage owns. */
#ifndef METERLINE_LIMITS_H
#define METERLINE_LIMITS_H

#include "common/err.h"

#include <libpq-fe.h>
#include <stdbool.h>

struct webhookd;
struct limits;

/* n tenants were written or left as they were newer; error: some were not. Exactly once, from the
 * loop. */
typedef void (*limits_done_fn)(void *owner, const struct err *error, int n);

struct limits *limits_new(struct webhookd *d);
void limits_free(struct limits *l);

/* Write what read_limits.sql gave, a command a tenant, pipelined. rows is read inside this call.
 * done may be NULL: the healer writes again what got lost. */
void limits_write(struct limits *l, const PGresult *rows, limits_done_fn done, void *owner);
/* No write is in flight. */
bool limits_are_idle(const struct limits *l);

#endif
