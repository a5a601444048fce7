#include "common/conf_check.h"

#include "common/log.h"
#include "common/redis/redis.h"
#include "common/redis/redis_tls.h"
#include "common/str.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

enum { LOOPBACK_NET = 127, HOST_SIZE = 64 };

int conf_check_redis_url(const char *text, struct err *e)
{
    struct redis_url parts;
    if (redis_url_parse(text, &parts, e))
        return -1;
    bool tls = parts.tls;
    redis_url_done(&parts);
    return tls ? redis_tls_check(e) : 0;
}

/* As many hosts as the URL has, none of which is looked up or answers. */
static char *nowhere_like(const char *hosts)
{
    struct buf nowhere = {0};
    buf_add_str(&nowhere, "/dev/null");
    for (; *hosts; hosts++)
        if (*hosts == ',')
            buf_add_str(&nowhere, ",/dev/null");
    return buf_take(&nowhere);
}

/* What libpq says between quotes may be the URL's, and with it the password. */
static int read_refusal(const char *said, struct err *e)
{
    /* It got as far as to connect. */
    if (strncmp(said, "connection to server", strlen("connection to server")) == 0)
        return 0;
    const char *first = strchr(said, '"');
    const char *last = strrchr(said, '"');
    size_t line = strcspn(said, "\n");
    if (!first)
        return err_set(e, ERR_CONFIG, "PostgreSQL's client cannot use it: %.*s", (int)line, said);
    size_t rest = last > first ? strcspn(last + 1, "\n") : 0;
    return err_set(e, ERR_CONFIG, "PostgreSQL's client cannot use it: %.*s\"***\"%.*s",
                   (int)(first - said), said, (int)rest, last + 1);
}

/* libpq looks at most values (ports, sslmode, …) only when it connects: it does, to nowhere. */
static int try_values(const PQconninfoOption *parts, struct err *e)
{
    enum { MOST = 128 };
    const char *keywords[MOST] = {NULL};
    const char *values[MOST] = {NULL};
    const char *hosts = "";
    int n = 1;
    for (; parts->keyword && n < MOST - 1; parts++) {
        bool is_host = !strcmp(parts->keyword, "host") || !strcmp(parts->keyword, "hostaddr");
        if (is_host && parts->val && strlen(parts->val) > strlen(hosts))
            hosts = parts->val;
        if (is_host || !parts->val || !*parts->val)
            continue;
        keywords[n] = parts->keyword;
        values[n++] = parts->val;
    }
    char *nowhere = nowhere_like(hosts);
    keywords[0] = "host";
    values[0] = nowhere;
    PGconn *conn = PQconnectStartParams(keywords, values, 0);
    int result = read_refusal(PQerrorMessage(conn), e);
    PQfinish(conn);
    free(nowhere);
    return result;
}

