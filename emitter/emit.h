/* Reads lines, sends those that are events, and reports what became of them. */
#ifndef METERLINE_EMITTER_EMIT_H
#define METERLINE_EMITTER_EMIT_H

#include "emitter/config.h"

/* Reads all input, and says at the end what was sent and what was not. Returns the exit code. */
int emit_run(struct emitter_config *config);

/* For a signal handler: stop reading, settle what was read, and report. */
void emit_stop(void);

#endif
