/* The settings of the daemon. */
#ifndef METERLINE_EMITTER_DAEMON_CONFIG_H
#define METERLINE_EMITTER_DAEMON_CONFIG_H

#include "common/conf.h"

enum quota_fail { QUOTA_FAIL_OPEN, QUOTA_FAIL_CLOSED };

struct daemon_config {
    struct conf_base base;
    char *listen;
    char *spool; /* folder; NULL: memory alone */
    int64_t spool_max_mb;
    int sync;      /* enum spool_sync */
    char *keys;    /* NULL: everybody may */
    char *catalog; /* file; NULL: any metric */
    int64_t rate_per_s;
    int64_t body_max_kb;
    int64_t connections;
    int64_t wait_ms; /* for Redis, without a folder */
    int quota_fail;  /* enum quota_fail */
    int64_t quota_timeout_ms;
    int64_t quota_cache_ms;
};

extern const struct conf_setting DAEMON_SETTINGS[];

/* As stage.h asks for. */
int daemon_config_check(const void *config);

#endif
