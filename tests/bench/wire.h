/* XADD after XADD as bytes on one connection, without waiting for answers (CLIENT REPLY OFF): the
 * fastest way into a stream, so that filling it is the smaller part of a run. What Redis refused
 * shows when it is counted: wire_finish returns how many entries the stream was given. */
#ifndef METERLINE_BENCH_WIRE_H
#define METERLINE_BENCH_WIRE_H

#include "tests/bench/events.h"

#include <hiredis/hiredis.h>

#include <stddef.h>

enum { WIRE_BUFFER_BYTES = 1 << 18 };

struct wire {
    redisContext *redis; /* owned */
    const char *stream;  /* borrowed */
    size_t used;         /* of buffer */
    char buffer[WIRE_BUFFER_BYTES];
};

/* All of them end the program with a message when Redis is gone. */
void wire_open(struct wire *w, const char *host, const char *port, const char *stream);
/* Sent when the buffer is full, or by wire_flush. */
void wire_add(struct wire *w, const char *tenant, const struct event *e);
void wire_flush(struct wire *w);
/* All was taken by Redis: the stream's entries-added. Closes. */
unsigned long long wire_finish(struct wire *w);

void fail(const char *what) __attribute__((noreturn));

#endif
