/* The settings and flags of the emitter. */
#ifndef METERLINE_EMITTER_CONFIG_H
#define METERLINE_EMITTER_CONFIG_H

#include "common/conf.h"
#include "common/conf_reload.h"

#include <stdbool.h>

#define EMITTER_PROGRAM "meterline-emitter"

enum emitter_exit {
    EMITTER_DONE = 0,
    EMITTER_FAILED = 1, /* something was refused, or not acknowledged */
    EMITTER_USAGE = 2
};

struct emitter_config {
    struct conf_base base;
    const char *catalog; /* NULL: any metric */
    const char *refused; /* file for refused lines; NULL: none */
    int64_t give_up_ms;  /* without an acknowledgement, from the first failure on */
    bool dry_run;
    bool csv;        /* whatever the files are called */
    const char *map; /* of the names in CSV; NULL: none */
    char **files;    /* borrowed from argv; none: standard input */
    int files_count;
};

/* Reads command line and environment. Returns -1 to go on, or an exit code (--help, wrong usage).
 * argv is reordered. */
int emitter_configure(int argc, char **argv, struct emitter_config *config);
/* For reading again the files that secrets came from; NULL: there are none. */
struct conf_reload *emitter_config_files(struct emitter_config *config);
void emitter_config_done(struct emitter_config *config);

#endif
