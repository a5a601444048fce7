/* One cycle in numbers, for its log line. */
#ifndef METERLINE_SINK_CYCLE_STATS_H
#define METERLINE_SINK_CYCLE_STATS_H

#include "sink/claim/claim.h"
#include "sink/send/sender.h"

#include <stdint.h>

struct cycle {
    struct claim_report claims;
    int64_t started_ms; /* monotonic */
    int64_t claim_ms;   /* how long the claims took */
    int64_t sent_before;
    int64_t delayed_before;
};

void cycle_begin(struct cycle *c, const struct sender *sender);
int64_t cycle_age_ms(const struct cycle *c);
/* `cycle_settled`: sent and delayed are those since it began, open is what is not done. */
void cycle_log(const struct cycle *c, const struct sender *sender);

#endif
