#include "common/conf_check.h"

#include "common/log.h"
#include "common/redis.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <string.h>

enum { LOOPBACK_NET = 127, HOST_SIZE = 64 };

int conf_check_redis_url(const char *text, struct err *e)
{
    struct redis_url parts;
    if (redis_url_parse(text, &parts, e))
        return -1;
    redis_url_done(&parts);
    return 0;
}

/* libpq's own words may show the URL, and with it the password. */
int conf_check_database_url(const char *text, struct err *e)
{
    PQconninfoOption *parts = PQconninfoParse(text, NULL);
    if (!parts)
        return err_set(e, ERR_CONFIG, "is no URL or list of settings for PostgreSQL");
    PQconninfoFree(parts);
    return 0;
}

int conf_check_token(const char *text, struct err *e)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return err_set(e, ERR_CONFIG, "must hold neither blanks nor control characters");
    return 0;
}

static const char *after(const char *text, const char *start)
{
    size_t length = strlen(start);
    return strncmp(text, start, length) == 0 ? text + length : NULL;
}

/* By address, not by how it begins: 127.example.com is not ours. */
static bool is_loopback(const char *authority)
{
    char host[HOST_SIZE];
    struct in_addr address;
    const char *rest = after(authority, "[::1]");
    if (rest)
        return *rest == '\0' || *rest == ':' || *rest == '/';
    size_t length = strcspn(authority, ":/");
    if (length == 0 || length >= sizeof host)
        return false;
    memcpy(host, authority, length);
    host[length] = '\0';
    if (!strcmp(host, "localhost"))
        return true;
    return inet_pton(AF_INET, host, &address) == 1 && (ntohl(address.s_addr) >> 24) == LOOPBACK_NET;
}

int conf_check_stripe_base(const char *text, struct err *e)
{
    const char *secure = after(text, "https://");
    const char *open = after(text, "http://");
    if (conf_check_token(text, e))
        return -1;
    if (!secure && !open)
        return err_set(e, ERR_CONFIG, "must begin with https://");
    if (strpbrk(text, "@?#"))
        return err_set(e, ERR_CONFIG, "holds more than an address");
    if (strcspn(secure ? secure : open, ":/") == 0)
        return err_set(e, ERR_CONFIG, "names no host");
    if (open && !is_loopback(open))
        return err_set(e, ERR_CONFIG, "http:// is only for this machine");
    return 0;
}

bool conf_is_live_key(const char *key)
{
    return after(key, "sk_live_") || after(key, "rk_live_");
}

int conf_refuse(const char *setting, const char *why)
{
    log_error("setting_refused", LOG_STR("setting", setting), LOG_MSG(why));
    return 1;
}

int conf_refuse_live_key(const char *key, bool allowed)
{
    if (!key || allowed || !conf_is_live_key(key))
        return 0;
    return conf_refuse("STRIPE_SECRET_KEY", "a live key needs STRIPE_LIVE=1");
}
