/* meterctl limits: what a tenant may use, by its plan and by limits of its own. A change holds
 * once it is committed. webhookd looks for changes twice a second and brings them into the quota
 * cache. */
#include "common/dec.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/terminal/table.h"

#include <stdio.h>
#include <string.h>

static const struct table_column COLUMNS[] = {
    {"tenant", TABLE_NAME},      {"metric", TABLE_NAME},       {"plan", TABLE_NAME},
    {"limit", TABLE_NUMBER},     {"cap", TABLE_TEXT},          {"used", TABLE_NUMBER},
    {"grace_until", TABLE_TEXT}, {"plan_limit", TABLE_NUMBER}, {"plan_cap", TABLE_TEXT},
    {"own_limit", TABLE_NUMBER}, {"own_cap", TABLE_TEXT},      {NULL, TABLE_TEXT}};

struct show {
    const char *tenant; /* NULL: all that have limits of their own */
    bool json, wide;
};

static int show(PGconn *conn, void *owner)
{
    const struct show *s = owner;
    const struct table_view view = {
        "limits; limit and cap are in force: the plan's, or the tenant's own",
        s->tenant ? "no limits: its plan has none" : "no tenant has limits of its own", COLUMNS,
        s->wide};
    struct err e;
    int code = names_check(conn, s->tenant, NULL, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    json_t *rows = json_array();
    if (report_query(rows, conn, SQL_SHOW_LIMITS, 1, &s->tenant, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    else
        table_show(rows, s->json, view);
    json_decref(rows);
    return code;
}

int limits_show_run(const struct ctl_config *config, int argc, char **argv)
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
    const char *metric;   /* NULL: unset all */
    const char *included; /* NULL: as it is */
    const char *cap;      /* NULL: as it is */
    bool unlimited;
    bool is_new; /* of a tenant of which nothing is known yet */
    bool unset;
    int64_t rows; /* changed */
};

static int check_set(const struct change *c)
{
    struct dec value;
    if (!c->included && !c->unlimited && !c->cap)
        return ctl_fail(
            -1,
            "--included N, --unlimited or --cap none|soft|hard is required, to say what to change");
    if (c->included && c->unlimited)
        return ctl_fail(-1, "--included and --unlimited cannot be used together");
    if (c->included &&
        (c->included[0] == '-' || dec_parse_quantity(c->included, strlen(c->included), &value)))
        return ctl_fail(
            -1,
            "--included must be a number of up to 18 digits, and up to 9 behind a point, not %s",
            c->included);
    if (c->cap && strcmp(c->cap, "none") && strcmp(c->cap, "soft") && strcmp(c->cap, "hard"))
        return ctl_fail(-1, "--cap must be none, soft or hard, not %s", c->cap);
    return 0;
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
    const char *set[] = {c->tenant, c->metric, c->included, c->unlimited ? "true" : NULL, c->cap};
    if (db_run(conn, SQL_LOCK_LIMITS, 1, &c->tenant, NULL, e) ||
        db_run(conn, c->unset ? SQL_UNSET_LIMIT : SQL_SET_LIMIT, c->unset ? 2 : 5, set, &c->rows,
               e))
        return -1;
    return db_run(conn, SQL_REFRESH_LIMITS, 1, &c->tenant, NULL, e);
}

static int change(PGconn *conn, void *owner)
{
    struct change *c = owner;
    struct err e;
    int code = check_names(conn, c);
    if (code != CTL_DONE)
        return code;
    if (db_transaction(conn, write_change, c, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    if (c->rows == 0)
        return ctl_fail(CTL_FAILED, "%s has no such limit of its own (see meterctl limits show)",
                        c->tenant);
    return show(conn, &(struct show){.tenant = c->tenant});
}

int limits_set_run(const struct ctl_config *config, int argc, char **argv)
{
    struct change c = {0};
    const struct args_option options[] = {{"--included", &c.included, NULL},
                                          {"--cap", &c.cap, NULL},
                                          {"--unlimited", NULL, &c.unlimited},
                                          {"--new", NULL, &c.is_new},
                                          {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 2, 2) < 0)
        return CTL_USAGE;
    c.tenant = argv[0];
    c.metric = argv[1];
    return check_set(&c) ? CTL_USAGE : ctl_with_database(config, CTL_FAILED, change, &c);
}

int limits_unset_run(const struct ctl_config *config, int argc, char **argv)
{
    struct change c = {.unset = true};
    int plain = args_parse(argc, argv, NULL, 1, 2);
    if (plain < 0)
        return CTL_USAGE;
    c.tenant = argv[0];
    c.metric = plain == 2 ? argv[1] : NULL;
    return ctl_with_database(config, CTL_FAILED, change, &c);
}
