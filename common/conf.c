#include "common/conf.h"

#include "common/conf_internal.h"
#include "common/str.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAX       65535
#define FILE_MAX_BYTES 65536 /* far above any secret; a wrong path may name something endless */

const char *const CONF_LOG_LEVELS[] = {"debug", "info", "warn", "error", NULL};
const char *const CONF_LOG_FORMATS[] = {"logfmt", "json", NULL};

/* One value: from text, and what is allowed. */

void *conf_field(const struct conf_setting *s, void *config)
{
    return (char *)config + s->offset;
}

bool conf_has_file(const struct conf_setting *s)
{
    return s->secret || s->url;
}

void conf_value_range(const struct conf_setting *s, struct buf *out)
{
    switch (s->type) {
    case CONF_STR:
        break;
    case CONF_INT:
        buf_printf(out, "%" PRId64 " to %" PRId64, s->min, s->max);
        if (s->unit)
            buf_printf(out, " %s", s->unit);
        break;
    case CONF_BOOL:
        buf_add_str(out, "0 or 1");
        break;
    case CONF_CHOICE:
        buf_add_str(out, "one of: ");
        for (const char *const *choice = s->choices; *choice; choice++)
            buf_printf(out, "%s%s", choice == s->choices ? "" : ", ", *choice);
        break;
    case CONF_LISTEN:
        buf_printf(out, "HOST:PORT, [V6]:PORT or :PORT, port 0 to %d", PORT_MAX);
        break;
    }
}

static int refuse(const struct conf_setting *s, struct err *e)
{
    struct buf range = {0};
    conf_value_range(s, &range);
    err_set(e, ERR_CONFIG, "must be %s", range.data);
    buf_done(&range);
    return -1;
}

static int parse_int(const struct conf_setting *s, const char *text, int64_t *field, struct err *e)
{
    int64_t value;
    if (str_to_i64(text, strlen(text), &value) || value < s->min || value > s->max)
        return refuse(s, e);
    *field = value;
    return 0;
}

static int parse_bool(const struct conf_setting *s, const char *text, bool *field, struct err *e)
{
    if (strcmp(text, "0") && strcmp(text, "1"))
        return refuse(s, e);
    *field = *text == '1';
    return 0;
}

static int parse_choice(const struct conf_setting *s, const char *text, int *field, struct err *e)
{
    for (int i = 0; s->choices[i]; i++) {
        if (strcmp(text, s->choices[i]))
            continue;
        *field = i;
        return 0;
    }
    return refuse(s, e);
}

/* A stray carriage return or newline would end up in a header or a log line. */
static int parse_text(const struct conf_setting *s, const char *text, char **field, struct err *e)
{
    if (str_has_control(text, strlen(text)))
        return err_set(e, ERR_CONFIG, "must not hold control characters");
    if (s->check && s->check(text, e))
        return -1;
    free(*field);
    *field = xstrdup(text);
    return 0;
}

static int parse_listen(const struct conf_setting *s, const char *text, char **field, struct err *e)
{
    char *host = NULL;
    int port;
    if (conf_parse_listen(text, &host, &port, e))
        return refuse(s, e);
    free(host);
    return parse_text(s, text, field, e);
}

int conf_value_parse(const struct conf_setting *s, const char *text, void *config, struct err *e)
{
    void *field = conf_field(s, config);
    switch (s->type) {
    case CONF_STR:
        return parse_text(s, text, field, e);
    case CONF_INT:
        return parse_int(s, text, field, e);
    case CONF_BOOL:
        return parse_bool(s, text, field, e);
    case CONF_CHOICE:
        return parse_choice(s, text, field, e);
    case CONF_LISTEN:
        return parse_listen(s, text, field, e);
    }
    return refuse(s, e);
}

/* Letters, digits, dots and hyphens: a host name or an IPv4 address. */
static bool is_host(const char *text, size_t length)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    return length > 0 && strspn(text, allowed) >= length;
}

/* The host before the port's colon, without brackets; "" stands for all addresses of this machine.
 * NULL if it is none. malloc'd. */
static char *parse_host(const char *text, size_t length)
{
    if (length == 0)
        return xstrdup("");
    if (is_host(text, length))
        return xstrndup(text, length);
    if (length < 2 || text[0] != '[' || text[length - 1] != ']')
        return NULL;
    char *host = xstrndup(text + 1, length - 2);
    struct in6_addr address;
    if (inet_pton(AF_INET6, host, &address) == 1)
        return host;
    free(host);
    return NULL;
}

int conf_parse_listen(const char *text, char **host, int *port, struct err *e)
{
    int64_t number;
    const char *colon = strrchr(text, ':');
    if (!colon || str_to_i64(colon + 1, strlen(colon + 1), &number) || number < 0 ||
        number > PORT_MAX)
        return err_set(e, ERR_INPUT, "not HOST:PORT: %s", text);
    char *name = parse_host(text, (size_t)(colon - text));
    if (!name)
        return err_set(e, ERR_INPUT, "not HOST:PORT, [V6]:PORT or :PORT: %s", text);
    *host = name;
    *port = (int)number;
    return 0;
}

