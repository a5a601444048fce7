/* meterctl limits: what a tenant may use, by its plan and by what was agreed with it alone. A
 * change takes hold with its transaction; webhookd, which looks for changes twice a second, brings
 * it into the quota cache. */
#include "common/dec.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/known.h"
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

static int show(PGconn *conn, const char *tenant, bool json, bool wide)
{
    struct err e;
    int unknown = known_check(conn, tenant, NULL, CTL_FAILED);

    if (unknown)
        return unknown;
    PGresult *r = db_query(conn, SQL_SHOW_LIMITS, 1, &tenant, &e);
    if (!r)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    json_t *rows = json_array();
    report_add_rows(rows, r);
    PQclear(r);
    if (json)
        report_print_json(rows);
    else if (json_array_size(rows) == 0)
        puts(tenant ? "no limits: its plan has none" : "no tenant has limits of its own");
    else
        table_print("limits; limit and cap hold: the plan's, or the tenant's own", rows, COLUMNS,
                    wide);
    json_decref(rows);
    return CTL_DONE;
}

int limits_show_run(const struct ctl_config *config, int argc, char **argv)
{
    bool json = false, wide = false;
    const struct args_option options[] = {
        {"--json", NULL, &json}, {"--wide", NULL, &wide}, {NULL, NULL, NULL}};
    struct err e;
    int plain = args_take(argc, argv, options);

    if (plain < 0 || (plain > 1 && args_expect_none(plain - 1, argv + 1)))
        return CTL_USAGE;
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    if (!conn)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    int code = show(conn, plain == 1 ? argv[0] : NULL, json, wide);
    PQfinish(conn);
    return code;
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
};

static int check_set(const struct change *c)
{
    struct dec value;

    if (!c->included && !c->unlimited && !c->cap)
        return ctl_fail(
            -1, "what shall it be? Say --included N or --unlimited, --cap none, soft or hard");
    if (c->included && c->unlimited)
        return ctl_fail(-1, "--included and --unlimited exclude each other");
    if (c->included &&
        (c->included[0] == '-' || dec_parse_quantity(c->included, strlen(c->included), &value)))
        return ctl_fail(-1, "--included: %s: up to 18 digits, and up to 9 behind a point",
                        c->included);
    if (c->cap && strcmp(c->cap, "none") && strcmp(c->cap, "soft") && strcmp(c->cap, "hard"))
        return ctl_fail(-1, "--cap: %s: must be none, soft or hard", c->cap);
    return 0;
}

/* Whose and of what: `set` of a tenant of whom nothing is known yet wants --new, since a mistyped
 * name would never be noticed. */
static int check_names(PGconn *conn, const struct change *c)
{
    int unknown = known_check(conn, c->is_new ? NULL : c->tenant, c->metric, CTL_FAILED);

    if (unknown && !c->is_new && !c->unset)
        ctl_fail(unknown, "(limits of a tenant that is still to come: --new)");
    return unknown;
}

static int write_change(PGconn *conn, const struct change *c, int64_t *rows, struct err *e)
{
    const char *set[] = {c->tenant, c->metric, c->included, c->unlimited ? "true" : NULL, c->cap};
    int failed = c->unset ? db_run(conn, SQL_UNSET_LIMIT, 2, set, rows, e)
                          : db_run(conn, SQL_SET_LIMIT, 5, set, rows, e);

    return failed || db_run(conn, SQL_REFRESH_LIMITS, 1, &c->tenant, NULL, e) ? -1 : 0;
}

static int change(PGconn *conn, const struct change *c)
{
    struct err e;
    int64_t rows = 0;
    int unknown = check_names(conn, c);

    if (unknown)
        return unknown;
    if (db_script(conn, "BEGIN", &e) || db_run(conn, SQL_LOCK_LIMITS, 1, &c->tenant, NULL, &e) ||
        write_change(conn, c, &rows, &e) || db_script(conn, "COMMIT", &e))
        return ctl_fail(CTL_FAILED, "%s", e.text);
    if (rows == 0)
        return ctl_fail(CTL_FAILED, "%s has no such limit of its own: see `meterctl limits show`",
                        c->tenant);
    return show(conn, c->tenant, false, false);
}

static int run_change(const struct ctl_config *config, const struct change *c)
{
    struct err e;
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code = conn ? change(conn, c) : ctl_fail(CTL_FAILED, "%s", e.text);

    PQfinish(conn);
    return code;
}

int limits_set_run(const struct ctl_config *config, int argc, char **argv)
{
    struct change c = {0};
    const struct args_option options[] = {{"--included", &c.included, NULL},
                                          {"--cap", &c.cap, NULL},
                                          {"--unlimited", NULL, &c.unlimited},
                                          {"--new", NULL, &c.is_new},
                                          {NULL, NULL, NULL}};
    int plain = args_take(argc, argv, options);

    if (plain < 0)
        return CTL_USAGE;
    if (plain != 2)
        return ctl_fail(CTL_USAGE, "which limit? Say the tenant and the metric");
    c.tenant = argv[0];
    c.metric = argv[1];
    return check_set(&c) ? CTL_USAGE : run_change(config, &c);
}

int limits_unset_run(const struct ctl_config *config, int argc, char **argv)
{
    struct change c = {.unset = true};
    const struct args_option options[] = {{NULL, NULL, NULL}};
    int plain = args_take(argc, argv, options);

    if (plain < 0)
        return CTL_USAGE;
    if (plain < 1 || plain > 2)
        return ctl_fail(CTL_USAGE, "which limit? Say the tenant, or the tenant and the metric");
    c.tenant = argv[0];
    c.metric = plain == 2 ? argv[1] : NULL;
    return run_change(config, &c);
}
