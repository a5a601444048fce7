/* Watches a stream beside the counting: its length and its balance, whether it is still the stream
 * that was counted, and whether Redis still keeps what it acknowledges. If the stream was lost, its
 * owner is told. */
#ifndef METERLINE_STREAM_WATCH_H
#define METERLINE_STREAM_WATCH_H

#include "aggregator/config.h"
#include "aggregator/ledger/ledger.h"
#include "aggregator/shard/history.h"
#include "aggregator/shard/trim.h"
#include "common/log.h"

#include <stdbool.h>
#include <stdint.h>

struct stream_watch_spec {
    const char *stream; /* all are borrowed */
    const struct config *config;
    struct redis *redis;
    struct position *position; /* added_seen is kept here */
    const char *label;         /* of the stream's metrics … */
    const char *queue_label;   /* … and of the age of what waits in it */
    /* Only while it is counted: this is no longer the stream that was counted. */
    void (*lost)(void *owner, const char *why);
    void *owner;
};

struct stream_watch {
    struct stream_watch_spec spec;
    bool counting;                   /* between start and stop */
    uint64_t generation;             /* rises with every stop */
    bool trimmed;                    /* since start: then … */
    struct trim_seen seen;           /* … what the last trim saw */
    struct log_repeat in_future;     /* a stream whose newest id is */
    struct log_repeat unbalanced;    /* entries that are unaccounted for */
    const char *unfit;               /* why Redis must not be used, since it was opened … */
    struct log_repeat unfit_repeats; /* … and how often that was logged */
    int64_t durable_due_ms;          /* monotonic: when that is looked at again */
};

void stream_watch_init(struct stream_watch *w, struct stream_watch_spec spec);
/* The stream is counted from now on. */
void stream_watch_start(struct stream_watch *w);
void stream_watch_stop(struct stream_watch *w);
/* The last trimming's answer. */
void stream_watch_take_trimmed(struct stream_watch *w, const struct trimmed *t);
/* NULL, or why Redis must not be used by now: static. */
void stream_watch_note_unfit(struct stream_watch *w, const char *unfit);
/* Look at it, whoever counts it: lag must show when nothing is committed. Answers come before the
 * connection is closed. */
void stream_watch_poll(struct stream_watch *w);

#endif
