#include "notifier/config.h"

#define FIELD(name) offsetof(struct config, name)

/* clang-format off */
const struct conf_setting NOTIFIER_SETTINGS[] = {
    CONF_DATABASE_URL(struct config, base),
    CONF_REDIS_URL(struct config, base),
    {"SIGNALS_MAXLEN", CONF_INT, FIELD(signals_maxlen), .fallback = "100000", .unit = "entries", .min = 0,
     .max = 100000000, .help = "about so many signals are kept in the Redis stream billing:signals; 0: all"},
    {"NOTIFIER_RETRY_FIRST_MS", CONF_INT, FIELD(retry_first_ms), .fallback = "1000", .unit = "ms", .min = 10,
     .max = 600000, .help = "wait after a first attempt that failed; it doubles with each one"},
    {"NOTIFIER_RETRY_MAX_S", CONF_INT, FIELD(retry_max_s), .fallback = "300", .unit = "s", .min = 1,
     .max = 86400, .help = "longest wait between two attempts"},
    {"NOTIFIER_GIVE_UP_S", CONF_INT, FIELD(give_up_s), .fallback = "259200", .unit = "s", .min = 1, .max = 2592000,
     .help = "how long mail and a POST are tried until they are failed (3 days)"},
    {"MESSAGE_KEEP_DAYS", CONF_INT, FIELD(keep_days), .fallback = "365", .unit = "days", .min = 31, .max = 3650,
     .help = "how long messages that were sent or have failed are kept; what is told of again later is sent again"},
    CONF_OPS_LISTEN(struct config, base, "127.0.0.1:9105"),
    CONF_LOG(struct config, base),
    {.name = NULL}};
/* clang-format on */
