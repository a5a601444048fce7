/* redis://[user:password@]host[:port][,host[:port]…][/db], rediss:// for TLS,
 * unix://[user:password@]/path. User and password may be percent-encoded. Errors never quote the
 * URL: it may hold the password. */
#include "common/redis/redis.h"
#include "common/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PORT = 6379, PORT_MAX = 65535, DATABASE_MAX = 1 << 20 };
enum { UNIX_PATH_MAX_BYTES = 107 }; /* sockaddr_un.sun_path, less its NUL */

static int url_err(struct err *e, const char *what)
{
    return err_set(e, ERR_CONFIG, "%s", what);
}

static int hex_digit(char c)
{
    static const char DIGITS[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = c ? strchr(DIGITS, c) : NULL;
    return found ? (int)((found - DIGITS) % 16) : -1;
}

/* NULL: not percent-encoded as it should be. */
static char *decode(const char *s, size_t length)
{
    struct buf out = {0};
    buf_reserve(&out, length + 1);
    for (size_t i = 0; i < length; i++) {
        if (s[i] != '%') {
            buf_add_char(&out, s[i]);
            continue;
        }
        int high = i + 2 < length ? hex_digit(s[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s[i + 2]) : -1;
        if (low < 0 || (high == 0 && low == 0)) {
            buf_done(&out);
            return NULL;
        }
        buf_add_char(&out, (char)(high * 16 + low));
        i += 2;
    }
    return out.data ? buf_take(&out) : xstrdup("");
}

static int parse_user(struct redis_url *u, const char *s, size_t length, struct err *e)
{
    const char *colon = memchr(s, ':', length);
    if (!colon)
        return url_err(e, "a user needs a password: user:password@");
    if (colon > s)
        u->user = decode(s, (size_t)(colon - s));
    u->password = decode(colon + 1, length - (size_t)(colon + 1 - s));
    if (!u->password || (colon > s && !u->user))
        return url_err(e, "user or password are not percent-encoded as they should be");
    if (!*u->password)
        return url_err(e, "the password is empty");
    return 0;
}

static int parse_number(const char *s, size_t length, int64_t min, int64_t max, int *out)
{
    int64_t v;
    if (str_to_i64(s, length, &v) != 0 || v < min || v > max)
        return -1;
    *out = (int)v;
    return 0;
}

/* host, host:port, [v6] or [v6]:port */
static int parse_host(struct redis_url *u, const char *s, size_t length, struct err *e)
{
    const char *end = s + length;
    bool bracketed = length > 0 && *s == '[';
    const char *host = bracketed ? s + 1 : s;
    const char *host_end = memchr(host, bracketed ? ']' : ':', (size_t)(end - host));
    if (!host_end && bracketed)
        return url_err(e, "the bracket of the address is not closed");
    if (!host_end)
        host_end = end;
    const char *rest = bracketed ? host_end + 1 : host_end;
    if (host_end == host)
        return url_err(e, "the host is missing");
    int port = DEFAULT_PORT;
    if (rest != end &&
        (*rest != ':' || parse_number(rest + 1, (size_t)(end - rest - 1), 1, PORT_MAX, &port)))
        return url_err(e, "the port is not a number from 1 to 65535");
    if (u->n_seeds == REDIS_SEEDS_MAX)
        return url_err(e, "more than 16 hosts");
    u->seeds[u->n_seeds++] = (struct redis_seed){xstrndup(host, (size_t)(host_end - host)), port};
    return 0;
}

/* Hosts with commas between them. */
static int parse_hosts(struct redis_url *u, const char *s, size_t length, struct err *e)
{
    const char *end = s + length;
    for (;;) {
        const char *comma = memchr(s, ',', (size_t)(end - s));
        if (parse_host(u, s, (size_t)((comma ? comma : end) - s), e) != 0)
            return -1;
        if (!comma)
            return 0;
        s = comma + 1;
    }
}

static int parse_database(struct redis_url *u, const char *path, struct err *e)
{
    if (*path == '\0' || strcmp(path, "/") == 0)
        return 0;
    if (*path != '/' || parse_number(path + 1, strlen(path + 1), 0, DATABASE_MAX, &u->database))
        return url_err(e, "after the host comes nothing but /database, a number");
    return 0;
}

static int parse_path(struct redis_url *u, const char *path, struct err *e)
{
    if (*path != '/' || path[1] == '\0' || strlen(path) > UNIX_PATH_MAX_BYTES)
        return url_err(e, "unix:// needs an absolute path of at most 107 bytes");
    u->path = xstrdup(path);
    return 0;
}

/* rest: what follows the scheme. */
static int parse_rest(struct redis_url *u, const char *rest, bool is_unix, struct err *e)
{
    size_t authority = strcspn(rest, "/?#");
    const char *at = memrchr(rest, '@', authority);
    const char *host = at ? at + 1 : rest;
    size_t host_length = authority - (size_t)(host - rest);
    if (at && parse_user(u, rest, (size_t)(at - rest), e) != 0)
        return -1;
    if (is_unix)
        return host_length > 0 ? url_err(e, "unix:// names no host: unix:///path")
                               : parse_path(u, rest + authority, e);
    if (parse_hosts(u, host, host_length, e) != 0)
        return -1;
    return parse_database(u, rest + authority, e);
}

static const char *after_scheme(const char *url, const char *scheme)
{
    size_t length = strlen(scheme);
    return strncmp(url, scheme, length) == 0 ? url + length : NULL;
}

int redis_url_parse(const char *url, struct redis_url *out, struct err *e)
{
    *out = (struct redis_url){0};
    const char *plain = after_scheme(url, "redis://");
    const char *tls = after_scheme(url, "rediss://");
    const char *local = after_scheme(url, "unix://");
    const char *rest = plain ? plain : tls ? tls : local;
    if (!rest)
        return url_err(e, "it must begin with redis://, rediss:// or unix://");
    out->tls = tls != NULL;
    if (parse_rest(out, rest, local != NULL, e) == 0)
        return 0;
    redis_url_done(out);
    return -1;
}

void redis_url_done(struct redis_url *u)
{
    for (int i = 0; i < u->n_seeds; i++)
        free(u->seeds[i].host);
    free(u->path);
    free(u->user);
    free(u->password);
    *u = (struct redis_url){0};
}
