/* meterctl subscriptions: what tenants have subscribed to, as Stripe last told. */
#include "common/str.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/terminal/table.h"

#include <stdio.h>
#include <string.h>

enum { LIST_MAX = 100000 };
#define LIST_DEFAULT "50"

static const struct table_column LISTED[] = {
    {"subscription", TABLE_NAME}, {"tenant", TABLE_NAME},     {"plan", TABLE_NAME},
    {"status", TABLE_TEXT},       {"quantity", TABLE_NUMBER}, {"period_end", TABLE_TEXT},
    {"cancel_at", TABLE_TEXT},    {NULL, TABLE_TEXT}};
static const struct table_column WIDE[] = {
    {"subscription", TABLE_NAME}, {"tenant", TABLE_NAME},     {"customer", TABLE_NAME},
    {"plan", TABLE_NAME},         {"status", TABLE_TEXT},     {"quantity", TABLE_NUMBER},
    {"currency", TABLE_TEXT},     {"interval", TABLE_TEXT},   {"started_at", TABLE_TEXT},
    {"trial_end", TABLE_TEXT},    {"period_end", TABLE_TEXT}, {"cancel_at", TABLE_TEXT},
    {"ended_at", TABLE_TEXT},     {NULL, TABLE_TEXT}};
static const struct table_column ITEMS[] = {
    {"item", TABLE_NAME},          {"metric", TABLE_NAME},   {"quantity", TABLE_NUMBER},
    {"unit_amount", TABLE_NUMBER}, {"currency", TABLE_TEXT}, {"lookup_key", TABLE_NAME},
    {"price", TABLE_NAME},         {NULL, TABLE_TEXT}};

struct asked {
    const char *status; /* these: NULL: of any */
    const char *plan;
    const char *tenant;
    const char *limit;
    const char *name; /* of the subscription or the tenant to show */
    bool json, wide;
};

static int check_status(const char *status)
{
    static const char *const STATUSES[] = {
        "incomplete", "incomplete_expired", "trialing", "active", "past_due", "unpaid", "paused",
        "canceled"};
    struct buf list = {0};
    size_t n = sizeof STATUSES / sizeof STATUSES[0];
    for (size_t i = 0; i < n; i++) {
        if (!status || strcmp(status, STATUSES[i]) == 0) {
            buf_done(&list);
            return 0;
        }
        buf_printf(&list, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", STATUSES[i]);
    }
    ctl_fail(-1, "--status must be %s, not %s", list.data, status);
    buf_done(&list);
    return -1;
}

static int list(PGconn *conn, void *owner)
{
    const struct asked *a = owner;
    const char *values[] = {a->status, a->plan, a->tenant, a->limit};
    const struct table_view view = {"subscriptions, the newest first",
                                    "there is no such subscription", a->wide ? WIDE : LISTED,
                                    a->wide};
    struct err e;
    int code = names_check(conn, a->tenant, NULL, CTL_FAILED);
    if (code == CTL_DONE)
        code = names_check_plan(conn, a->plan, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    json_t *rows = json_array();
    if (report_query(rows, conn, SQL_LIST_SUBSCRIPTIONS, 4, values, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    else
        table_show(rows, a->json, view);
    json_decref(rows);
    return code;
}

int subscriptions_list_run(const struct ctl_config *config, int argc, char **argv)
{
    int64_t limit;
    struct asked a = {.limit = LIST_DEFAULT};
    const struct args_option options[] = {{"--status", &a.status, NULL},
                                          {"--plan", &a.plan, NULL},
                                          {"--tenant", &a.tenant, NULL},
                                          {"--limit", &a.limit, NULL},
                                          {"--json", NULL, &a.json},
                                          {"--wide", NULL, &a.wide},
                                          {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options) ||
        args_whole("--limit", a.limit, 1, LIST_MAX, &limit) || check_status(a.status))
        return CTL_USAGE;
    return ctl_with_database(config, CTL_FAILED, list, &a);
}

/* Those of one subscription; with JSON as its member. */
static json_t *items_of(const json_t *all, const json_t *subscription)
{
    size_t i;
    json_t *item;
    json_t *own = json_array();
    json_array_foreach(all, i, item)
    {
        if (!json_equal(json_object_get(item, "subscription"),
                        json_object_get(subscription, "subscription")))
            continue;
        json_t *copy = json_copy(item);
        json_object_del(copy, "subscription");
        json_array_append_new(own, copy);
    }
    return own;
}

static void print_all(const struct asked *a, json_t *rows, const json_t *items)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        json_t *own = items_of(items, row);
        if (a->json) {
            json_object_set_new(row, "items", own);
            continue;
        }
        if (i > 0)
            puts("");
        report_print_entry(row);
        puts("");
        table_print("items", own, ITEMS, a->wide);
        json_decref(own);
    }
    if (a->json)
        report_print_json(rows);
}

static int show(PGconn *conn, void *owner)
{
    const struct asked *a = owner;
    struct err e;
    int code = CTL_DONE;
    json_t *rows = json_array();
    json_t *items = json_array();
    if (strncmp(a->name, "sub_", 4) != 0)
        code = names_check(conn, a->name, NULL, CTL_FAILED);
    if (code == CTL_DONE &&
        (report_query(rows, conn, SQL_SHOW_SUBSCRIPTIONS, 1, &a->name, &e) ||
         report_query(items, conn, SQL_SHOW_SUBSCRIPTION_ITEMS, 1, &a->name, &e)))
        code = ctl_fail_err(CTL_FAILED, &e);
    else if (code == CTL_DONE && json_array_size(rows) == 0)
        code =
            ctl_fail(CTL_FAILED, "no event of Stripe's ever told of a subscription of %s", a->name);
    if (code == CTL_DONE)
        print_all(a, rows, items);
    json_decref(items);
    json_decref(rows);
    return code;
}

int subscriptions_show_run(const struct ctl_config *config, int argc, char **argv)
{
    struct asked a = {0};
    const struct args_option options[] = {
        {"--json", NULL, &a.json}, {"--wide", NULL, &a.wide}, {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 1, 1) < 0)
        return CTL_USAGE;
    a.name = argv[0];
    return ctl_with_database(config, CTL_FAILED, show, &a);
}
