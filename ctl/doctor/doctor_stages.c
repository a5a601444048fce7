/* The stages by their heartbeats: is there one of each, is it ready, and are all of one version? */
#include "common/contract.h"
#include "common/str.h"
#include "ctl/db.h"
#include "ctl/doctor/doctor.h"
#include "ctl/sql.h"

#include <inttypes.h>
#include <string.h>

/* Columns of status_instances.sql. */
enum { STAGE, INSTANCE, STATE, BUILD, AGE_S, UP_S, READY, REASON };

static bool is(const PGresult *r, int row, int column, const char *text)
{
    return strcmp(db_text(r, row, column), text) == 0;
}

/* One that is gone has its successor. What holds a stage that is ready stands in its reason. */
static void judge_instance(struct doctor *d, const PGresult *r, int row)
{
    const char *stage = db_text(r, row, STAGE);
    const char *instance = db_text(r, row, INSTANCE);
    const char *reason = PQgetvalue(r, row, REASON); /* "" for none */
    if (is(r, row, STATE, "missing"))
        doctor_say(d, DOCTOR_WARN, stage,
                   "none runs: start meterline-%s (one with --once is not seen)", stage);
    else if (is(r, row, STATE, "silent"))
        doctor_say(d, DOCTOR_BAD, stage,
                   "%s: no heartbeat for %" PRId64 " s: it died, or does not reach PostgreSQL: "
                   "see its log, and start it again",
                   instance, db_i64(r, row, AGE_S));
    else if (is(r, row, STATE, "not_ready"))
        doctor_say(d, DOCTOR_BAD, stage, "%s runs, and is not ready: %s", instance, reason);
    else if (is(r, row, STATE, "ready"))
        doctor_say(d, *reason ? DOCTOR_WARN : DOCTOR_OK, stage, "%s runs and is ready%s%s",
                   instance, *reason ? ": " : "", reason);
}

static bool runs(const PGresult *r, int row)
{
    return is(r, row, STATE, "ready") || is(r, row, STATE, "not_ready");
}

static void judge_versions(struct doctor *d, const PGresult *r)
{
    struct buf others = {0};
    int running = 0;
    for (int row = 0; row < PQntuples(r); row++) {
        running += runs(r, row);
        if (runs(r, row) && !is(r, row, BUILD, METERLINE_VERSION))
            buf_printf(&others, "%s%s %s is %s", others.length ? ", " : "", db_text(r, row, STAGE),
                       db_text(r, row, INSTANCE), db_text(r, row, BUILD));
    }
    if (others.length > 0)
        doctor_say(d, DOCTOR_WARN, "versions", "meterctl is %s, but %s: bring all to one",
                   METERLINE_VERSION, others.data);
    else if (running > 0)
        doctor_say(d, DOCTOR_OK, "versions", "all that run are %s, as meterctl", METERLINE_VERSION);
    buf_done(&others);
}

void doctor_ask_stages(struct doctor *d, PGconn *conn)
{
    struct err e;
    PGresult *r = db_query(conn, SQL_STATUS_INSTANCES, 0, NULL, &e);
    if (!r) {
        doctor_say(d, DOCTOR_BAD, "stages", "%s", e.text);
        return;
    }
    for (int row = 0; row < PQntuples(r); row++)
        judge_instance(d, r, row);
    judge_versions(d, r);
    PQclear(r);
}
