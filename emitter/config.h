/* Settings and flags of the emitter. */
#ifndef METERLINE_EMITTER_CONFIG_H
#define METERLINE_EMITTER_CONFIG_H

#include "common/conf.h"
#include "common/conf_reload.h"

#include <stdbool.h>

#define EMITTER_PROGRAM "meterline-emitter"

enum emitter_exit {
    EMITTER_DONE = 0,
    EMITTER_FAILED = 1, /* something was refused, or is not acknowledged */
    EMITTER_USAGE = 2
};

struct emitter_config {
    struct conf_base base;
    const char *catalog; /* NULL: any metric's name */
    const char *refused; /* NULL: no list of refused lines */
    int64_t give_up_ms;  /* without any acknowledgement, from the first failure on */
    bool dry_run;
    char **files; /* borrowed of argv; none: standard input */
    int files_count;
};

/* From command line and environment. Returns -1 to go on, else the exit code (--help, wrong usage).
 * argv is reordered. */
int emitter_configure(int argc, char **argv, struct emitter_config *config);
/* To read again what its secrets came from; NULL: from no file. */
struct conf_reload *emitter_config_files(struct emitter_config *config);
void emitter_config_done(struct emitter_config *config);

#endif
