/* What is not billed yet, counted for the metrics and to tell the end of a cycle: submissions that
 * are not done, by state, and, less often, units that are in no submission. */
#ifndef METERLINE_SINK_BACKLOG_H
#define METERLINE_SINK_BACKLOG_H

#include "sink/session.h"

#include <stdbool.h>
#include <stdint.h>

struct backlog {
    struct session *session; /* borrowed */
    bool once;
    bool counting;
    bool outdated;       /* the count under way began before something changed */
    bool all;            /* … counts unclaimed units, too */
    int64_t counted_ms;  /* monotonic, as the next */
    int64_t all_due_ms;  /* from when on unclaimed units may be counted */
    int64_t all_from_ms; /* when their count began */
    void (*done)(void *owner, bool counted);
    void *owner;
};

/* once: unclaimed units are never counted, as nobody reads the metrics of a sink that runs once.
 * done: a count is over, from the loop; counted: it succeeded, or the database refuses it for good,
 * and nothing changed since it began. */
void backlog_init(struct backlog *b, struct session *session, bool once,
                  void (*done)(void *owner, bool counted), void *owner);
/* Does nothing while a count is under way, or the session is busy. */
void backlog_count(struct backlog *b);
/* Something changed: a count that is under way does not tell of it. */
void backlog_outdate(struct backlog *b);
/* Since the last count. */
int64_t backlog_age_ms(const struct backlog *b);

/* Submissions that are not done, of all states, as last counted. What was dropped is done. */
int64_t backlog_open(void);
/* Those that wait to be sent, likewise. */
int64_t backlog_pending(void);

#endif
