/* meterctl catalog show: the catalog in force, in the form of its file. */
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/sql.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static int print_document(const char *text)
{
    json_error_t error;
    json_t *document = json_loads(text, 0, &error);
    if (!document)
        return ctl_fail(CTL_FAILED, "catalog: %s", error.text);
    json_dumpf(document, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(document);
    return CTL_DONE;
}

int catalog_show_run(const struct ctl_config *config, int argc, char **argv)
{
    struct err e;

    if (argc > 0)
        return ctl_fail(CTL_USAGE, "unknown argument: %s (see meterctl catalog show --help)",
                        argv[0]);
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    if (!conn)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    PGresult *catalog = db_query(conn, SQL_SHOW_CATALOG, 0, NULL, &e);
    int code =
        catalog ? print_document(db_text(catalog, 0, 0)) : ctl_fail(CTL_FAILED, "%s", e.text);
    PQclear(catalog);
    PQfinish(conn);
    return code;
}
