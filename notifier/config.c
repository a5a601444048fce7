#include "notifier/config.h"

#include "notifier/mail/mail_text.h"

#include <stdlib.h>
#include <string.h>

#define FIELD(name) offsetof(struct config, name)

static const char *host_of(const char *url)
{
    const char *host = strstr(url, "://");
    const char *user = strrchr(url, '@');
    return user ? user + 1 : host ? host + 3 : url;
}

/* So that a file of secrets can be there before there is a mail server. */
static const char NO_MAIL[] = "none";

bool notifier_has_mail(const struct config *c)
{
    return c->smtp_url && strcmp(c->smtp_url, NO_MAIL) != 0;
}

static int check_smtp_url(const char *text, struct err *e)
{
    if (strcmp(text, NO_MAIL) == 0)
        return 0;
    if (conf_check_token(text, e))
        return -1;
    if (strncmp(text, "smtp://", 7) != 0 && strncmp(text, "smtps://", 8) != 0)
        return err_set(e, ERR_CONFIG, "must begin with smtp:// or smtps://");
    if (strcspn(host_of(text), ":/") == 0)
        return err_set(e, ERR_CONFIG, "names no host");
    return 0;
}

static int check_from(const char *text, struct err *e)
{
    char *address, *name;
    if (mail_parse_from(text, &address, &name, e))
        return -1;
    free(address);
    free(name);
    return 0;
}

/* clang-format off */
const struct conf_setting NOTIFIER_SETTINGS[] = {
    CONF_DATABASE_URL(struct config, base),
    CONF_REDIS_URL(struct config, base),
    {"SIGNALS_MAXLEN", CONF_INT, FIELD(signals_maxlen), .fallback = "100000", .unit = "entries", .min = 0,
     .max = 100000000, .help = "about so many signals are kept in the Redis stream billing:signals; 0: all"},
    {"SMTP_URL", CONF_STR, FIELD(smtp_url), .url = true, .fallback = "none", .check = check_smtp_url,
     .help = "mail server: smtp://[user[:password]@]host[:port] with STARTTLS, smtps:// with TLS from the start; none: no mail is sent"},
    {"SMTP_PASSWORD", CONF_STR, FIELD(smtp_password), .secret = true,
     .help = "password of the user in SMTP_URL"},
    {"SMTP_FROM", CONF_STR, FIELD(smtp_from), .check = check_from,
     .help = "who mail is from: user@host or Name <user@host>; required with SMTP_URL"},
    {"SMTP_CA_FILE", CONF_STR, FIELD(smtp_ca_file),
     .help = "certificates that the mail server's must be signed by, PEM; not set: the system's"},
    {"SMTP_PLAIN", CONF_BOOL, FIELD(smtp_plain), .fallback = "0",
     .help = "1: send mail to another machine although it has no STARTTLS, readable for anybody on the way"},
    {"NOTIFIER_RETRY_FIRST_MS", CONF_INT, FIELD(retry_first_ms), .fallback = "1000", .unit = "ms", .min = 10,
     .max = 600000, .help = "wait after a first attempt that failed; it doubles with each one"},
    {"NOTIFIER_RETRY_MAX_S", CONF_INT, FIELD(retry_max_s), .fallback = "300", .unit = "s", .min = 1,
     .max = 86400, .help = "longest wait between two attempts"},
    {"NOTIFIER_GIVE_UP_S", CONF_INT, FIELD(give_up_s), .fallback = "259200", .unit = "s", .min = 1, .max = 2592000,
     .help = "how long mail and a POST are tried until they are failed (3 days)"},
    {"NOTIFIER_POSTS_IN_FLIGHT", CONF_INT, FIELD(posts_in_flight), .fallback = "64", .min = 1, .max = 1024,
     .help = "POSTs at the same time; two to one address"},
    {"NOTIFIER_POST_TIMEOUT_S", CONF_INT, FIELD(post_timeout_s), .fallback = "10", .unit = "s", .min = 1,
     .max = 60, .help = "how long a receiver of POSTs may take to answer"},
    {"NOTIFIER_ALLOW_PRIVATE", CONF_BOOL, FIELD(allow_private), .fallback = "0",
     .help = "1: POST also to http:// and to private, local and reserved addresses, which tenants could abuse"},
    {"MESSAGE_KEEP_DAYS", CONF_INT, FIELD(keep_days), .fallback = "365", .unit = "days", .min = 31, .max = 3650,
     .help = "how long messages that were sent or have failed are kept; what is told of again later is sent again"},
    CONF_OPS_LISTEN(struct config, base, "127.0.0.1:9105"),
    CONF_LOG(struct config, base),
    {.name = NULL}};
/* clang-format on */

bool notifier_mail_may_be_plain(const struct config *c)
{
    return c->smtp_plain || conf_is_loopback(host_of(c->smtp_url));
}

int notifier_config_check(const void *config)
{
    const struct config *c = config;
    int faults = 0;
    if (notifier_has_mail(c) && !c->smtp_from)
        faults += conf_refuse("SMTP_FROM", "SMTP_URL needs it");
    if (c->smtp_password && notifier_has_mail(c) && !strchr(c->smtp_url, '@'))
        faults += conf_refuse("SMTP_PASSWORD", "there is no user in SMTP_URL");
    return faults;
}
