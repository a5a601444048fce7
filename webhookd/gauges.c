#include "webhookd/gauges.h"

#include "common/metrics.h"
#include "common/str.h"
#include "webhookd/script.h"

#include <stdlib.h>
#include <string.h>

static void set_count(const char *state, int64_t count)
{
    char *labels = xasprintf("state=\"%s\"", state);
    metric_set(metric_get("meterline_webhooks", labels, "Webhook events by state.", METRIC_GAUGE,
                          METRIC_PLAIN),
               count);
    free(labels);
}

static void set_oldest(int64_t age_s)
{
    metric_set(metric_get("meterline_oldest_waiting_seconds", "queue=\"webhooks\"",
                          "Age of the oldest webhook event that waits.", METRIC_GAUGE,
                          METRIC_PLAIN),
               age_s);
}

void gauges_set(const PGresult *counts)
{
    for (int row = 0; row < PQntuples(counts); row++) {
        const char *state = result_text(counts, row, 0);
        set_count(state, result_i64(counts, row, 1));
        if (!strcmp(state, "received"))
            set_oldest(result_i64(counts, row, 2));
    }
}
