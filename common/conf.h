/* Settings: environment only, one table a stage.
 *
 *     static const struct conf_setting SETTINGS[] = {
 *         CONF_DATABASE_URL(struct config, base), CONF_LOG(struct config, base),
 *         {"SINK_INTERVAL_S", CONF_INT, offsetof(struct config, interval_s), .fallback = "300",
 *          .unit = "s", .min = 1, .max = 86400, .help = "time between two claims"},
 *         {.name = NULL}};
 *
 * For any secret or URL X, X_FILE names a file to read it from, which stages read
 * again when it changes (conf_reload.h); setting both is a fault. An empty variable counts as
 * unset. Texts may not hold control bytes. */
#ifndef METERLINE_CONF_H
#define METERLINE_CONF_H

#include "common/conf_check.h"
#include "common/err.h"
#include "common/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conf_type {
    CONF_STR,    /* char *; owned by the config */
    CONF_INT,    /* int64_t, checked against min and max */
    CONF_BOOL,   /* bool: 0 or 1 */
    CONF_CHOICE, /* int: index into choices */
    CONF_LISTEN  /* char *: HOST:PORT, [V6]:PORT, :PORT; checked */
};

struct conf_setting {
    const char *name; /* NULL ends the table */
    enum conf_type type;
    size_t offset;              /* of the field in the stage's config struct */
    const char *fallback;       /* default text; NULL: none, so that texts are NULL, numbers 0 */
    const char *unit;           /* "s", "ms", "MB", …, or NULL */
    int64_t min;                /* CONF_INT */
    int64_t max;                /* CONF_INT */
    const char *const *choices; /* CONF_CHOICE, ends in NULL */
    bool required;              /* missing or empty: exit 2 */
    bool secret;                /* printed as ***; X_FILE is read */
    bool url;                   /* its password is printed as ***; X_FILE is read */
    int (*check)(const char *text, struct err *e); /* CONF_STR: see conf_check.h; or NULL */
    /* Whether a running stage may go on with another text of a file's: as check; or NULL. */
    int (*check_change)(const char *before, const char *after, struct err *e);
    const char *help; /* one line */
};

/* What every stage has. Put it first in the stage's config struct as `struct conf_base base`. */
struct conf_base {
    char *redis_url;
    char *database_url;
    char *ops_listen;
    int log_level;         /* enum log_level */
    int log_format;        /* enum log_format */
    int64_t stream_shards; /* 0: as the database has it, where that may be */
};
extern const char *const CONF_LOG_LEVELS[];
extern const char *const CONF_LOG_FORMATS[];

/* clang-format off */
#define CONF_REDIS_URL(T, m)    {"REDIS_URL", CONF_STR, offsetof(T, m.redis_url), .fallback = "redis://127.0.0.1:6379", .url = true, .check = conf_check_redis_url, .check_change = conf_check_redis_change, .help = "Redis: redis://[user:password@]host:port[/db], rediss:// with TLS, unix:///path; with commas several hosts: nodes of a cluster, or a master and its replicas"}
#define CONF_DATABASE_URL(T, m) {"DATABASE_URL", CONF_STR, offsetof(T, m.database_url), .required = true, .url = true, .check = conf_check_database_url, .check_change = conf_check_database_change, .help = "PostgreSQL: postgresql://user:password@host:port/database"}
#define CONF_OPS_LISTEN(T, m, d) {"OPS_LISTEN", CONF_LISTEN, offsetof(T, m.ops_listen), .fallback = d, .help = "where /metrics, /healthz and /readyz are served; :PORT on all addresses, IPv6 and IPv4; port 0 takes a free one"}
#define CONF_LOG(T, m) \
    {"LOG_LEVEL", CONF_CHOICE, offsetof(T, m.log_level), .fallback = "info", .choices = CONF_LOG_LEVELS, .help = "least level that is logged"}, \
    {"LOG_FORMAT", CONF_CHOICE, offsetof(T, m.log_format), .fallback = "logfmt", .choices = CONF_LOG_FORMATS, .help = "form of the log lines"}
#define CONF_SHARDS(T, m)       {"METERLINE_STREAM_SHARDS", CONF_INT, offsetof(T, m.stream_shards), .fallback = "1", .min = 1, .max = 1024, .help = "number of streams that tenants are spread over"}
#define CONF_SHARDS_FOUND(T, m) {"METERLINE_STREAM_SHARDS", CONF_INT, offsetof(T, m.stream_shards), .min = 1, .max = 1024, .help = "number of streams that tenants are spread over; not set: the database's, also when meterctl reshard changes it"}
#define CONF_RAW_KEEP(T, m)     {"RAW_KEEP_DAYS", CONF_INT, offsetof(T, m), .fallback = "90", .unit = "days", .min = 36, .max = 3650, .help = "how long raw events are kept; not less than late events may need"}
#define CONF_REJECT_KEEP(T, m)  {"REJECT_KEEP_DAYS", CONF_INT, offsetof(T, m), .fallback = "90", .unit = "days", .min = 1, .max = 3650, .help = "how long rejected entries are kept, replayed or not"}
/* clang-format on */

/* Start the log before the settings are read: what is wrong with them is told in this stage's name,
 * and in the form that LOG_FORMAT asks for. */
void conf_start_log(const char *stage);

/* Read every setting into *config (zeroed by the caller). All faults are reported at once, a log
 * line each with the setting, its value (*** for secrets and URLs) and what is allowed; returns 0
 * or -1 (the caller exits 2). Strings are owned by the config, also after -1. */
int conf_load(const struct conf_setting *table, void *config);
/* Free the strings. */
void conf_done(const struct conf_setting *table, void *config);

/* --help: usage line (program and arguments), what the program does, every setting with unit,
 * default and range. */
void conf_print_help(const struct conf_setting *table, const char *program, const char *arguments,
                     const char *what);
/* The settings alone, with their heading. */
void conf_print_settings(const struct conf_setting *table);
/* The same as a section of the manual page (manual.h). */
void conf_print_manual(const struct conf_setting *table);
/* --print-config: NAME=value lines, secrets as ***. */
void conf_print(const struct conf_setting *table, const void *config);

/* HOST:PORT or [V6]:PORT into host (malloc'd) and port; of :PORT, which is all addresses of this
 * machine, IPv6 and IPv4, host is "". Returns 0 or -1 with e. */
int conf_parse_listen(const char *text, char **host, int *port, struct err *e);

#endif
