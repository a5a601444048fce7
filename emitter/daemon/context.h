/* What each part of the daemon is given. A part never calls the daemon that owns it: it reports by
 * a callback. */
#ifndef METERLINE_EMITTER_CONTEXT_H
#define METERLINE_EMITTER_CONTEXT_H

#include "common/stage.h"
#include "emitter/daemon/access.h"
#include "emitter/daemon/daemon_config.h"
#include "emitter/format/ai_usage.h"
#include "emitter/library/outlet.h"

/* Borrowed by every part for its life. */
struct context {
    const struct daemon_config *config;
    struct stage *stage;
    struct outlet *outlet;
    struct access *access;
    const struct metric_names *metrics; /* NULL: any */
    const struct ai_table *ai_table;    /* NULL: none */
};

#endif
