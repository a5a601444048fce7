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
    {"NOTIFIER_POSTS_IN_FLIGHT", CONF_INT, FIELD(posts_in_flight), .fallback = "64", .min = 1, .max = 1024,
     .help = "POSTs at the same time; two to one address"},
    {"NOTIFIER_POST_TIMEOUT_S", CONF_INT, FIELD(post_timeout_s), .fallback = "10", .unit = "s", .min = 1,
     .max = 60, .help = "how long a receiver of POSTs may take to answer"},
    {"NOTIFIER_ALLOW_PRIVATE", CONF_BOOL, FIELD(allow_private), .fallback = "0",
     .help = "1: POST also to http:// and to private, local and reserved addresses, which tenants could abuse"},
    {"MESSAGE_KEEP_DAYS", CONF_INT, FIELD(keep_days), .fallback = "365", .unit = "days", .min = 31, .max = 3650,
     .help = "how long messages that were sent or have failed are kept; what is told of again later is sent again"},
    CONF_OPS_LISTEN(struct config, base, "127.0.0.1:9105"),
    CONF_LOG(struct config, base),
    {.name = NULL}};
/* clang-format on */
