/* What was refused, and why: the first ones on stderr as they come, all into a file if one is
 * wanted. */
#ifndef METERLINE_EMITTER_REFUSALS_H
#define METERLINE_EMITTER_REFUSALS_H

#include "common/err.h"
#include "emitter/progress.h"

#include <stdint.h>
#include <stdio.h>

enum { REFUSALS_SHOWN = 20 };

struct refusals {
    FILE *file;                /* NULL: none is wanted; owned */
    struct progress *progress; /* borrowed: is cleared before a line */
    uint64_t count;
};

/* name: of the file, made anew, or NULL. Returns 0, or -1 with e. */
int refusals_open(struct refusals *r, const char *name, struct progress *progress, struct err *e);
/* One line: "events.ndjson:17: quantity: …". */
void refusals_add(struct refusals *r, const char *file, uint64_t line, const char *why);
/* Tells how many were not shown. Returns 0, or -1 with e: the file is not complete. */
int refusals_close(struct refusals *r, struct err *e);

#endif
