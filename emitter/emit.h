/* The emitter's heart: lines in, events out, and what became of them. */
#ifndef METERLINE_EMITTER_EMIT_H
#define METERLINE_EMITTER_EMIT_H

#include "emitter/config.h"

/* Reads all input and tells at the end what was sent and what was not. Returns the exit code. */
int emit_run(struct emitter_config *config);

/* From a signal handler: read no more, settle what was read, and tell. */
void emit_stop(void);

#endif
