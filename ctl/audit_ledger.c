/* The ledger against itself, in one snapshot: epochs that ended, raw events, rejected entries,
 * totals, what was carried over, minutes, claims, values, and what was aggregated against what is
 * billed or visibly waits.
 */
#include "common/sql.h"
#include "ctl/audit.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <string.h>

/* What a row of the check means. */
enum meaning {
    IS_FAULT,  /* each row is a fault */
    IS_BALANCE /* a fault only where its difference is not 0 */
};

static const struct check_step {
    const char *name;  /* of the array in the report */
    const char *words; /* that its lines begin with; NULL: shown elsewhere */
    const char *sql;
    enum meaning meaning;
} CHECKS[] = {
    {"epochs", NULL, SQL_AUDIT_EPOCHS, IS_BALANCE},
    {"raw_events", "audit", SQL_AUDIT_RAW, IS_FAULT},
    {"rejected_rows", "audit", SQL_AUDIT_REJECTED, IS_FAULT},
    {"totals", "audit total", SQL_AUDIT_TOTALS, IS_FAULT},
    {"carried", "audit total", SQL_AUDIT_CARRIED, IS_FAULT},
    {"minutes", "audit minute", SQL_AUDIT_MINUTES, IS_FAULT},
    {"claims", "audit claim", SQL_AUDIT_CLAIMS, IS_FAULT},
    {"values", "audit value", SQL_AUDIT_VALUES, IS_FAULT},
    {"billing", "audit billing", SQL_AUDIT_BILLING, IS_BALANCE},
};

enum { CHECK_COUNT = sizeof CHECKS / sizeof CHECKS[0] };

/* Partitions cannot be dropped while we look: the lock comes before the snapshot, so that what
 * retention dropped and what it tallied are seen together. */
static const char BEGIN_TEXT[] = "begin isolation level repeatable read read only;"
                                 "set local role " CTL_ROLE ";"
                                 "lock table public.usage_batches in access share mode";

static bool is_zero(const json_t *difference)
{
    const char *text = json_string_value(difference);

    return text ? strcmp(text, "0") == 0 : json_integer_value(difference) == 0;
}

static bool holds_fault(const json_t *findings, enum meaning meaning)
{
    for (size_t i = 0; i < json_array_size(findings); i++)
        if (meaning == IS_FAULT ||
            !is_zero(json_object_get(json_array_get(findings, i), "difference")))
            return true;
    return false;
}

static int run_check(PGconn *conn, const struct check_step *check, json_t *report, bool *balanced,
                     struct err *e)
{
    json_t *findings = json_array();
    PGresult *rows = db_query(conn, check->sql, 0, NULL, e);

    json_object_set_new(report, check->name, findings);
    if (!rows)
        return err_wrap(e, "postgres: check %s", check->name);
    report_add_rows(findings, rows);
    PQclear(rows);
    if (holds_fault(findings, check->meaning))
        *balanced = false;
    return 0;
}

int audit_ledger(PGconn *conn, json_t *report, bool *balanced, struct err *e)
{
    if (db_script(conn, BEGIN_TEXT, e))
        return err_wrap(e, "postgres");
    for (int i = 0; i < CHECK_COUNT; i++)
        if (run_check(conn, &CHECKS[i], report, balanced, e))
            return -1;
    return db_script(conn, "COMMIT", e) ? err_wrap(e, "postgres") : 0;
}

void audit_ledger_print(const json_t *report)
{
    for (int i = 0; i < CHECK_COUNT; i++) {
        const json_t *findings = json_object_get(report, CHECKS[i].name);
        for (size_t k = 0; CHECKS[i].words && k < json_array_size(findings); k++)
            report_print_line(CHECKS[i].words, json_array_get(findings, k));
    }
}
