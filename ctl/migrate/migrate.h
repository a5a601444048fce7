/* What the two parts of `meterctl migrate` share: migrations, and the functions that come after
 * them. */
#ifndef METERLINE_CTL_MIGRATE_H
#define METERLINE_CTL_MIGRATE_H

#include "common/err.h"

#include <libpq-fe.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>

enum { MIGRATE_CHECKSUM_SIZE = crypto_hash_sha256_BYTES * 2 + 1 };

/* SHA-256 of a file's text, hexadecimal, as sha256sum says it. */
void migrate_checksum(const char *text, char out[MIGRATE_CHECKSUM_SIZE]);

/* Make the database's functions those of this build, in the caller's transaction: define what is
 * new or has changed, drop what is gone, and say so on stdout. is_empty: nothing was ever defined,
 * and the table that says so may be missing. dry_run: only say what would be done. Returns how many
 * there were to do, or -1 with e. */
int functions_apply(PGconn *conn, bool is_empty, bool dry_run, struct err *e);

/* How many functions differ from this build's, so that `meterctl migrate` has something to do; or
 * -1 with e. */
int functions_count_stale(PGconn *conn, struct err *e);

#endif
