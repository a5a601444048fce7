#include "common/conf_value.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAX 65535

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

static bool is_ipv6(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET6, host, &address) == 1;
}

/* The host before the port's colon, without brackets; "" stands for all addresses of this machine.
 * NULL if it is none. malloc'd. */
static char *take_host(const char *text, size_t length)
{
    if (length == 0)
        return xstrdup("");
    if (is_host(text, length))
        return xstrndup(text, length);
    if (length < 2 || text[0] != '[' || text[length - 1] != ']')
        return NULL;
    char *host = xstrndup(text + 1, length - 2);
    if (is_ipv6(host))
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
    char *name = take_host(text, (size_t)(colon - text));
    if (!name)
        return err_set(e, ERR_INPUT, "not HOST:PORT, [V6]:PORT or :PORT: %s", text);
    *host = name;
    *port = (int)number;
    return 0;
}
