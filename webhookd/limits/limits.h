/* Limits into the quota cache: the fields of quota:{<tenant>} that this stage owns. */
#ifndef METERLINE_LIMITS_H
#define METERLINE_LIMITS_H

#include "common/err.h"

#include <libpq-fe.h>
#include <stdbool.h>

struct context;
struct limits;

/* n tenants are in line now; error: some are not. Exactly once, from the
 * loop, or inside the call where nothing had to be asked. */
typedef void (*limits_done_fn)(void *owner, const struct err *error, int n);

struct limits *limits_new(const struct context *context);
void limits_free(struct limits *l);

/* What is thought of what stands in Redis. */
enum limits_trust {
    LIMITS_CHANGED, /* it is older: write */
    LIMITS_UNSURE,  /* look, and write where it differs */
    LIMITS_KEPT /* Redis lost nothing: as LIMITS_UNSURE, but not where we know what stands there */
};

/* Write what read_limits.sql gave, at most two commands a tenant, pipelined. rows is read inside
 * this call. done may be NULL: the healer writes again what got lost. */
void limits_write(struct limits *l, const PGresult *rows, enum limits_trust trust,
                  limits_done_fn done, void *owner);
/* Tell that all limits were just gone over. */
void limits_checked(struct limits *l);
/* No write is in flight. */
bool limits_are_idle(const struct limits *l);

#endif
