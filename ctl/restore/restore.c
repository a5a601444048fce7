/* meterctl restore hold, accept: after PostgreSQL came back from a backup and had lost commits,
 * sinks hold, since what they see may be less than what was billed. A person looks and lets them go
 * on, once the ledger knows all that Stripe holds. Where sinks cannot tell (Redis came back from
 * the same moment), a person holds them. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/restore/restore_run.h"
#include "ctl/sql.h"
#include "ctl/submissions/stripe_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_lost(const PGresult *lost)
{
    const char *why = db_text(lost, 0, 4);
    const char *text = "PostgreSQL is another one or was restored, and Redis, which would tell "
                       "whether anything is missing, was empty";
    if (strcmp(why, "behind") == 0)
        text = "PostgreSQL went back to before what Redis knows of, and may not know all that was "
               "sent";
    else if (strcmp(why, "asked") == 0)
        text = "somebody asked for it by `meterctl restore hold`";
    printf("sinks are held: why=%s: %s\n", why, text);
    for (int i = 0; i < PQntuples(lost); i++)
        if (db_text(lost, i, 1))
            printf("stream=%s epoch=%lld lost=%lld\n", db_text(lost, i, 1),
                   (long long)db_i64(lost, i, 2), (long long)db_i64(lost, i, 3));
}

struct lifting {
    const char *hold;
    int64_t lifted;
};

/* Losses that the audit asks for no more, and sinks go on with all. */
static int lift(PGconn *conn, void *owner, struct err *e)
{
    struct lifting *l = owner;
    if (db_run(conn, SQL_CLEAR_SINK_HOLD, 1, &l->hold, &l->lifted, e))
        return -1;
    if (l->lifted == 0)
        return 0;
    if (db_run(conn, SQL_RESTORE_END, 0, NULL, NULL, e))
        return -1;
    return db_run(conn, SQL_ACCEPT_LOST, 0, NULL, NULL, e);
}

static int clear_hold(PGconn *conn, const char *hold)
{
    struct lifting l = {.hold = hold};
    struct err e;
    if (db_transaction(conn, lift, &l, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    if (l.lifted == 0)
        return ctl_fail(CTL_FAILED, "more was lost meanwhile: run `meterctl restore accept` again "
                                    "without --yes to see what");
    puts("accepted: sinks go on");
    return CTL_DONE;
}

/* If nothing is billed, there is nothing to compare with Stripe; customers who come later are
 * compared then. */
static int reconcile_all(const struct ctl_config *config, PGconn *conn, const char *hold)
{
    struct err e;
    PGresult *r = db_query(conn, SQL_READ_BILLED, 0, NULL, &e);
    if (!r)
        return ctl_fail_err(CTL_FAILED, &e);
    bool billed = *db_text(r, 0, 0) == 't';
    PQclear(r);
    if (!billed)
        return CTL_DONE;
    int code = stripe_run_check(config);
    return code == CTL_DONE ? restore_run(config, conn, hold) : code;
}

static int end_checks(PGconn *conn)
{
    struct err e;
    int64_t left;
    if (db_run(conn, SQL_RESTORE_END, 0, NULL, NULL, &e) ||
        db_number(conn, SQL_RESTORE_COUNT_UNPROVEN, 0, NULL, &left, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    if (left > 0)
        return ctl_fail(CTL_UNCHECKED,
                        "usage of %" PRId64
                        " tenants is still not compared: Stripe has no meter for it, "
                        "or something of theirs is under way. Run it again later",
                        left);
    puts("accepted: sinks go on");
    return CTL_DONE;
}

/* After the restore was accepted, customers or event names turned up that the backup did not
 * know. */
static int accept_unproven(const struct ctl_config *config, PGconn *conn, bool yes)
{
    struct err e;
    int64_t tenants;
    if (db_number(conn, SQL_RESTORE_COUNT_UNPROVEN, 0, NULL, &tenants, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    if (tenants == 0) {
        puts("sinks are not held");
        return CTL_DONE;
    }
    if (!yes)
        return ctl_fail(CTL_FAILED,
                        "usage of %" PRId64 " tenants was not compared with Stripe since the "
                        "restore: sinks hold it, or will. `meterctl restore accept --yes` compares "
                        "it, and takes over what Stripe holds",
                        tenants);
    int code = stripe_run_check(config);
    if (code == CTL_DONE)
        code = restore_run(config, conn, "0");
    return code == CTL_DONE ? end_checks(conn) : code;
}

static int accept_lost(const struct ctl_config *config, PGconn *conn, const PGresult *lost,
                       bool yes)
{
    bool is_held = db_i64(lost, 0, 0) != 0;
    bool is_unseen = *db_text(lost, 0, 5) == 't';
    if (!is_held && is_unseen)
        return ctl_fail(CTL_FAILED,
                        "sinks are not held yet: PostgreSQL was started anew, and no sink has "
                        "compared it with Redis since. A sink that runs does so within seconds: "
                        "start one, then look again");
    if (!is_held)
        return accept_unproven(config, conn, yes);
    print_lost(lost);
    if (!yes)
        return ctl_fail(CTL_FAILED,
                        "nothing was changed. `meterctl restore accept --yes` takes over what "
                        "Stripe holds of every open period, and lets sinks go on");
    int code = reconcile_all(config, conn, db_text(lost, 0, 0));
    return code == CTL_DONE ? clear_hold(conn, db_text(lost, 0, 0)) : code;
}

struct accepting {
    const struct ctl_config *config;
    bool yes;
};

static int run_accept(PGconn *conn, void *owner)
{
    const struct accepting *a = owner;
    struct err e;
    PGresult *lost = db_query(conn, SQL_READ_SINK_HOLD, 0, NULL, &e);
    int code = lost ? accept_lost(a->config, conn, lost, a->yes) : ctl_fail_err(CTL_FAILED, &e);
    PQclear(lost);
    return code;
}

int restore_accept_run(const struct ctl_config *config, int argc, char **argv)
{
    struct accepting a = {.config = config};
    const struct args_option options[] = {{"--yes", NULL, &a.yes}, {NULL, NULL, NULL}};
    return args_parse_options(argc, argv, options)
               ? CTL_USAGE
               : ctl_with_database(config, CTL_FAILED, run_accept, &a);
}

static int hold(PGconn *conn, void *owner)
{
    struct err e;
    int64_t held = 0;
    (void)owner;
    if (db_run(conn, SQL_RESTORE_HOLD, 0, NULL, &held, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    puts(held > 0 ? "sinks are held" : "sinks are held already");
    return CTL_DONE;
}

int restore_hold_run(const struct ctl_config *config, int argc, char **argv)
{
    bool yes = false;
    const struct args_option options[] = {{"--yes", NULL, &yes}, {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options))
        return CTL_USAGE;
    if (!yes)
        return ctl_fail(CTL_FAILED,
                        "nothing was changed. `meterctl restore hold --yes` stops all sinks until "
                        "`meterctl restore accept` has compared each tenant with Stripe");
    return ctl_with_database(config, CTL_FAILED, hold, NULL);
}
