#include "sink/report.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "common/peer.h"
#include "sink/transport/transport.h"

#include <string.h>

enum { CLOCK_PAUSE_MS = 60000, MAX_KINDS = 24 };

/* One kind of failure, by the outcome's label. Labels are few and static. */
static struct failure {
    const char *label;
    struct log_repeat repeat;
} failures[MAX_KINDS];

/* Those that alerts ask for: only what stood at 0 before is seen to rise. */
static const char *const OUTCOMES[] = {"sent", "account_refused", "rate_limited", NULL};

static int64_t clock_told_ms; /* monotonic; Date has whole seconds, so that once a minute will do */

void report_claims(int64_t made)
{
    metric_add(metric_of(METRIC_OF_CLAIMS, ""), made);
}

void report_stripe_up(bool up)
{
    metric_set(metric_with(METRIC_OF_PEER_UP, "stripe"), up);
}

void report_held(bool held)
{
    metric_set(metric_of(METRIC_OF_SINK_HELD, ""), held);
}

void report_init(void)
{
    metric_set(metric_with(METRIC_OF_SUBMISSIONS, "sent"), 0);
    for (int i = 0; OUTCOMES[i]; i++)
        metric_with(METRIC_OF_STRIPE_REQUESTS, OUTCOMES[i]);
    metric_with(METRIC_OF_STRIPE_SECONDS, TRANSPORT_METER_EVENTS.name);
    report_stripe_up(true); /* until a call tells otherwise */
    report_held(false);
    memset(failures, 0, sizeof failures);
    clock_told_ms = 0;
}

/* Date is cut to the second, so that half of one is the best guess of the rest. */
static void tell_clock(int64_t elapsed_ms, int64_t server_date_ms)
{
    int64_t now_ms = clock_monotonic_ms();
    if (server_date_ms == 0 || (clock_told_ms > 0 && now_ms - clock_told_ms < CLOCK_PAUSE_MS))
        return;
    clock_told_ms = now_ms;
    peer_measured_clock("stripe", server_date_ms + 500 - (clock_unix_ms() - elapsed_ms / 2));
}

void report_answer(const char *kind, int64_t elapsed_ms, int64_t server_date_ms)
{
    metric_observe(metric_with(METRIC_OF_STRIPE_SECONDS, kind), elapsed_ms);
    tell_clock(elapsed_ms, server_date_ms);
}

static struct failure *failure_of(const char *label)
{
    int i = 0;
    while (i < MAX_KINDS - 1 && failures[i].label && strcmp(failures[i].label, label) != 0)
        i++;
    failures[i].label = label;
    return &failures[i];
}

static void log_failure(enum log_level level, enum log_event event, const struct submission *s,
                        uint64_t suppressed)
{
    const struct settle_outcome *o = &s->outcome;
    log_event(level, event, LOG_STR("customer", s->customer), LOG_STR("event_name", s->event_name),
              LOG_STR("identifier", s->identifier), LOG_I64("attempt", s->attempt),
              LOG_I64("wait_ms", s->wait_ms), LOG_STR("outcome", o->label),
              LOG_STR("request_id", *s->request_id ? s->request_id : NULL),
              LOG_U64("held_back", suppressed), LOG_ERR(&o->error));
}

void report_call(const char *label)
{
    metric_count(METRIC_OF_STRIPE_REQUESTS, label);
}

void report_outcome(const struct submission *s)
{
    uint64_t suppressed = 0;
    const struct settle_outcome *o = &s->outcome;
    switch (o->state) {
    case SETTLE_SENT:
        metric_add(metric_with(METRIC_OF_SUBMISSIONS, "sent"), 1);
        break;
    case SETTLE_RETRY:
        if (log_repeat_failed(&failure_of(o->label)->repeat, clock_monotonic_ms(), &suppressed))
            log_failure(LOG_WARN, LOG_OF_send_delayed, s, suppressed);
        break;
    case SETTLE_IN_DOUBT:
        log_failure(LOG_ERROR, LOG_OF_send_doubted, s, 0);
        break;
    case SETTLE_FAILED:
        log_failure(LOG_ERROR, LOG_OF_send_refused, s, 0);
        break;
    case SETTLE_LATE:
        log_failure(LOG_ERROR, LOG_OF_send_expired, s, 0);
        break;
    }
}

void report_recovered(void)
{
    bool any = false;
    for (int i = 0; i < MAX_KINDS; i++)
        any |= log_repeat_recovered(&failures[i].repeat);
    if (any)
        log_info(send_recovered, LOG_MSG("sending succeeds again, and nothing waits"));
}
