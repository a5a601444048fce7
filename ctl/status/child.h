/* Work that may hang (a resolver, a pooler whose server is gone, a disk) and must not hold up
 * its caller. It runs in a process of its own, which reports what it finds as lines of JSON and
 * is killed when its time is over. */
#ifndef METERLINE_CTL_CHILD_H
#define METERLINE_CTL_CHILD_H

#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct child {
    pid_t pid;       /* 0: not started, or has ended */
    int fd;          /* what it tells comes from here */
    struct buf text; /* of the line that is not whole yet */
};

/* Gets what a child reports; finding is borrowed. */
typedef void (*child_take_fn)(void *owner, const json_t *finding);

/* Start it: work runs in the other process, which ends when it returns. */
void child_start(struct child *c, void (*work)(void *owner, int fd), void *owner);

/* In the child: report a finding, which is consumed. */
void child_tell(int fd, json_t *finding);

bool child_runs(const struct child *c);

/* Wait until one of them tells something or ends, a signal comes, or deadline_ms (monotonic) has
 * passed. take gets what is there. */
void child_wait(struct child *children[], int n, int64_t deadline_ms, child_take_fn take,
                void *owner);

/* Kill it if it still runs, and forget it. */
void child_end(struct child *c);

#endif
