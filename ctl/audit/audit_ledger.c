/* The ledger against itself, in one snapshot: epochs that ended, the chain of batches with their
 * raw events, repeats and rejected entries, what waits to be folded, totals, what was carried over,
 * minutes, claims, values, and what was aggregated against what is billed or visibly waits.
 */
#include "common/sql.h"
#include "ctl/audit/audit.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <string.h>

/* What a row that a check finds means. */
enum meaning {
    IS_FAULT,      /* each row is a fault */
    IS_FAULT_THEN, /* each row is a fault; $1: all that was added before this time is counted, NULL:
                      not known */
    IS_BALANCE     /* a fault only where its difference is not 0 */
};

static const struct check_step {
    const char *name;  /* of the array in the report */
    const char *words; /* what its lines begin with; NULL: shown elsewhere */
    const char *sql;
    enum meaning meaning;
    /* A check that SQL alone cannot make, or NULL. Adds to findings. */
    int (*run)(PGconn *conn, json_t *findings, struct err *e);
} CHECKS[] = {
    {"epochs", NULL, SQL_AUDIT_EPOCHS, IS_BALANCE, NULL},
    {"raw_events", "audit", SQL_AUDIT_RAW, IS_FAULT, NULL},
    {"rejected_rows", "audit", SQL_AUDIT_REJECTED, IS_FAULT, NULL},
    {"dropped", "audit dropped", SQL_AUDIT_DROPPED, IS_FAULT, NULL},
    {"chain", "audit chain", SQL_AUDIT_CHAIN, IS_FAULT, NULL},
    {"outcomes", "audit outcomes", SQL_AUDIT_OUTCOMES, IS_FAULT, NULL},
    {"strangers", "audit batch", SQL_AUDIT_STRANGERS, IS_FAULT, NULL},
    {"batches", "audit batch", NULL, IS_FAULT, audit_batches},
    {"repeats", "audit batch", SQL_AUDIT_REPEATS, IS_FAULT, NULL},
    {"rejects", "audit rejected", SQL_AUDIT_REJECTS, IS_FAULT, NULL},
    {"replayed", "audit rejected", SQL_AUDIT_REPLAYED, IS_FAULT_THEN, NULL},
    {"pending", "audit pending", SQL_AUDIT_PENDING, IS_FAULT, NULL},
    {"recounts", "audit recount", SQL_AUDIT_RECOUNTS, IS_FAULT, NULL},
    {"totals", "audit total", SQL_AUDIT_TOTALS, IS_FAULT, NULL},
    {"carried", "audit total", SQL_AUDIT_CARRIED, IS_FAULT, NULL},
    {"minutes", "audit minute", SQL_AUDIT_MINUTES, IS_FAULT, NULL},
    {"claims", "audit claim", SQL_AUDIT_CLAIMS, IS_FAULT, NULL},
    {"values", "audit value", SQL_AUDIT_VALUES, IS_FAULT, NULL},
    {"versions", "audit version", SQL_AUDIT_VERSIONS, IS_FAULT, NULL},
    {"submissions", "audit submission", NULL, IS_FAULT, audit_submissions},
    {"states", "audit submission", SQL_AUDIT_STATES, IS_FAULT, NULL},
    {"numbers", "audit claims", SQL_AUDIT_NUMBERS, IS_FAULT, NULL},
    {"customers", "audit customer", SQL_AUDIT_CUSTOMERS, IS_FAULT, NULL},
    {"metrics", "audit metric", SQL_AUDIT_METRICS, IS_FAULT, NULL},
    {"billing", "audit billing", SQL_AUDIT_BILLING, IS_BALANCE, NULL},
};

enum { CHECK_COUNT = sizeof CHECKS / sizeof CHECKS[0] };

/* As db_begin_snapshot, but read only. */
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
        if (meaning != IS_BALANCE ||
            !is_zero(json_object_get(json_array_get(findings, i), "difference")))
            return true;
    return false;
}

static int run_check(PGconn *conn, const struct check_step *check, json_t *report, bool *balanced,
                     struct err *e)
{
    const char *until = json_string_value(json_object_get(report, "counted_until"));
    json_t *findings = json_array();
    json_object_set_new(report, check->name, findings);
    if (check->run
            ? check->run(conn, findings, e)
            : report_query(findings, conn, check->sql, check->meaning == IS_FAULT_THEN, &until, e))
        return err_wrap(e, "postgres: check %s", check->name);
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
    json_t *attention = json_array();
    int failed = report_query(attention, conn, SQL_AUDIT_ATTENTION, 0, NULL, e);
    json_object_set(report, "attention", json_array_get(attention, 0));
    json_decref(attention);
    if (failed)
        return err_wrap(e, "postgres: what waits for a person");
    return db_script(conn, "COMMIT", e) ? err_wrap(e, "postgres") : 0;
}

void audit_ledger_print(const json_t *report)
{
    for (int i = 0; i < CHECK_COUNT; i++)
        if (CHECKS[i].words)
            report_print_lines(CHECKS[i].words, json_object_get(report, CHECKS[i].name));
}
