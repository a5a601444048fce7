/* What was refused, and why. */
#include "emitter/refusals.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int refusals_open(struct refusals *r, const char *name, struct progress *progress, struct err *e)
{
    *r = (struct refusals){.progress = progress};
    if (!name)
        return 0;
    r->file = fopen(name, "we");
    return r->file ? 0 : err_set(e, ERR_IO, "open %s: %s", name, strerror(errno));
}

void refusals_add(struct refusals *r, const char *file, uint64_t line, const char *why)
{
    r->count++;
    if (r->file)
        fprintf(r->file, "%s:%" PRIu64 ": %s\n", file, line, why);
    if (r->count > REFUSALS_SHOWN)
        return;
    progress_clear(r->progress);
    fprintf(stderr, "%s:%" PRIu64 ": %s\n", file, line, why);
}

int refusals_close(struct refusals *r, struct err *e)
{
    progress_clear(r->progress);
    if (r->count > REFUSALS_SHOWN)
        fprintf(stderr, "… and %" PRIu64 " more refused\n", r->count - REFUSALS_SHOWN);
    if (!r->file)
        return 0;
    int failed = ferror(r->file);
    failed |= fclose(r->file);
    return failed ? err_set(e, ERR_IO, "the list of refused lines is not complete") : 0;
}
