/* Over how many streams the tenants are spread. */
#ifndef METERLINE_CTL_STREAM_SHARDS_H
#define METERLINE_CTL_STREAM_SHARDS_H

#include "common/err.h"

#include <libpq-fe.h>
#include <stdint.h>

/* setting: METERLINE_STREAM_SHARDS, which goes before what the database has; 0: it is not set.
 * Returns 0 or -1 with e. */
int stream_shards_read(PGconn *conn, int64_t setting, int64_t *shards, struct err *e);

#endif
