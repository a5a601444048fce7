/* meterctl customers: which customer at Stripe a tenant is billed by. Where two claim a tenant, a
 * person decides. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/terminal/table.h"

#include <stdio.h>
#include <string.h>

static const struct table_column LISTED[] = {
    {"tenant", TABLE_NAME}, {"customer", TABLE_NAME},        {"state", TABLE_TEXT},
    {"email", TABLE_NAME},  {"subscriptions", TABLE_NUMBER}, {"others", TABLE_NAME},
    {NULL, TABLE_TEXT}};
static const struct table_column SHOWN[] = {{"customer", TABLE_NAME},     {"state", TABLE_TEXT},
                                            {"email", TABLE_NAME},        {"named_by", TABLE_TEXT},
                                            {"plan", TABLE_NAME},         {"status", TABLE_TEXT},
                                            {"subscription", TABLE_NAME}, {NULL, TABLE_TEXT}};

struct view {
    const char *sql;
    const char *value; /* of its one parameter */
    bool json;
    struct table_view table;
};

static int show(PGconn *conn, void *owner)
{
    const struct view *v = owner;
    struct err e;
    int code = CTL_DONE;
    json_t *rows = json_array();
    if (report_query(rows, conn, v->sql, 1, &v->value, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    else
        table_show(rows, v->json, v->table);
    json_decref(rows);
    return code;
}

int customers_list_run(const struct ctl_config *config, int argc, char **argv)
{
    bool contested = false;
    struct view v = {.sql = SQL_LIST_CUSTOMERS,
                     .table = {"customers; others name the same tenant",
                               "no tenant has such a customer at Stripe", LISTED, false}};
    const struct args_option options[] = {{"--contested", NULL, &contested},
                                          {"--json", NULL, &v.json},
                                          {"--wide", NULL, &v.table.wide},
                                          {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options))
        return CTL_USAGE;
    v.value = contested ? "true" : "false";
    return ctl_with_database(config, CTL_FAILED, show, &v);
}

/* Either of the two names. */
static int show_of(PGconn *conn, void *owner)
{
    const struct view *v = owner;
    if (strncmp(v->value, "cus_", 4) != 0) {
        int code = names_check(conn, v->value, NULL, CTL_FAILED);
        if (code != CTL_DONE)
            return code;
    }
    return show(conn, owner);
}

static struct view view_of(const char *name)
{
    return (struct view){
        .sql = SQL_SHOW_CUSTOMERS,
        .value = name,
        .table = {"customers of the tenant, the one that is billed first; a line each subscription",
                  "no customer at Stripe that we heard of", SHOWN, false}};
}

int customers_show_run(const struct ctl_config *config, int argc, char **argv)
{
    struct view v = view_of(NULL);
    const struct args_option options[] = {
        {"--json", NULL, &v.json}, {"--wide", NULL, &v.table.wide}, {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 1, 1) < 0)
        return CTL_USAGE;
    v.value = argv[0];
    return ctl_with_database(config, CTL_FAILED, show_of, &v);
}

/* Moving. */

struct move {
    const char *tenant;
    const char *customer;
    bool json, yes;
    bool refused; /* … and it was told why */
    bool is_billed;
    int others; /* standing subscriptions of other customers */
};

enum { TENANT, IS_DELETED, IS_BILLED, OTHERS }; /* columns of find_customer.sql */

static int check_found(struct move *m, const PGresult *r)
{
    if (PQntuples(r) == 0)
        return ctl_fail(-1, "no event of Stripe's ever told of the customer %s", m->customer);
    const char *tenant = db_text(r, 0, TENANT);
    if (strcmp(tenant, m->tenant) != 0)
        return ctl_fail(-1,
                        *tenant ? "%s belongs to the tenant %s: set metadata.tenant of the "
                                  "customer to %s at Stripe first"
                                : "nothing says whose %s is%s: set metadata.tenant of the "
                                  "customer to %s at Stripe first",
                        m->customer, tenant, m->tenant);
    if (*db_text(r, 0, IS_DELETED) == 't')
        return ctl_fail(-1, "%s was deleted at Stripe, so nothing can be billed by it",
                        m->customer);
    m->is_billed = *db_text(r, 0, IS_BILLED) == 't';
    m->others = db_text(r, 0, OTHERS)[0] != '0';
    return 0;
}

static int write_move(PGconn *conn, void *owner, struct err *e)
{
    struct move *m = owner;
    const char *values[] = {m->tenant, m->customer};
    if (db_run(conn, SQL_LOCK_QUOTA, 1, values, NULL, e))
        return -1;
    PGresult *r = db_query(conn, SQL_FIND_CUSTOMER, 2, values, e);
    if (!r)
        return -1;
    m->refused = check_found(m, r) != 0;
    PQclear(r);
    if (m->refused || !m->yes || m->is_billed)
        return 0;
    if (db_run(conn, SQL_MOVE_CUSTOMER, 2, values, NULL, e) ||
        db_run(conn, SQL_CHOOSE_CUSTOMER, 1, values, NULL, e))
        return -1;
    return db_run(conn, SQL_REFRESH_QUOTA, 1, values, NULL, e);
}

static int move(PGconn *conn, void *owner)
{
    struct move *m = owner;
    struct err e;
    struct view v = view_of(m->tenant);
    int code = names_check(conn, m->tenant, NULL, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    if (db_transaction(conn, write_move, m, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    if (m->refused)
        return CTL_FAILED;
    v.json = m->json;
    code = show(conn, &v);
    if (code == CTL_DONE && !m->yes && !m->is_billed)
        return ctl_fail(CTL_FAILED,
                        "nothing was changed: add --yes to bill %s by %s from now on; what was "
                        "sent to another customer stays there",
                        m->tenant, m->customer);
    if (m->others)
        fprintf(stderr,
                "note: another customer of %s still has a subscription: end it at Stripe, or it "
                "goes on being charged\n",
                m->tenant);
    return code;
}

int customers_move_run(const struct ctl_config *config, int argc, char **argv)
{
    struct move m = {0};
    const struct args_option options[] = {
        {"--yes", NULL, &m.yes}, {"--json", NULL, &m.json}, {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 2, 2) < 0)
        return CTL_USAGE;
    m.tenant = argv[0];
    m.customer = argv[1];
    return ctl_with_database(config, CTL_FAILED, move, &m);
}
