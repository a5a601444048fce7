#include "ctl/submissions/submissions.h"

#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <assert.h>
#include <string.h>

const struct submission_state SUBMISSION_STATES[] = {
    {"pending", "the sink is about to send it"},
    {"sending", "it is under way"},
    {"sent", "Stripe has it"},
    {"held", "the sink holds it back"},
    {"failed", "`meterctl submissions retry` has its quantity claimed anew"},
    {"in_doubt", "reconciliation decides, never a person: see `meterctl reconcile`"},
    {"late",
     "its invoice is final, or Stripe takes nothing so old: `meterctl late carry` or `drop`"},
    {"void", "its quantity was given back, to be claimed anew"},
    {NULL, NULL}};

const char *submission_meaning(const char *state)
{
    const struct submission_state *s = SUBMISSION_STATES;

    while (s->name && strcmp(s->name, state) != 0)
        s++;
    assert(s->name);
    return s->meaning;
}

json_t *submissions_read(PGconn *conn, const char *const values[7], struct err *e)
{
    PGresult *r = db_query(conn, SQL_LIST_SUBMISSIONS, 7, values, e);

    if (!r)
        return NULL;
    json_t *rows = json_array();
    report_add_rows(rows, r);
    PQclear(r);
    return rows;
}
