#include "aggregator/config.h"

#include "common/conf_check.h"

/* clang-format off */
const struct conf_setting AGGREGATOR_SETTINGS[] = {
    CONF_REDIS_URL(struct config, base),
    CONF_DATABASE_URL(struct config, base),
    CONF_SHARDS_FOUND(struct config, base),
    {"AGGREGATOR_BATCH_MAX", CONF_INT, offsetof(struct config, batch_max), .fallback = "50000",
     .unit = "events", .min = 1, .max = 1000000, .help = "a batch of so many events is committed at once"},
    {"AGGREGATOR_FLUSH_MS", CONF_INT, offsetof(struct config, flush_ms), .fallback = "1000",
     .unit = "ms", .min = 1, .max = 60000, .help = "a batch that does not fill is committed after this time"},
    {"DEDUPE_WINDOW_H", CONF_INT, offsetof(struct config, dedupe_window_h), .fallback = "24",
     .unit = "h", .min = 1, .max = 840, .help = "how long a repeated id is recognised whatever its timestamp"},
    {"DEDUPE_MEMORY_MB", CONF_INT, offsetof(struct config, dedupe_memory_mb), .fallback = "512",
     .unit = "MB", .min = 1, .max = 32768, .help = "memory for recognising ids, an equal part a shard; when full the window shrinks"},
    {"STREAM_KEEP_S", CONF_INT, offsetof(struct config, stream_keep_s), .fallback = "0",
     .unit = "s", .min = 0, .max = 604800, .help = "how long entries stay in Redis after they are committed"},
    CONF_RAW_KEEP(struct config, raw_keep_days),
    CONF_REJECT_KEEP(struct config, reject_keep_days),
    {"METERLINE_ALLOW_VOLATILE_REDIS", CONF_BOOL, offsetof(struct config, allow_volatile_redis), .fallback = "0",
     .help = "1: go on with a Redis that evicts or has no append-only file"},
    CONF_OPS_LISTEN(struct config, base, "127.0.0.1:9101"),
    CONF_LOG(struct config, base),
    {.name = NULL},
};
/* clang-format on */

int config_check(const void *config)
{
    const struct config *c = config;
    if (c->stream_keep_s > c->reject_keep_days * 86400)
        return conf_refuse("STREAM_KEEP_S",
                           "is longer than REJECT_KEEP_DAYS: what was rejected must be "
                           "known for as long as its entry may be read again");
    return 0;
}
