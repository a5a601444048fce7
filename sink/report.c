/* What the sink tells the world of its sending. */
#include "sink/report.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/peer.h"
#include "common/pg.h"

#include <stdio.h>
#include <string.h>

enum { LABEL_SIZE = 48, CLOCK_PAUSE_MS = 60000, MAX_KINDS = 24 };

static const char *const STATES[] = {"pending",  "sending", "held", "failed",
                                     "in_doubt", "late",    "sent", NULL};

/* One kind of failure, by the outcome's label. Labels are few and static. */
static struct failure {
    const char *label;
    struct log_repeat repeat;
} failures[MAX_KINDS];

static int64_t clock_told_ms; /* monotonic; Date has whole seconds, so that once a minute will do */

static struct metric *state_gauge(const char *state)
{
    char label[LABEL_SIZE];
    (void)snprintf(label, sizeof label, "state=\"%s\"", state);
    return metric_get("meterline_submissions", label,
                      "submissions by state, as last counted; sent: since this process started",
                      METRIC_GAUGE, METRIC_PLAIN);
}

static struct metric *outcome_counter(const char *outcome)
{
    char label[LABEL_SIZE];
    (void)snprintf(label, sizeof label, "outcome=\"%s\"", outcome);
    return metric_get("meterline_stripe_requests_total", label, "calls to Stripe by outcome",
                      METRIC_COUNTER, METRIC_PLAIN);
}

static struct metric *latency(void)
{
    return metric_get("meterline_stripe_request_seconds", "", "time until Stripe answered",
                      METRIC_HISTOGRAM, METRIC_MS_AS_SECONDS);
}

static struct metric *oldest_gauge(void)
{
    return metric_get("meterline_oldest_waiting_seconds", "queue=\"submissions\"",
                      "age of the oldest submission that waits to be sent", METRIC_GAUGE,
                      METRIC_MS_AS_SECONDS);
}

void report_claims(int64_t made)
{
    metric_add(metric_get("meterline_claims_total", "", "submissions claimed", METRIC_COUNTER,
                          METRIC_PLAIN),
               made);
}

void report_stripe_up(bool up)
{
    metric_set(metric_get("meterline_peer_up", "peer=\"stripe\"", "1 while the peer can be reached",
                          METRIC_GAUGE, METRIC_PLAIN),
               up);
}

void report_held(bool held)
{
    metric_set(metric_get("meterline_sink_held", "",
                          "1 while the ledger was found behind the stream", METRIC_GAUGE,
                          METRIC_PLAIN),
               held);
}

void report_init(void)
{
    for (int i = 0; STATES[i]; i++)
        metric_set(state_gauge(STATES[i]), 0);
    outcome_counter("sent");
    latency();
    metric_set(oldest_gauge(), 0);
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

void report_answer(int64_t elapsed_ms, int64_t server_date_ms)
{
    metric_observe(latency(), elapsed_ms);
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

static void log_failure(enum log_level level, const char *event, const struct submission *s,
                        uint64_t held)
{
    const struct settle_outcome *o = &s->outcome;
    log_at(level, event, LOG_STR("customer", s->customer), LOG_STR("event_name", s->event_name),
           LOG_STR("identifier", s->identifier), LOG_I64("attempt", s->attempt),
           LOG_I64("wait_ms", s->wait_ms), LOG_STR("outcome", o->label),
           LOG_STR("request_id", *s->request_id ? s->request_id : NULL), LOG_U64("held_back", held),
           LOG_ERR(&o->error));
}

void report_call(const char *label)
{
    metric_add(outcome_counter(label), 1);
}

void report_outcome(const struct submission *s)
{
    uint64_t held = 0;
    const struct settle_outcome *o = &s->outcome;
    switch (o->state) {
    case SETTLE_SENT:
        metric_add(state_gauge("sent"), 1);
        break;
    case SETTLE_RETRY:
        if (log_repeat_failed(&failure_of(o->label)->repeat, clock_monotonic_ms(), &held))
            log_failure(LOG_WARN, "send_delayed", s, held);
        break;
    case SETTLE_IN_DOUBT:
        log_failure(LOG_ERROR, "send_doubted", s, 0);
        break;
    case SETTLE_FAILED:
        log_failure(LOG_ERROR, "send_refused", s, 0);
        break;
    case SETTLE_LATE:
        log_failure(LOG_ERROR, "send_expired", s, 0);
        break;
    }
}

void report_recovered(void)
{
    bool any = false;
    for (int i = 0; i < MAX_KINDS; i++)
        any |= log_repeat_recovered(&failures[i].repeat);
    if (any)
        log_info("send_recovered", LOG_MSG("nothing waits to be sent any more"));
}

static bool waits_to_be_sent(const char *state)
{
    return !strcmp(state, "pending") || !strcmp(state, "sending") || !strcmp(state, "held");
}

void report_counts(const PGresult *rows, int64_t now_ms)
{
    int64_t oldest_ms = now_ms;
    for (int i = 0; strcmp(STATES[i], "sent") != 0; i++)
        metric_set(state_gauge(STATES[i]), 0);
    for (int row = 0; row < PQntuples(rows); row++) {
        const char *state = PQgetvalue(rows, row, 0);
        int64_t at_ms = pg_get_time_ms(rows, row, 2);
        metric_set(state_gauge(state), pg_get_i64(rows, row, 1));
        if (waits_to_be_sent(state) && at_ms < oldest_ms)
            oldest_ms = at_ms;
    }
    metric_set(oldest_gauge(), now_ms - oldest_ms);
}

int64_t report_pending(void)
{
    return metric_value(state_gauge("pending"));
}

int64_t report_open(void)
{
    int64_t n = 0;
    for (int i = 0; strcmp(STATES[i], "sent") != 0; i++)
        n += metric_value(state_gauge(STATES[i]));
    return n;
}
