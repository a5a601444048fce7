#include "webhookd/gauges.h"

#include "common/metric_table.h"
#include "webhookd/work/statement_list.h"

#include <string.h>

void gauges_set(const PGresult *counts)
{
    for (int row = 0; row < PQntuples(counts); row++) {
        const char *state = result_text(counts, row, 0);
        metric_set(metric_with(METRIC_OF_WEBHOOKS, state), result_i64(counts, row, 1));
        if (!strcmp(state, "received"))
            metric_set(metric_with(METRIC_OF_OLDEST_WAITING, "webhooks"),
                       result_i64(counts, row, 2) * 1000);
    }
}
