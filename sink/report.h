/* Metrics and log lines of the sending. A failure that repeats is logged once a minute. */
#ifndef METERLINE_SINK_REPORT_H
#define METERLINE_SINK_REPORT_H

#include "sink/send/submission_store.h"

/* Every series is there from the start. */
void report_init(void);

/* A run of claims wrote that many submissions. */
void report_claims(int64_t made);

/* An answer came. kind: the transport's name, or session. server_date_ms: its Date, 0 if absent. */
void report_answer(const char *kind, int64_t elapsed_ms, int64_t server_date_ms);
/* A call ended, or something kept it from being made: counted by its outcome's label. */
void report_call(const char *label);
/* A submission's try ended. A failure that is tried again is logged at first, then once a minute
 * for each kind. One that is final is always logged. */
void report_outcome(const struct submission *s);
/* Nothing waits any more: logs `send_recovered` if failures were logged. */
void report_recovered(void);

void report_stripe_up(bool up);
void report_held(bool held);

#endif