int conf_check_database_url(const char *text, struct err *e)
{
    PQconninfoOption *parts = PQconninfoParse(text, NULL);
    if (!parts)
        return err_set(e, ERR_CONFIG, "is no URL or list of settings for PostgreSQL");
    int result = try_values(parts, e);
    PQconninfoFree(parts);
    return result;
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

/* What each kind of Stripe's secrets begins with, and is called there (docs.stripe.com/keys). */
static const struct {
    const char *prefix;
    const char *what;
} STRIPE_KINDS[] = {
    {"pk_", "a publishable key (pk_), which is for browsers"},
    {"sk_", "a secret key of the API (sk_)"},
    {"rk_", "a restricted key of the API (rk_)"},
    {"whsec_", "the signing secret of a webhook endpoint (whsec_)"},
    {"we_", "the id of a webhook endpoint (we_)"},
};
enum { N_STRIPE_KINDS = sizeof STRIPE_KINDS / sizeof *STRIPE_KINDS };

static int refuse_kind(const char *text, const char *needed, struct err *e)
{
    for (int i = 0; i < N_STRIPE_KINDS; i++)
        if (after(text, STRIPE_KINDS[i].prefix))
            return err_set(e, ERR_CONFIG, "holds %s; needed is %s", STRIPE_KINDS[i].what, needed);
    return err_set(e, ERR_CONFIG, "needed is %s", needed);
}

int conf_check_stripe_key(const char *text, struct err *e)
{
    if (conf_check_token(text, e))
        return -1;
    if (after(text, "sk_") || after(text, "rk_"))
        return 0;
    return refuse_kind(text, "a secret or restricted key, which begins with sk_ or rk_", e);
}

int conf_check_webhook_secrets(const char *list, struct err *e)
{
    static const char needed[] = "the endpoint's signing secret, which begins with whsec_";
    if (conf_check_token(list, e))
        return -1;
    for (const char *part = list;; part++) {
        /* An empty secret would let anybody sign. */
        if (*part == ',' || *part == '\0')
            return err_set(e, ERR_CONFIG, "one of its parts is empty");
        if (!after(part, "whsec_"))
            return refuse_kind(part, needed, e);
        if (strcspn(part, ",") == strlen("whsec_"))
            return err_set(e, ERR_CONFIG, "one of its parts is empty behind whsec_");
        part = strchr(part, ',');
        if (!part)
            return 0;
    }
}

int conf_check_stripe_key_change(const char *before, const char *now, struct err *e)
{
    if (conf_is_live_key(before) == conf_is_live_key(now))
        return 0;
    return err_set(e, ERR_CONFIG, "holds a %s key in place of a %s key, which needs a restart",
                   conf_is_live_key(now) ? "live" : "test",
                   conf_is_live_key(before) ? "live" : "test");
}

static const char *database_name(const PQconninfoOption *parts)
{
    for (; parts && parts->keyword; parts++)
        if (!strcmp(parts->keyword, "dbname"))
            return parts->val ? parts->val : "";
    return "";
}

int conf_check_database_change(const char *before, const char *now, struct err *e)
{
    PQconninfoOption *old = PQconninfoParse(before, NULL);
    PQconninfoOption *new = PQconninfoParse(now, NULL);
    bool same = !strcmp(database_name(old), database_name(new));
    bool readable = new != NULL;
    PQconninfoFree(old);
    PQconninfoFree(new);
    if (readable && !same)
        return err_set(e, ERR_CONFIG, "names another database, which needs a restart");
    return 0;
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool is_same_place(const struct redis_url *a, const struct redis_url *b)
{
    bool same = a->n_seeds == b->n_seeds && is_same_text(a->path, b->path) &&
                a->database == b->database && a->tls == b->tls;
    for (int i = 0; same && i < a->n_seeds; i++)
        same = a->seeds[i].port == b->seeds[i].port && !strcmp(a->seeds[i].host, b->seeds[i].host);
    return same;
}

int conf_check_redis_change(const char *before, const char *now, struct err *e)
{
    struct redis_url old;
    struct redis_url new;
    if (redis_url_parse(before, &old, e))
        return -1;
    if (redis_url_parse(now, &new, e)) {
        redis_url_done(&old);
        return -1;
    }
    bool same = is_same_place(&old, &new);
    redis_url_done(&old);
    redis_url_done(&new);
    return same ? 0
                : err_set(e, ERR_CONFIG,
                          "changes more than user and password, which needs a restart");
}

/* By address, not by how it begins: 127.example.com is not ours. */
bool conf_is_loopback(const char *authority)
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
    if (open && !conf_is_loopback(open))
        return err_set(e, ERR_CONFIG, "http:// is only for this machine");
    return 0;
}

bool conf_is_live_key(const char *key)
{
    return after(key, "sk_live_") || after(key, "rk_live_");
}

int conf_refuse(const char *setting, const char *why)
{
    log_error(setting_refused, LOG_STR("setting", setting), LOG_MSG(why));
    return 1;
}

int conf_refuse_live_key(const char *key, bool allowed)
{
    if (!key || allowed || !conf_is_live_key(key))
        return 0;
    return conf_refuse("STRIPE_SECRET_KEY", "a live key needs STRIPE_LIVE=1");
}
