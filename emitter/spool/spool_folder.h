/* The folder of a spool: one process has it at a time, and takes up what others left in it. */
#ifndef METERLINE_EMITTER_SPOOL_FOLDER_H
#define METERLINE_EMITTER_SPOOL_FOLDER_H

#include "common/err.h"
#include "emitter/spool/segment.h"

#include <stdint.h>

struct spool_folder; /* opaque */

/* Makes it if it is not there, and locks it. Returns NULL with e. */
struct spool_folder *spool_folder_open(const char *path, struct err *e);
/* The segments in it, oldest first: to `take`, which owns them then. What is none, or cannot be
 * read, stays, and `skip` is told why. Returns 0, or -1 with e: nothing in it can be read. */
int spool_folder_read(const struct spool_folder *f, void (*take)(void *owner, struct segment *s),
                      void (*skip)(void *owner, uint64_t number, const char *why), void *owner,
                      struct err *e);
/* The names of its files, to disk. Returns 0, or -1 with e. */
int spool_folder_sync(const struct spool_folder *f, struct err *e);
void spool_folder_close(struct spool_folder *f);

#endif