/* Files of secrets. */

static const char UTF8_MARK[] = "\xef\xbb\xbf";
static const char BLANKS[] = " \t\r\n";

static bool is_blank(char c)
{
    return c && strchr(BLANKS, c);
}

/* UTF-16, as Windows' Notepad and PowerShell write "Unicode". */
static bool is_wide(const char *bytes, size_t length)
{
    return length >= 2 && (!memcmp(bytes, "\xff\xfe", 2) || !memcmp(bytes, "\xfe\xff", 2));
}

static int parse_line(const char *bytes, size_t length, char **text, struct err *e)
{
    size_t mark = sizeof UTF8_MARK - 1;
    if (is_wide(bytes, length))
        return err_set(e, ERR_CONFIG, "the file is UTF-16; save it as plain text, UTF-8");
    if (memchr(bytes, '\0', length))
        return err_set(e, ERR_CONFIG, "the file holds a NUL byte");
    if (length >= mark && !memcmp(bytes, UTF8_MARK, mark)) {
        bytes += mark;
        length -= mark;
    }
    for (; length > 0 && is_blank(*bytes); bytes++)
        length--;
    while (length > 0 && is_blank(bytes[length - 1]))
        length--;
    if (length == 0)
        return err_set(e, ERR_CONFIG, "the file is empty");
    if (memchr(bytes, '\n', length) || memchr(bytes, '\r', length))
        return err_set(e, ERR_CONFIG, "the file holds more than one line of text");
    *text = xstrndup(bytes, length);
    return 0;
}

static int read_file(FILE *file, char **text, struct err *e)
{
    char bytes[FILE_MAX_BYTES + 1];
    size_t length = fread(bytes, 1, sizeof bytes, file);
    if (ferror(file))
        return err_set(e, ERR_IO, "cannot read the file: %s", strerror(errno));
    if (length > FILE_MAX_BYTES)
        return err_set(e, ERR_CONFIG, "the file is larger than %d bytes", FILE_MAX_BYTES);
    return parse_line(bytes, length, text, e);
}

int conf_file_read(const char *path, char **text, struct err *e)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(e, ERR_IO, "cannot open the file: %s", strerror(errno));
    int failed = read_file(file, text, e);
    fclose(file);
    return failed;
}

/* Reading all settings. */

/* An empty variable counts as unset, as container files often can only empty one. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static void report(const char *name, const char *value, const struct err *fault)
{
    log_error(setting_refused, LOG_STR("setting", name), LOG_STR("value", value),
              LOG_STR("msg", fault->text));
}

/* What X or X_FILE gives in *text (malloc'd; NULL if neither is set). Reports its faults. */
static int find_text(const struct conf_setting *s, char **text)
{
    struct err e;
    int failed = 0;
    const char *value = environment(s->name);
    char *file_name = xasprintf("%s_FILE", s->name);
    const char *path = conf_has_file(s) ? environment(file_name) : NULL;
    *text = NULL;
    if (value && path)
        failed = err_set(&e, ERR_CONFIG, "%s is set too; set only one of them", s->name);
    else if (path)
        failed = conf_file_read(path, text, &e);
    else if (value)
        *text = xstrdup(value);
    if (failed)
        report(file_name, path, &e);
    free(file_name);
    return failed;
}

static int load_text(const struct conf_setting *s, const char *text, void *config)
{
    struct err e;
    if (conf_value_parse(s, text, config, &e) == 0)
        return 0;
    /* Where in a wrong URL the password stands cannot be told for sure. */
    report(s->name, conf_has_file(s) ? "***" : text, &e);
    return -1;
}

static int load_setting(const struct conf_setting *s, void *config)
{
    struct err e;
    char *text;
    if (find_text(s, &text))
        return -1;
    if (text) {
        int failed = load_text(s, text, config);
        free(text);
        return failed;
    }
    if (s->required) {
        err_set(&e, ERR_CONFIG, "required, but not set%s",
                conf_has_file(s) ? " (nor its _FILE)" : "");
        report(s->name, NULL, &e);
        return -1;
    }
    int failed = s->fallback ? conf_value_parse(s, s->fallback, config, &e) : 0;
    assert(!failed); /* a default outside its own range */
    (void)failed;
    return 0;
}

void conf_start_log(const char *stage)
{
    const char *format = environment("LOG_FORMAT");
    log_init(stage, LOG_INFO, format && !strcmp(format, "json") ? LOG_JSON : LOG_LOGFMT);
}

int conf_load(const struct conf_setting *table, void *config)
{
    int faults = 0;
    for (const struct conf_setting *s = table; s->name; s++)
        if (load_setting(s, config))
            faults++;
    return faults ? -1 : 0;
}

void conf_done(const struct conf_setting *table, void *config)
{
    for (const struct conf_setting *s = table; s->name; s++) {
        if (s->type != CONF_STR && s->type != CONF_LISTEN)
            continue;
        char **field = conf_field(s, config);
        free(*field);
        *field = NULL;
    }
}
