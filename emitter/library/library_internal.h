/* What the files of the library share: library.c (handles and emitting) and library_quota.c. Nobody
 * else includes this. */
#ifndef METERLINE_EMITTER_LIBRARY_INTERNAL_H
#define METERLINE_EMITTER_LIBRARY_INTERNAL_H

#include "emitter/library/meterline.h"
#include "emitter/library/outlet.h"
#include "emitter/library/quota_client.h"

struct meterline {
    struct outlet *outlet;
    struct quota_pool *quotas;
    bool quota_closed; /* who cannot be asked for is denied */
    int64_t wait_ms;
    void (*on_state)(void *owner, const char *fault);
    void *owner;
    uint64_t forks; /* there were so many when it was opened */
    _Atomic uint64_t refused;
};

/* Sets meterline_error, and returns result. */
int library_fail(enum meterline_result result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool library_is_parents(const struct meterline *m);
int library_refuse_parents(void);
/* Of a caller that was compiled with an older header, what its struct did not have is 0. */
void library_take_struct(void *out, size_t size, const void *given, size_t given_size);
enum { LIBRARY_TS_SIZE = 24 };
/* Returns 0, or -1 with line->why. ts: what line points to. */
int library_parse(struct event_line *line, const struct meterline_event *event, int64_t now_ms,
                  char ts[LIBRARY_TS_SIZE]);
/* Into the spool. */
int library_put(struct meterline *m, const struct event_line *line, int64_t now_ms);

#endif
