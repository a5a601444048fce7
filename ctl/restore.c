/* meterctl restore accept: after PostgreSQL came back from a backup and had lost commits, sinks
 * hold, since what they see may be less than what was billed. A person looks and lets them go on.
 */
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/sql.h"

#include <stdio.h>

static void print_lost(const PGresult *lost)
{
    for (int i = 0; i < PQntuples(lost); i++)
        if (db_text(lost, i, 1))
            printf("stream=%s epoch=%lld lost=%lld\n", db_text(lost, i, 1),
                   (long long)db_i64(lost, i, 2), (long long)db_i64(lost, i, 3));
}

static int clear_hold(PGconn *conn, const char *hold)
{
    struct err e;
    int64_t changed = 0;

    if (db_run(conn, SQL_CLEAR_SINK_HOLD, 1, &hold, &changed, &e))
        return ctl_fail(CTL_FAILED, "%s", e.text);
    if (changed == 0)
        return ctl_fail(CTL_FAILED, "more was lost meanwhile: look again");
    puts("accepted: sinks go on");
    return CTL_DONE;
}

static int accept_lost(PGconn *conn, const PGresult *lost, bool yes)
{
    if (db_i64(lost, 0, 0) == 0) {
        puts("sinks are not held");
        return CTL_DONE;
    }
    print_lost(lost);
    if (!yes)
        return ctl_fail(CTL_FAILED, "sinks are held. Compare every open period with Stripe, then "
                                    "say `meterctl restore accept --yes`");
    return clear_hold(conn, db_text(lost, 0, 0));
}

int restore_accept_run(const struct ctl_config *config, int argc, char **argv)
{
    struct err e;
    bool yes = false;

    if (ctl_take_flag(argc, argv, "--yes", &yes))
        return CTL_USAGE;
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    PGresult *lost = conn ? db_query(conn, SQL_READ_SINK_HOLD, 0, NULL, &e) : NULL;
    int code = lost ? accept_lost(conn, lost, yes) : ctl_fail(CTL_FAILED, "%s", e.text);
    PQclear(lost);
    PQfinish(conn);
    return code;
}
