/* meterctl quota: what a tenant may use, by its plan and by limits of its own. A change holds
 * once it is committed. webhookd and the aggregator look for changes several times a second and
 * bring them into the quota cache. */
#include "common/dec.h"
#include "common/str.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/terminal/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct table_column COLUMNS[] = {
    {"tenant", TABLE_NAME},      {"metric", TABLE_NAME},
    {"plan", TABLE_NAME},        {"limit", TABLE_NUMBER},
    {"window", TABLE_TEXT},      {"cap", TABLE_TEXT},
    {"used", TABLE_NUMBER},      {"resets_at", TABLE_TEXT},
    {"grace_until", TABLE_TEXT}, {"own_limit", TABLE_NUMBER},
    {"own_window", TABLE_TEXT},  {"own_cap", TABLE_TEXT},
    {"own_until", TABLE_TEXT},   {"plan_limit", TABLE_NUMBER},
    {"plan_window", TABLE_TEXT}, {"plan_cap", TABLE_TEXT},
    {NULL, TABLE_TEXT}};

struct show {
    const char *tenant; /* NULL: all that have limits of their own */
    bool json, wide;
};

static int show(PGconn *conn, void *owner)
{
    const struct show *s = owner;
    const struct table_view view = {
        "quotas; limit, window and cap are in force: the plan's, or the tenant's own",
        s->tenant ? "no limits: its plan has none" : "no tenant has limits of its own", COLUMNS,
        s->wide};
    struct err e;
    int code = names_check(conn, s->tenant, NULL, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    json_t *rows = json_array();
    if (report_query(rows, conn, SQL_SHOW_QUOTA, 1, &s->tenant, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    else
        table_show(rows, s->json, view);
    json_decref(rows);
    return code;
}

int quota_show_run(const struct ctl_config *config, int argc, char **argv)
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

/* A change. */

struct change {
    const char *tenant;
    const char *metric; /* NULL: unset all */
    const char *limit;  /* these: NULL: as it is */
    const char *cap;
    const char *window;
    const char *until; /* a time; "never": it stays */
    char until_time[TIME_TEXT_SIZE];
    bool unlimited;
    bool is_new; /* of a tenant of which nothing is known yet */
    bool unset;
    int64_t rows; /* changed */
};

static int check_choice(const char *name, const char *text, const char *choices,
                        const char *const *list)
{
    for (int i = 0; text && list[i]; i++)
        if (strcmp(text, list[i]) == 0)
            return 0;
    return text ? ctl_fail(-1, "%s must be %s, not %s", name, choices, text) : 0;
}

static int check_set(const struct change *c)
{
    static const char *const CAPS[] = {"none", "soft", "hard", NULL};
    static const char *const WINDOWS[] = {"period", "month", "day", NULL};
    struct dec value;
    if (!c->limit && !c->unlimited && !c->cap && !c->window && !c->until)
        return ctl_fail(-1,
                        "--limit N, --unlimited, --cap, --window or --until is required, to say "
                        "what to change");
    if (c->limit && c->unlimited)
        return ctl_fail(-1, "--limit and --unlimited cannot be used together");
    if (c->limit && (c->limit[0] == '-' || dec_parse_quantity(c->limit, strlen(c->limit), &value)))
        return ctl_fail(
            -1, "--limit must be a number of up to 18 digits, and up to 9 behind a point, not %s",
            c->limit);
    return check_choice("--cap", c->cap, "none, soft or hard", CAPS) ||
                   check_choice("--window", c->window, "period, month or day", WINDOWS)
               ? -1
               : 0;
}

static int read_until(PGconn *conn, struct change *c)
{
    int code = CTL_DONE;
    if (c->until && strcmp(c->until, "never") != 0) {
        code = args_time(conn, "--until", c->until, c->until_time);
        c->until = c->until_time;
    }
    return code;
}

/* A limit for an unknown tenant needs --new, since a mistyped name would never be noticed. */
static int check_names(PGconn *conn, const struct change *c)
{
    int unknown = names_check(conn, c->is_new ? NULL : c->tenant, NULL, CTL_FAILED);
    if (unknown && !c->unset)
        ctl_fail(unknown, "add --new to set a limit for a tenant that is still to come");
    return unknown ? unknown : names_check(conn, NULL, c->metric, CTL_FAILED);
}

static int write_change(PGconn *conn, void *owner, struct err *e)
{
    struct change *c = owner;
    const char *set[] = {c->tenant, c->metric, c->limit, c->unlimited ? "true" : NULL,
                         c->cap,    c->window, c->until};
    if (db_run(conn, SQL_LOCK_QUOTA, 1, &c->tenant, NULL, e) ||
        (!c->unset && db_run(conn, SQL_FORGET_OWN_LIMIT, 2, set, NULL, e)) ||
        db_run(conn, c->unset ? SQL_UNSET_OWN_LIMIT : SQL_SET_OWN_LIMIT, c->unset ? 2 : 7, set,
               &c->rows, e))
        return -1;
    return db_run(conn, SQL_REFRESH_QUOTA, 1, &c->tenant, NULL, e);
}

static int change(PGconn *conn, void *owner)
{
    struct change *c = owner;
    struct err e;
    int code = check_names(conn, c);
    if (code == CTL_DONE)
        code = read_until(conn, c);
    if (code != CTL_DONE)
        return code;
    if (db_transaction(conn, write_change, c, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    if (c->rows == 0 && !c->unset)
        return ctl_fail(CTL_FAILED,
                        "nothing was changed: a limit by month or day needs a metric that is "
                        "summed up, counted or has a greatest value (sum, count, max), and --until "
                        "must be a time to come");
    if (c->rows == 0)
        return ctl_fail(CTL_FAILED, "%s has no such limit of its own (see meterctl quota show)",
                        c->tenant);
    return show(conn, &(struct show){.tenant = c->tenant});
}

int quota_set_run(const struct ctl_config *config, int argc, char **argv)
{
    struct change c = {0};
    const struct args_option options[] = {{"--limit", &c.limit, NULL},
                                          {"--cap", &c.cap, NULL},
                                          {"--window", &c.window, NULL},
                                          {"--until", &c.until, NULL},
                                          {"--unlimited", NULL, &c.unlimited},
                                          {"--new", NULL, &c.is_new},
                                          {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 2, 2) < 0)
        return CTL_USAGE;
    c.tenant = argv[0];
    c.metric = argv[1];
    return check_set(&c) ? CTL_USAGE : ctl_with_database(config, CTL_FAILED, change, &c);
}

int quota_unset_run(const struct ctl_config *config, int argc, char **argv)
{
    struct change c = {.unset = true};
    int plain = args_parse(argc, argv, NULL, 1, 2);
    if (plain < 0)
        return CTL_USAGE;
    c.tenant = argv[0];
    c.metric = plain == 2 ? argv[1] : NULL;
    return ctl_with_database(config, CTL_FAILED, change, &c);
}

/* Anew from plan and own limits, and into the cache, whatever stands there. A page of tenants in
 * one transaction. Returns how many they were, or -1 with e. */
static int64_t refresh_all(PGconn *conn, const char *tenant, struct err *e)
{
    enum { TENANTS, ALL, LAST }; /* columns of refresh_cache.sql */
    static const char PAGE[] = "500";
    const char *values[] = {tenant, NULL, PAGE};
    int64_t tenants = 0;
    char *last = NULL;
    PGresult *r;
    bool more = true;
    while (more && (r = db_query(conn, SQL_REFRESH_CACHE, 3, values, e))) {
        tenants += strtoll(db_text(r, 0, TENANTS), NULL, 10);
        more = strcmp(db_text(r, 0, ALL), PAGE) == 0;
        free(last);
        values[1] = last = xstrdup(db_text(r, 0, LAST));
        PQclear(r);
    }
    free(last);
    return more ? -1 : tenants;
}

static int refresh(PGconn *conn, void *owner)
{
    const char *tenant = owner;
    struct err e;
    int code = names_check(conn, tenant, NULL, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    int64_t tenants = refresh_all(conn, tenant, &e);
    if (tenants < 0)
        return ctl_fail_err(CTL_FAILED, &e);
    printf("quotas of %" PRId64 " %s are worked out anew, and are being written into the quota "
           "cache\n",
           tenants, tenants == 1 ? "tenant" : "tenants");
    return CTL_DONE;
}

int quota_refresh_run(const struct ctl_config *config, int argc, char **argv)
{
    int plain = args_parse(argc, argv, NULL, 0, 1);
    return plain < 0 ? CTL_USAGE
                     : ctl_with_database(config, CTL_FAILED, refresh, plain == 1 ? argv[0] : NULL);
}
