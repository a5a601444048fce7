/* Does the database have the schema that this build knows? Asked at each connect. */
#ifndef METERLINE_SCHEMA_H
#define METERLINE_SCHEMA_H

#include "common/err.h"
#include "common/pg/pg.h"

/* The answer to the question, once per call:
 * error NULL: go on. ERR_SCHEMA with retry: older or missing, ask again in a second (not ready).
 * ERR_SCHEMA without retry: newer and not marked compatible: exit 1. Others: the connection's. */
typedef void (*schema_done_fn)(void *owner, const struct err *error);

/* Reads schema_migrations(version, name, checksum, compatible_from, applied_at) through pg, which
 * must be ready and stays taken until done. */
void schema_check(struct pg *pg, schema_done_fn done, void *owner);

#endif
