/* Writes the limits of tenants into the quota cache: of each hash quota:{<tenant>} the fields that
 * webhookd owns. The aggregator owns the others. quota:{} has the limits of the plan free.
 *
 * The happy path: the rows of read_limits.sql, grouped by tenant, become one script call a tenant.
 * An event's worker and the sweep may read and write side by side. So the script leaves a hash
 * alone that was written from a newer reading, and the slower one cannot set the faster one back.
 *
 * Failure modes: Redis is away or answers with an error. It is logged, and the sweep writes the
 * limits again. */
#ifndef METERLINE_WEBHOOKD_LIMITS_H
#define METERLINE_WEBHOOKD_LIMITS_H

#include "common/err.h"

#include <libpq-fe.h>
#include <stdbool.h>

struct context;
struct limits;

/* n tenants are up to date now. error: some are not. Exactly once, from the loop, or inside the
 * call where nothing had to be asked. */
typedef void (*limits_done_fn)(void *owner, const struct err *error, int n);

struct limits *limits_new(const struct context *context);
/* When Redis is closed. */
void limits_free(struct limits *l);
/* The connection to a server that the cache lies on is up. */
struct redis;
void limits_see_node(struct limits *l, struct redis *node);

enum limits_mode {
    LIMITS_WRITE,         /* Redis has older limits: write */
    LIMITS_VERIFY,        /* read what Redis has, and write where it differs */
    LIMITS_VERIFY_UNKNOWN /* likewise, but trust what this process last saw or wrote there */
};

/* Bring Redis in line with rows, the result of read_limits.sql: at most two commands a tenant,
 * pipelined. rows is read inside this call. done may be NULL: the sweep writes again what got lost.
 */
void limits_write(struct limits *l, const PGresult *rows, enum limits_mode mode,
                  limits_done_fn done, void *owner);
/* Store in Redis that all limits have just been verified; other programs read that time. */
void limits_note_verified(struct limits *l);
/* No write is in flight. */
bool limits_are_idle(const struct limits *l);

#endif
