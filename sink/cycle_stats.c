/* One cycle in numbers. */
#include "sink/cycle_stats.h"

#include "common/clock.h"
#include "common/log.h"
#include "sink/report.h"

void cycle_begin(struct cycle *c, const struct sender *sender)
{
    struct sender_status now = sender_status(sender);
    *c = (struct cycle){
        .started_ms = clock_monotonic_ms(), .sent_before = now.sent, .delayed_before = now.delayed};
}

int64_t cycle_age_ms(const struct cycle *c)
{
    return clock_monotonic_ms() - c->started_ms;
}

void cycle_log(const struct cycle *c, const struct sender *sender)
{
    const struct claim_report *r = &c->claims;
    struct sender_status now = sender_status(sender);
    log_info(cycle_settled, LOG_I64("claimed", r->made), LOG_I64("late", r->late),
             LOG_I64("up_to_date", r->marked), LOG_I64("without_minute", r->waiting),
             LOG_I64("before_subscription", r->outside), LOG_I64("unmapped", r->unmapped),
             LOG_I64("held", r->held), LOG_I64("carried", r->carried),
             LOG_I64("refused", r->refused), LOG_I64("sent", now.sent - c->sent_before),
             LOG_I64("delayed", now.delayed - c->delayed_before), LOG_I64("open", report_open()),
             LOG_I64("claim_ms", c->claim_ms), LOG_I64("elapsed_ms", cycle_age_ms(c)));
}
