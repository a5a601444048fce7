/* meterctl alerts: whom a tenant's messages go to beside billing:signals, and at which per cent of
 * its limits it is told. What is posted is signed with a secret that is made here, and shown once.
 */
#include "common/str.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/terminal/table.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EMAIL_MAX_BYTES = 254, URL_MAX_BYTES = 2048, PERCENT_MAX = 10000, PERCENTS_MAX = 50 };
enum { SECRET_BYTES = 24, KEY_BYTES = 12 };

static const char SECRET_PREFIX[] = "mlsec_";

static const struct table_column COLUMNS[] = {{"tenant", TABLE_NAME},    {"email", TABLE_NAME},
                                              {"url", TABLE_NAME},       {"thresholds", TABLE_TEXT},
                                              {"waiting", TABLE_NUMBER}, {"failed", TABLE_NUMBER},
                                              {NULL, TABLE_TEXT}};

struct show {
    const char *tenant; /* NULL: all that have settings of their own */
    bool json, wide;
};

static int show(PGconn *conn, void *owner)
{
    const struct show *s = owner;
    const struct table_view view = {
        "alerts; thresholds are per cent of a limit, waiting and failed are mails and posts",
        "no tenant has settings of its own: all messages go to billing:signals alone", COLUMNS,
        s->wide};
    struct err e;
    int code = names_check(conn, s->tenant, NULL, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    json_t *rows = json_array();
    if (report_query(rows, conn, SQL_SHOW_ALERTS, 1, &s->tenant, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    else
        table_show(rows, s->json, view);
    json_decref(rows);
    return code;
}

int alerts_show_run(const struct ctl_config *config, int argc, char **argv)
{
    struct show s = {0};
    const struct args_option options[] = {
        {"--json", NULL, &s.json}, {"--wide", NULL, &s.wide}, {NULL, NULL, NULL}};
    int plain = args_parse(argc, argv, options, 0, 1);
    if (plain < 0)
        return CTL_USAGE;
    s.tenant = plain == 1 ? argv[0] : NULL;
    return ctl_with_database(config, CTL_FAILED, show, &s);
}

/* A change. "none" takes a setting away, which is '' to the statement. */

struct change {
    const char *tenant;
    const char *email, *url, *thresholds; /* NULL: as it is */
    bool new_secret, is_new, json;
    char secret[sizeof SECRET_PREFIX + 2 * (size_t)SECRET_BYTES];
    char *shown; /* the secret, if it was taken; owned */
};

static const char *or_nothing(const char *value)
{
    return value && strcmp(value, "none") == 0 ? "" : value;
}

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == '\x7f')
            return false;
    return true;
}

static int check_email(const char *email)
{
    const char *at = strrchr(email, '@');
    /* As the notifier takes it (mail_is_address). */
    if (*email == '\0' ||
        (at && at > email && strchr(email, '@') == at && strchr(at, '.') && is_plain(email) &&
         !email[strcspn(email, "<>()[],;:\"\\")] && strlen(email) <= EMAIL_MAX_BYTES))
        return 0;
    return ctl_fail(-1, "--email must be an address such as billing@example.com, or none, not %s",
                    email);
}

static int check_url(const char *url)
{
    bool secure = strncmp(url, "https://", 8) == 0 && url[8];
    bool plain = strncmp(url, "http://", 7) == 0 && url[7];
    if (*url == '\0' || ((secure || plain) && is_plain(url) && strlen(url) <= URL_MAX_BYTES))
        return 0;
    return ctl_fail(-1, "--url must begin with https:// or http://, or be none, not %s", url);
}

static int check_thresholds(const char *list)
{
    long last = 0;
    int n = 0;
    const char *p = list;
    while (*p) {
        char *end;
        long percent = isdigit((unsigned char)*p) ? strtol(p, &end, 10) : 0;
        bool more = percent > 0 && *end == ',' && end[1];
        if (percent <= last || percent > PERCENT_MAX || ++n > PERCENTS_MAX || (*end && !more))
            return ctl_fail(-1,
                            "--thresholds must be whole numbers of per cent from 1 to %d, each "
                            "greater than the one before, such as 80,100,120, or none; not %s",
                            PERCENT_MAX, list);
        last = percent;
        p = more ? end + 1 : end;
    }
    return 0;
}

static int check_change(struct change *c)
{
    if (!c->email && !c->url && !c->thresholds && !c->new_secret)
        return ctl_fail(-1, "--email, --url, --thresholds or --new-secret is required, to say what "
                            "to change");
    c->email = or_nothing(c->email);
    c->url = or_nothing(c->url);
    c->thresholds = or_nothing(c->thresholds);
    if ((c->email && check_email(c->email)) || (c->url && check_url(c->url)) ||
        (c->thresholds && check_thresholds(c->thresholds)))
        return -1;
    return 0;
}

static void make_hex(char *out, size_t size, size_t bytes)
{
    unsigned char random[SECRET_BYTES];
    randombytes_buf(random, bytes);
    sodium_bin2hex(out, size, random, bytes);
    sodium_memzero(random, sizeof random);
}

static int write_change(PGconn *conn, void *owner, struct err *e)
{
    struct change *c = owner;
    const char *set[] = {c->tenant,     c->email,  c->url,
                         c->thresholds, c->secret, c->new_secret ? "true" : "false"};
    memcpy(c->secret, SECRET_PREFIX, sizeof SECRET_PREFIX);
    make_hex(c->secret + sizeof SECRET_PREFIX - 1, sizeof c->secret - sizeof SECRET_PREFIX + 1,
             SECRET_BYTES);
    PGresult *r = db_query(conn, SQL_SET_ALERTS, 6, set, e);
    if (!r)
        return -1;
    free(c->shown);
    c->shown = xstrdup(db_text(r, 0, 0));
    PQclear(r);
    return db_run(conn, SQL_CHECK_ALERTS, 1, &c->tenant, NULL, e);
}

static void tell_secret(const struct change *c)
{
    if (!c->json) {
        if (*c->shown)
            printf("secret %s\n(it signs what is posted, and is not shown again)\n\n", c->shown);
        return;
    }
    json_t *told =
        json_pack("{s:s, s:s?}", "tenant", c->tenant, "secret", *c->shown ? c->shown : NULL);
    report_print_json(told);
    json_decref(told);
}

static int change(PGconn *conn, void *owner)
{
    struct change *c = owner;
    struct err e;
    int unknown = names_check(conn, c->is_new ? NULL : c->tenant, NULL, CTL_FAILED);
    if (unknown)
        return ctl_fail(unknown, "add --new to set alerts for a tenant that is still to come");
    if (db_transaction(conn, write_change, c, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    tell_secret(c);
    int code = c->json ? CTL_DONE : show(conn, &(struct show){.tenant = c->tenant});
    sodium_memzero(c->secret, sizeof c->secret);
    free(c->shown);
    return code;
}

int alerts_set_run(const struct ctl_config *config, int argc, char **argv)
{
    struct change c = {0};
    const struct args_option options[] = {{"--email", &c.email, NULL},
                                          {"--url", &c.url, NULL},
                                          {"--thresholds", &c.thresholds, NULL},
                                          {"--new-secret", NULL, &c.new_secret},
                                          {"--new", NULL, &c.is_new},
                                          {"--json", NULL, &c.json},
                                          {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 1, 1) < 0)
        return CTL_USAGE;
    c.tenant = argv[0];
    return check_change(&c) ? CTL_USAGE : ctl_with_database(config, CTL_FAILED, change, &c);
}

/* A test. */

static int test(PGconn *conn, void *owner)
{
    static const struct table_column WAYS[] = {
        {"channel", TABLE_TEXT}, {"destination", TABLE_NAME}, {NULL, TABLE_TEXT}};
    const struct show *s = owner;
    char key[2 * KEY_BYTES + 1];
    const char *values[] = {s->tenant, key};
    struct err e;
    int code = names_check(conn, s->tenant, NULL, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    make_hex(key, sizeof key, KEY_BYTES);
    json_t *rows = json_array();
    if (report_query(rows, conn, SQL_TEST_ALERTS, 2, values, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    else
        table_show(rows, s->json,
                   (struct table_view){"a test message is on its way; see meterctl alerts show",
                                       "nothing is sent", WAYS, s->wide});
    json_decref(rows);
    return code;
}

int alerts_test_run(const struct ctl_config *config, int argc, char **argv)
{
    struct show s = {0};
    const struct args_option options[] = {{"--json", NULL, &s.json}, {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 1, 1) < 0)
        return CTL_USAGE;
    s.tenant = argv[0];
    return ctl_with_database(config, CTL_FAILED, test, &s);
}
