/* How far we are, in place on a terminal. */
#include "emitter/progress.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { INTERVAL_MS = 100 };

void progress_init(struct progress *p)
{
    int64_t now_ms = clock_monotonic_ms();

    *p = (struct progress){
        .visible = isatty(STDERR_FILENO) == 1, .begun_ms = now_ms, .next_ms = now_ms};
}

void progress_show(struct progress *p, uint64_t sent, uint64_t refused)
{
    int64_t now_ms = p->visible ? clock_monotonic_ms() : 0;

    if (!p->visible || now_ms < p->next_ms)
        return;
    uint64_t elapsed_ms = (uint64_t)(now_ms - p->begun_ms) + 1;
    fprintf(stderr, "\r%" PRIu64 " sent, %" PRIu64 " refused, %" PRIu64 " a second\033[K", sent,
            refused, sent * 1000 / elapsed_ms);
    p->shown = true;
    p->next_ms = now_ms + INTERVAL_MS;
}

void progress_clear(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
