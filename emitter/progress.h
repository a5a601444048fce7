/* How far we are, in place on a terminal. Nothing where stderr is none. */
#ifndef METERLINE_EMITTER_PROGRESS_H
#define METERLINE_EMITTER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool visible;     /* stderr is a terminal */
    bool shown;       /* a line stands there now */
    int64_t begun_ms; /* monotonic */
    int64_t next_ms;  /* monotonic: not shown again before */
};

void progress_init(struct progress *p);
/* Ten times a second at most, so it may be called often. */
void progress_show(struct progress *p, uint64_t sent, uint64_t refused);
/* Take the line away before something else is written to stderr. */
void progress_clear(struct progress *p);

#endif
