/* meterctl lost list and accept: entries that Redis or PostgreSQL lost, and that nobody has any
 * more. They stay in the balance; a person notes to know of them, and the audit asks no more. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/terminal/table.h"

#include <stdio.h>

static const struct table_column COLUMNS[] = {
    {"stream", TABLE_NAME},      {"epoch", TABLE_NUMBER},     {"reason", TABLE_NOTE},
    {"until", TABLE_TEXT},       {"lost", TABLE_NUMBER},      {"accepted", TABLE_NUMBER},
    {"accepted_at", TABLE_TEXT}, {"accepted_by", TABLE_NAME}, {NULL, TABLE_TEXT}};

static json_t *read_list(PGconn *conn, struct err *e)
{
    PGresult *rows = db_query(conn, SQL_LIST_LOST, 0, NULL, e);
    if (!rows)
        return NULL;
    json_t *list = json_array();
    report_add_rows(list, rows);
    PQclear(rows);
    return list;
}

static int list_lost(PGconn *conn, bool json)
{
    struct err e;
    json_t *list = read_list(conn, &e);

    if (!list)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    if (json)
        report_print_json(list);
    else if (json_array_size(list) == 0)
        puts("nothing was lost");
    else
        table_print("lost entries", list, COLUMNS, false);
    json_decref(list);
    return CTL_DONE;
}

int lost_list_run(const struct ctl_config *config, int argc, char **argv)
{
    struct err e;
    bool json = false;

    if (ctl_take_flag(argc, argv, "--json", &json))
        return CTL_USAGE;
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code = conn ? list_lost(conn, json) : ctl_fail(CTL_FAILED, "%s", e.text);
    PQfinish(conn);
    return code;
}

/* Without yes it only tells what is left to accept. */
static bool tell_open(const json_t *list)
{
    bool any = false;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        if (json_integer_value(json_object_get(row, "lost")) <=
            json_integer_value(json_object_get(row, "accepted")))
            continue;
        report_print_line("lost", row);
        any = true;
    }
    return any;
}

static int ask(PGconn *conn)
{
    struct err e;
    json_t *list = read_list(conn, &e);

    if (!list)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    bool any = tell_open(list);
    json_decref(list);
    if (any)
        return ctl_fail(CTL_FAILED, "nothing was noted: say --yes to accept that these are lost");
    puts("nothing to accept");
    return CTL_DONE;
}

static int accept(PGconn *conn)
{
    struct err e;
    PGresult *rows = db_query(conn, SQL_ACCEPT_LOST, 0, NULL, &e);

    if (!rows)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    json_t *list = json_array();
    report_add_rows(list, rows);
    for (size_t i = 0; i < json_array_size(list); i++)
        report_print_line("accepted", json_array_get(list, i));
    if (json_array_size(list) == 0)
        puts("nothing to accept");
    json_decref(list);
    PQclear(rows);
    return CTL_DONE;
}

int lost_accept_run(const struct ctl_config *config, int argc, char **argv)
{
    struct err e;
    bool yes = false;

    if (ctl_take_flag(argc, argv, "--yes", &yes))
        return CTL_USAGE;
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code = !conn ? ctl_fail(CTL_FAILED, "%s", e.text) : yes ? accept(conn) : ask(conn);
    PQfinish(conn);
    return code;
}
