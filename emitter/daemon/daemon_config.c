#include "emitter/daemon/daemon_config.h"

#include "emitter/daemon/access.h"
#include "emitter/spool/spool.h"

#define FIELD(name) offsetof(struct daemon_config, name)

static const char *const SYNCS[] = {[SPOOL_SYNC_NEVER] = "never",
                                    [SPOOL_SYNC_OFTEN] = "often",
                                    [SPOOL_SYNC_ALWAYS] = "always",
                                    NULL};
static const char *const FAILS[] = {
    [QUOTA_FAIL_OPEN] = "open", [QUOTA_FAIL_CLOSED] = "closed", NULL};

/* clang-format off */
const struct conf_setting DAEMON_SETTINGS[] = {
    CONF_REDIS_URL(struct daemon_config, base),
    CONF_SHARDS(struct daemon_config, base),
    {"EMITTER_LISTEN", CONF_LISTEN, FIELD(listen), .fallback = "127.0.0.1:8091",
     .help = "where events are taken and quotas are told; port 0 takes a free one"},
    {"EMITTER_KEYS", CONF_STR, FIELD(keys), .secret = true, .check = access_check_keys,
     .help = "keys that callers need: key=tenant with commas between, key=* for all tenants; not set: everybody who reaches the listener may"},
    {"EMITTER_CATALOG", CONF_STR, FIELD(catalog),
     .help = "file of the catalog: metrics that are not in it are refused, and its gateway_usage says what usage of AI gateways becomes; not set: any metric"},
    {"EMITTER_SPOOL", CONF_STR, FIELD(spool),
     .help = "folder for what Redis does not have yet, for this process alone; not set: memory, and events are answered once they are in Redis"},
    {"EMITTER_SPOOL_MAX_MB", CONF_INT, FIELD(spool_max_mb), .fallback = "256", .unit = "MB", .min = 16, .max = 1048576,
     .help = "how large it may get; then events are answered with 503"},
    {"EMITTER_SYNC", CONF_CHOICE, FIELD(sync), .fallback = "often", .choices = SYNCS,
     .help = "when the spool is brought to disk, in case the machine dies: often (each 100 ms), always (before each event is answered), never (by the kernel)"},
    {"EMITTER_WAIT_MS", CONF_INT, FIELD(wait_ms), .fallback = "5000", .unit = "ms", .min = 1, .max = 60000,
     .help = "without EMITTER_SPOOL: how long a request waits for Redis until it is answered with 503"},
    {"EMITTER_RATE_PER_S", CONF_INT, FIELD(rate_per_s), .fallback = "0", .unit = "events", .min = 0, .max = 10000000,
     .help = "events that each key, or all callers where there are no keys, may send in a second; 0: no limit"},
    {"EMITTER_BODY_MAX_KB", CONF_INT, FIELD(body_max_kb), .fallback = "4096", .unit = "KiB", .min = 16, .max = 16384,
     .help = "the largest body of a request"},
    {"EMITTER_CONNECTIONS", CONF_INT, FIELD(connections), .fallback = "1000", .min = 1, .max = 1000,
     .help = "connections at the same time; if there are more, the slowest is cut off"},
    {"QUOTA_FAIL", CONF_CHOICE, FIELD(quota_fail), .fallback = "open", .choices = FAILS,
     .help = "what a check answers while Redis does not: open (200), or closed (429); a header says so"},
    {"QUOTA_TIMEOUT_MS", CONF_INT, FIELD(quota_timeout_ms), .fallback = "250", .unit = "ms", .min = 1, .max = 10000,
     .help = "how long a check waits for Redis"},
    {"QUOTA_CACHE_MS", CONF_INT, FIELD(quota_cache_ms), .fallback = "500", .unit = "ms", .min = 0, .max = 60000,
     .help = "how long the answer to a check may be given again to the same one, asked anew at half of that; 0: Redis is asked each time"},
    CONF_OPS_LISTEN(struct daemon_config, base, "127.0.0.1:9100"),
    CONF_LOG(struct daemon_config, base),
    {.name = NULL}};
/* clang-format on */

int daemon_config_check(const void *config)
{
    const struct daemon_config *c = config;
    if (c->sync != SPOOL_SYNC_OFTEN && !c->spool)
        return conf_refuse("EMITTER_SYNC", "is for EMITTER_SPOOL, which is not set");
    return 0;
}
