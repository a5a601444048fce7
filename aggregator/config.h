/* The aggregator's settings. */
#ifndef METERLINE_AGGREGATOR_CONFIG_H
#define METERLINE_AGGREGATOR_CONFIG_H

#include "common/conf.h"

struct aggregator;

struct config {
    struct conf_base base;
    int64_t batch_max;        /* events that make a batch full */
    int64_t flush_ms;         /* longest wait for a batch to fill */
    int64_t dedupe_window_h;  /* how long idempotency keys are kept */
    int64_t dedupe_memory_mb; /* bound of their table */
    int64_t stream_keep_s;    /* entries are kept so long after COMMIT */
    int64_t raw_keep_days;    /* retention, applied daily */
    int64_t reject_keep_days;
    bool allow_volatile_redis; /* go on with a Redis that may lose entries */
    int64_t give_up_after_s;   /* --once: unable to work for so long, it ends */
    bool once;                 /* drain what is there, then end */
    struct aggregator *stage;  /* set while running */
};

extern const struct conf_setting AGGREGATOR_SETTINGS[];

/* Faults that concern several settings; logs them. Returns their number. */
int config_check(const void *config);

#endif
