#include "common/log.h"

#include "common/clock.h"
#include "common/str.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096 /* PIPE_BUF: lines of several processes on one pipe do not mix */
#define END_BYTES      4    /* of a line: quote, brace, newline, NUL */
#define UNIT_BYTES     8    /* one escape, with NUL */
#define SIZE_MIN       64
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

/* One log line as text. A line that is too long is cut between two characters of a text value, or
 * before a field, and still ends as its form demands: END_BYTES are kept for that. */

struct line {
    char *out;
    size_t length;
    size_t whole; /* up to here the line can be ended */
    size_t limit; /* of length, before the end */
    bool full;    /* something did not fit; nothing more is taken */
    enum log_format format;
};

/* All of it or nothing. */
static void put(struct line *l, const char *text, size_t length)
{
    if (l->full || l->length + length > l->limit) {
        l->full = true;
        return;
    }
    memcpy(l->out + l->length, text, length);
    l->length += length;
}

static void put_str(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

/* Into the bytes kept for the end. */
static void put_end(struct line *l, char c)
{
    l->out[l->length++] = c;
}

/* The escape for a byte in quotes, or 0: then it goes out as it is, or as its hex number. */
static char short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

/* U+0080 to U+009F steer some terminals, as the bytes below 0x20 do. */
static bool is_control(const char *s, size_t length)
{
    unsigned char first = (unsigned char)s[0];
    return first < 0x20 || first == 0x7f ||
           (length == 2 && first == 0xc2 && (unsigned char)s[1] < 0xa0);
}

/* Writes one byte that may not go out as it is. valid: it is (part of) a character. In JSON an
 * invalid byte becomes the text \xNN, since \u00NN would be a character that was not there. */
static void put_hex(struct line *l, unsigned code, bool valid)
{
    char unit[UNIT_BYTES];
    if (l->format == LOG_LOGFMT)
        snprintf(unit, sizeof unit, "\\x%02x", code & 0xff);
    else if (valid)
        snprintf(unit, sizeof unit, "\\u%04x", code & 0xff);
    else
        snprintf(unit, sizeof unit, "\\\\x%02x", code & 0xff);
    put_str(l, unit);
}

/* Writes the character at s; returns its bytes. */
static size_t put_char(struct line *l, const char *s, size_t left)
{
    size_t bytes = str_utf8_char(s, left);
    char escape[] = {'\\', short_escape(*s), '\0'};
    if (bytes == 0) {
        put_hex(l, (unsigned char)*s, false);
        return 1;
    }
    if (escape[1])
        put(l, escape, 2);
    else if (is_control(s, bytes))
        put_hex(l, (unsigned char)s[bytes - 1], true);
    else
        put(l, s, bytes);
    return bytes;
}

static void put_quoted(struct line *l, const char *value)
{
    size_t left = strlen(value);
    put(l, "\"", 1);
    if (l->full)
        return;
    while (left > 0 && !l->full) {
        size_t bytes = put_char(l, value, left);
        value += bytes;
        left -= bytes;
    }
    put_end(l, '"');
    l->whole = l->length;
}

static void put_bare(struct line *l, const char *value)
{
    for (; *value && !l->full; value++) {
        put(l, value, 1);
        l->whole = l->length;
    }
}

/* True if logfmt may have the value without quotes. */
static bool is_bare(const char *value)
{
    for (const char *at = value; *at; at++)
        if (*at <= 0x20 || *at >= 0x7f || strchr("\"=\\", *at))
            return false;
    return *value != '\0';
}

static void put_text(struct line *l, const char *value)
{
    if (l->format == LOG_LOGFMT && is_bare(value))
        put_bare(l, value);
    else
        put_quoted(l, value);
}

static void put_key(struct line *l, const char *key)
{
    bool json = l->format == LOG_JSON;
    if (l->length > 0)
        put_str(l, json ? "," : " ");
    else if (json)
        put_str(l, "{");
    put_str(l, json ? "\"" : "");
    put_str(l, key);
    put_str(l, json ? "\":" : "=");
}

static void put_number(struct line *l, const struct log_field *field)
{
    char text[24];
    if (field->type == LOG_T_BOOL)
        snprintf(text, sizeof text, "%s", field->i64 ? "true" : "false");
    else if (field->type == LOG_T_U64)
        snprintf(text, sizeof text, "%" PRIu64, (uint64_t)field->i64);
    else
        snprintf(text, sizeof text, "%" PRId64, field->i64);
    put_str(l, text);
    if (!l->full)
        l->whole = l->length;
}

static void put_field(struct line *l, const struct log_field *field)
{
    if (field->type == LOG_T_STR && !field->str)
        return;
    put_key(l, field->key);
    if (field->type == LOG_T_STR)
        put_text(l, field->str);
    else
        put_number(l, field);
}

int log_format_line(char *out, int size, enum log_format format, const char *stage,
                    enum log_level level, int64_t now_ms, const char *event,
                    const struct log_field *fields)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    assert(size >= SIZE_MIN);
    struct line l = {.out = out, .limit = (size_t)size - END_BYTES, .format = format};
    char ts[CLOCK_TEXT_SIZE];
    clock_format_iso(now_ms, ts);
    put_field(&l, &LOG_STR("ts", ts));
    put_field(&l, &LOG_STR("level", names[level]));
    put_field(&l, &LOG_STR("stage", stage));
    put_field(&l, &LOG_STR("event", event));
    for (; fields->key; fields++)
        put_field(&l, fields);
    l.length = l.whole;
    if (format == LOG_JSON)
        put_end(&l, '}');
    put_end(&l, '\n');
    out[l.length] = '\0';
    return (int)l.length;
}
