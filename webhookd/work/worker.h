/* Works events, one at a time: picks one, judges it, and commits its effect and its end together.
 */
#ifndef METERLINE_WORKER_H
#define METERLINE_WORKER_H

#include <stdbool.h>

struct context;
struct fetcher;
struct limits;
struct worker;

/* Opens a database connection of its own; starts as soon as that and the schema are there. fetcher:
 * NULL without a key. All borrowed for its life. */
struct worker *worker_open(const struct context *context, struct fetcher *fetcher,
                           struct limits *limits, int number);
/* There may be work: look at once if it rests. */
void worker_wake(struct worker *w);
/* It holds no event. While the stage drains it takes no new one. */
bool worker_is_idle(const struct worker *w);
bool worker_is_ready(const struct worker *w); /* its connection is there */
void worker_close(struct worker *w);

#endif
