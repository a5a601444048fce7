#include "common/log.h"

#include "common/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096 /* PIPE_BUF: lines of several processes on one pipe do not mix */
#define REPEAT_MS      60000

#define LOG_EVENT_SPEC(name, stages, meaning) [LOG_OF_##name] = {#name, stages, meaning},
const struct log_event_spec LOG_EVENTS[LOG_EVENT_COUNT] = {LOG_EVENT_TABLE(LOG_EVENT_SPEC)};
#undef LOG_EVENT_SPEC

static struct {
    const char *stage;
    enum log_level level;
    enum log_format format;
} state = {"meterline", LOG_INFO, LOG_LOGFMT};

void log_init(const char *stage, enum log_level level, enum log_format format)
{
    state.stage = stage;
    state.level = level;
    state.format = format;
}

bool log_enabled(enum log_level level)
{
    return level >= state.level;
}

void log_write(enum log_level level, enum log_event event, const struct log_field *fields)
{
    char line[LINE_MAX_BYTES + 1];
    int saved_errno = errno;
    if (!log_enabled(level))
        return;
    int length = log_format_line(line, sizeof line, state.format, state.stage, level,
                                 clock_unix_ms(), LOG_EVENTS[event].name, fields);
    ssize_t written;
    do
        written = write(STDERR_FILENO, line, (size_t)length);
    while (written < 0 && errno == EINTR);
    /* A line that stderr does not take is lost: there is nowhere left to say so. */
    errno = saved_errno;
}

bool log_repeat_failed(struct log_repeat *r, int64_t now_ms, uint64_t *held)
{
    if (r->failing && now_ms - r->last_ms < REPEAT_MS) {
        r->held++;
        return false;
    }
    *held = r->held;
    *r = (struct log_repeat){.last_ms = now_ms, .failing = true};
    return true;
}

bool log_repeat_recovered(struct log_repeat *r)
{
    bool was_failing = r->failing;
    *r = (struct log_repeat){0};
    return was_failing;
}

static bool is_told(const struct log_causes *c, const char *cause)
{
    for (int i = 0; i < c->n; i++)
        if (strncmp(c->told[i], cause, sizeof c->told[i] - 1) == 0)
            return true;
    return false;
}

bool log_cause_failed(struct log_causes *c, const char *cause, int64_t now_ms, uint64_t *held)
{
    uint64_t held_before = c->repeat.held;
    if (log_repeat_failed(&c->repeat, now_ms, held)) {
        c->n = 0;
    } else {
        if (c->n == LOG_CAUSES || is_told(c, cause))
            return false;
        *held = held_before;
        c->repeat.held = 0;
    }
    (void)snprintf(c->told[c->n], sizeof c->told[c->n], "%s", cause);
    c->n++;
    return true;
}

bool log_cause_recovered(struct log_causes *c)
{
    c->n = 0;
    return log_repeat_recovered(&c->repeat);
}
