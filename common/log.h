/* Log lines in logfmt or JSON, one write() a line on stderr.
 *
 * `event` is a past tense, one of the table in log_events.h; fields carry their unit in the name
 * (events, wait_ms, body_bytes). Never a key, a token or a body. */
#ifndef METERLINE_LOG_H
#define METERLINE_LOG_H

#include "common/err.h"
#include "common/log_events.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key; /* NULL ends the list */
    enum { LOG_T_STR, LOG_T_I64, LOG_T_U64, LOG_T_BOOL } type;
    const char *str; /* borrowed; NULL is left out */
    int64_t i64;     /* also U64 (bits) and BOOL */
};

#define LOG_STR(k, v)  ((struct log_field){.key = (k), .type = LOG_T_STR, .str = (v)})
#define LOG_I64(k, v)  ((struct log_field){.key = (k), .type = LOG_T_I64, .i64 = (int64_t)(v)})
#define LOG_U64(k, v)  ((struct log_field){.key = (k), .type = LOG_T_U64, .i64 = (int64_t)(v)})
#define LOG_BOOL(k, v) ((struct log_field){.key = (k), .type = LOG_T_BOOL, .i64 = (v) ? 1 : 0})
#define LOG_MSG(v)     LOG_STR("msg", v)
/* Two fields: err=<kind name> msg=<text>. */
#define LOG_ERR(e) LOG_STR("err", err_kind_name((e)->kind)), LOG_STR("msg", (e)->text)

/* stage: static text such as "sink". Before this call lines go out as logfmt at level info. */
void log_init(const char *stage, enum log_level level, enum log_format format);

bool log_enabled(enum log_level level);

/* One line: ts level stage event, then the fields up to the one without a key. */
void log_write(enum log_level level, enum log_event event, const struct log_field *fields);

/* log_info(stream_acquired, LOG_STR(…), …): an event of the table, and at least one field; LOG_MSG
 * serves. log_event takes a value, where it is decided which event it is. */
#define log_event(level, value, ...)                                                               \
    log_write(level, value, (const struct log_field[]){__VA_ARGS__, {.key = NULL}})
#define log_at(level, event, ...) log_event(level, LOG_OF_##event, __VA_ARGS__)
#define log_debug(event, ...)     log_event(LOG_DEBUG, LOG_OF_##event, __VA_ARGS__)
#define log_info(event, ...)      log_event(LOG_INFO, LOG_OF_##event, __VA_ARGS__)
#define log_warn(event, ...)      log_event(LOG_WARN, LOG_OF_##event, __VA_ARGS__)
#define log_error(event, ...)     log_event(LOG_ERROR, LOG_OF_##event, __VA_ARGS__)

/* A repeated failure logs first, then once a minute, then on recovery. Zero-initialise. */
struct log_repeat {
    int64_t last_ms; /* monotonic time of the last line */
    uint64_t held;   /* lines held back since */
    bool failing;    /* between the first failure and the recovery */
};
/* True if this failure should be logged now; *held is then the number of lines held back since the
 * last one. */
bool log_repeat_failed(struct log_repeat *r, int64_t now_ms, uint64_t *held);
/* True once after failures: the recovery is to be logged. */
bool log_repeat_recovered(struct log_repeat *r);

enum { LOG_CAUSES = 4 };
/* The same for a failure whose cause may change meanwhile: another cause is logged at once. Several
 * connections may fail in turn, each with its own cause: up to LOG_CAUSES are logged a minute.
 * Zero-initialise. */
struct log_causes {
    struct log_repeat repeat;
    char told[LOG_CAUSES][sizeof((struct err){0}.text)]; /* logged within this minute */
    int n;
};
bool log_cause_failed(struct log_causes *c, const char *cause, int64_t now_ms, uint64_t *held);
bool log_cause_recovered(struct log_causes *c);

/* Format one line into out, as log_write would (with the trailing newline and a NUL behind it).
 * size: at least 64; what does not fit is cut, and the line is well-formed all the same. Returns
 * its length without the NUL. Pure, for tests. now_ms: Unix milliseconds. */
int log_format_line(char *out, int size, enum log_format format, const char *stage,
                    enum log_level level, int64_t now_ms, const char *event,
                    const struct log_field *fields);

#endif
