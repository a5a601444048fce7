/* meterctl doctor: is everything that meterline needs in order? It only reads. This file checks
 * PostgreSQL with its schema, roles and catalog, Redis, and the stages that run. */
#include "ctl/doctor/doctor.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/redis/redis.h"
#include "common/str.h"
#include "ctl/args.h"
#include "ctl/db.h"
#include "ctl/migrate/migrate.h"
#include "ctl/redis_ask.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REDIS_TIMEOUT_MS = 5000, CLOCK_MAX_MS = 2000 };

static void judge_clock(struct doctor *d, const char *check, int64_t offset_ms)
{
    if (offset_ms > CLOCK_MAX_MS || offset_ms < -CLOCK_MAX_MS)
        doctor_say(d, DOCTOR_BAD, check,
                   "differs from this machine's by %" PRId64
                   " ms: have both follow the same time server",
                   offset_ms);
    else
        doctor_say(d, DOCTOR_OK, check, "within %d s of this machine's", CLOCK_MAX_MS / 1000);
}

/* The stages by their heartbeats: does one of each run, is it ready, and are all of one version? */

/* Columns of status_instances.sql. */
enum { STAGE, INSTANCE, STATE, BUILD, AGE_S, UP_S, READY, REASON };

static bool is(const PGresult *r, int row, int column, const char *text)
{
    return strcmp(db_text(r, row, column), text) == 0;
}

/* An instance that is `gone` was replaced. A stage that is ready may still have a reason: what
 * it holds back. */
static void judge_instance(struct doctor *d, const PGresult *r, int row)
{
    const char *stage = db_text(r, row, STAGE);
    const char *instance = db_text(r, row, INSTANCE);
    const char *reason = PQgetvalue(r, row, REASON); /* "" for none */
    if (is(r, row, STATE, "missing"))
        doctor_say(d, DOCTOR_WARN, stage,
                   "does not run: start meterline-%s (one with --once is not seen)", stage);
    else if (is(r, row, STATE, "silent"))
        doctor_say(d, DOCTOR_BAD, stage,
                   "%s: no heartbeat for %" PRId64 " s: it died, or does not reach PostgreSQL: "
                   "see its log, and start it again",
                   instance, db_i64(r, row, AGE_S));
    else if (is(r, row, STATE, "not_ready"))
        doctor_say(d, DOCTOR_BAD, stage, "%s runs but is not ready: %s", instance, reason);
    else if (is(r, row, STATE, "ready"))
        doctor_say(d, *reason ? DOCTOR_WARN : DOCTOR_OK, stage, "%s runs and is ready%s%s",
                   instance, *reason ? ": " : "", reason);
}

static void judge_versions(struct doctor *d, const PGresult *r)
{
    struct buf others = {0};
    int running = 0;
    for (int row = 0; row < PQntuples(r); row++) {
        bool runs = is(r, row, STATE, "ready") || is(r, row, STATE, "not_ready");
        running += runs;
        if (runs && !is(r, row, BUILD, METERLINE_VERSION))
            buf_printf(&others, "%s%s %s is %s", others.length ? ", " : "", db_text(r, row, STAGE),
                       db_text(r, row, INSTANCE), db_text(r, row, BUILD));
    }
    if (others.length > 0)
        doctor_say(d, DOCTOR_WARN, "versions",
                   "meterctl is %s, but %s: install the same version everywhere", METERLINE_VERSION,
                   others.data);
    else if (running > 0)
        doctor_say(d, DOCTOR_OK, "versions", "all that run have version %s, like meterctl",
                   METERLINE_VERSION);
    buf_done(&others);
}

static void ask_stages(struct doctor *d, PGconn *conn)
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

/* PostgreSQL. */

enum { VERSION, OFFSET_MS, FSYNC, SYNCHRONOUS_COMMIT, STANDBY, PID, LOGIN, IS_SUPERUSER };

static void judge_schema(struct doctor *d, int64_t version)
{
    if (version == SCHEMA_VERSION)
        doctor_say(d, DOCTOR_OK, "schema", "version %d", SCHEMA_VERSION);
    else
        doctor_say(d, DOCTOR_BAD, "schema", "version %" PRId64 ", this build has %d: %s", version,
                   SCHEMA_VERSION,
                   version < SCHEMA_VERSION ? "run `meterctl migrate`" : "use a newer build");
}

static void judge_functions(struct doctor *d, PGconn *conn)
{
    struct err e;
    int stale = functions_count_stale(conn, &e);
    if (stale < 0)
        doctor_say(d, DOCTOR_BAD, "schema", "%s (run `meterctl migrate`)", e.text);
    else if (stale > 0)
        doctor_say(d, DOCTOR_BAD, "schema",
                   "%d functions differ from this build's: run `meterctl migrate`", stale);
}

static void judge_server(struct doctor *d, const PGresult *r)
{
    if (*db_text(r, 0, STANDBY) == 't')
        doctor_say(d, DOCTOR_BAD, "postgres",
                   "this server is a standby: DATABASE_URL must lead to the primary");
    else if (is(r, 0, FSYNC, "off"))
        doctor_say(d, DOCTOR_BAD, "postgres",
                   "fsync is off, so a crash may destroy the database: turn it on");
    else if (is(r, 0, SYNCHRONOUS_COMMIT, "off"))
        doctor_say(
            d, DOCTOR_WARN, "postgres",
            "synchronous_commit is off by default; meterline turns it on for its own transactions");
    else
        doctor_say(d, DOCTOR_OK, "postgres", "answers; the login is %s%s", db_text(r, 0, LOGIN),
                   *db_text(r, 0, IS_SUPERUSER) == 't' ? ", a superuser" : "");
}

/* libpq was told a server process id at connect; a pooler tells one of its own. Since a
 * transaction got this far, the pooler's mode is not `statement`. */
static void judge_pooler(struct doctor *d, PGconn *conn, const PGresult *r)
{
    if (db_i64(r, 0, PID) == PQbackendPID(conn))
        doctor_say(d, DOCTOR_OK, "pooler", "none: the connection is PostgreSQL's own");
    else
        doctor_say(d, DOCTOR_OK, "pooler",
                   "there is one, in session or transaction mode, which is fine");
}

static void judge_roles(struct doctor *d, const PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        if (*db_text(r, i, 1) != 't')
            doctor_say(d, DOCTOR_BAD, "roles", "%s is missing: run `meterctl migrate`",
                       db_text(r, i, 0));
        else if (db_i64(r, i, 2) == 0)
            doctor_say(d, DOCTOR_WARN, "roles",
                       "no login has the role %s, so only superusers can use it: GRANT %s TO a "
                       "login of that stage",
                       db_text(r, i, 0), db_text(r, i, 0));
        else
            doctor_say(d, DOCTOR_OK, "roles", "%s: %" PRId64 " logins", db_text(r, i, 0),
                       db_i64(r, i, 2));
    }
}

static json_t *read_list(struct doctor *d, PGconn *conn, const char *sql)
{
    struct err e;
    json_t *list = json_array();
    if (report_query(list, conn, sql, 0, NULL, &e) == 0)
        return list;
    doctor_say(d, DOCTOR_BAD, "catalog", "%s", e.text);
    json_decref(list);
    return NULL;
}

static void ask_database(struct doctor *d, PGconn *conn)
{
    char now[24];
    const char *values[] = {now};
    struct err e;
    snprintf(now, sizeof now, "%" PRId64, clock_unix_ms());
    PGresult *r = db_query(conn, SQL_DOCTOR_DATABASE, 1, values, &e);
    if (!r) {
        doctor_say(d, DOCTOR_BAD, "schema", "%s (run `meterctl migrate`)", e.text);
        return;
    }
    judge_server(d, r);
    judge_pooler(d, conn, r);
    judge_schema(d, db_i64(r, 0, VERSION));
    if (db_i64(r, 0, VERSION) == SCHEMA_VERSION)
        judge_functions(d, conn);
    judge_clock(d, "clock of postgres", db_i64(r, 0, OFFSET_MS));
    PQclear(r);
    r = db_query(conn, SQL_DOCTOR_ROLES, 0, NULL, &e);
    if (r)
        judge_roles(d, r);
    PQclear(r);
    d->metrics = read_list(d, conn, SQL_DOCTOR_METRICS);
    d->plans = read_list(d, conn, SQL_DOCTOR_PLANS);
    if (d->metrics && json_array_size(d->metrics) == 0)
        doctor_say(
            d, DOCTOR_WARN, "catalog",
            "no metric is sent to a meter: load a catalog with `meterctl catalog apply FILE`");
    ask_stages(d, conn);
}

/* A pooler's `statement` mode answers single statements, and ends the connection at a BEGIN. */
static bool lacks_transactions(const char *url)
{
    PGconn *conn = PQconnectdb(url);
    PGresult *r = PQexec(conn, "select pg_backend_pid()");
    bool pooled = PQresultStatus(r) == PGRES_TUPLES_OK && db_i64(r, 0, 0) != PQbackendPID(conn);
    PQclear(r);
    r = pooled ? PQexec(conn, "begin") : NULL;
    bool lacks = pooled && PQresultStatus(r) != PGRES_COMMAND_OK;
    PQclear(r);
    PQfinish(conn);
    return lacks;
}

static void ask_postgres(struct doctor *d)
{
    struct err e;
    const char *url = d->config->base.database_url;
    PGconn *conn = db_open(url, CTL_ROLE, &e);
    if (conn)
        ask_database(d, conn);
    else if (lacks_transactions(url))
        doctor_say(d, DOCTOR_BAD, "pooler",
                   "there is one in statement mode, which has no transactions: set its pool_mode "
                   "to transaction");
    else
        doctor_say(d, DOCTOR_BAD, "postgres", "%s", e.text);
    PQfinish(conn);
}

/* Redis. */

/* A setting in a reply to CONFIG GET; NULL if it is not there. */
static const char *config_text(const redisReply *r, const char *name)
{
    const redisReply *value = redis_find(r, name);
    return value ? value->str : NULL;
}

static void judge_durability(struct doctor *d, const redisReply *r)
{
    static const char check[] = "redis durability";
    const char *policy = config_text(r, "maxmemory-policy");
    const char *append_only = config_text(r, "appendonly");
    const char *fsync = config_text(r, "appendfsync");
    if (!policy || !append_only || !fsync)
        doctor_say(d, DOCTOR_WARN, check,
                   "CONFIG GET is not allowed: make sure that appendonly is yes and "
                   "maxmemory-policy is noeviction");
    else if (strcmp(policy, "noeviction") != 0)
        doctor_say(d, DOCTOR_BAD, check,
                   "maxmemory-policy is %s, which deletes events when memory is full: set it to "
                   "noeviction",
                   policy);
    else if (strcmp(append_only, "yes") != 0)
        doctor_say(d, DOCTOR_BAD, check,
                   "appendonly is not yes, so a restart loses events: set appendonly yes");
    else if (strcmp(fsync, "always") != 0)
        doctor_say(d, DOCTOR_WARN, check,
                   "appendfsync is %s, so a power loss may lose the last second; set it to always "
                   "to prevent that",
                   fsync);
    else
        doctor_say(d, DOCTOR_OK, check, "appendonly yes, appendfsync always, noeviction");
}

static void ask_server(struct doctor *d, redisContext *redis)
{
    struct err e;
    int64_t now_ms;
    redisReply *role = redis_ask(redis, REDIS_REPLY_ARRAY, &e, "ROLE");
    if (!role) {
        doctor_say(d, DOCTOR_BAD, "redis", "ROLE: %s", e.text);
        return;
    }
    if (role->elements > 0 && strcmp(role->element[0]->str, "master") == 0)
        doctor_say(d, DOCTOR_OK, "redis", "answers");
    else
        doctor_say(d, DOCTOR_BAD, "redis",
                   "this server is a replica: REDIS_URL must lead to the master");
    freeReplyObject(role);
    redisReply *settings = redis_ask(redis, REDIS_REPLY_ARRAY, &e, "CONFIG GET *");
    judge_durability(d, settings);
    freeReplyObject(settings);
    if (redis_clock_ms(redis, &now_ms, &e) == 0)
        judge_clock(d, "clock of redis", now_ms - clock_unix_ms());
}

/* In a cluster, each master is checked. */
static void ask_redis(struct doctor *d)
{
    struct err e = {0};
    redisContext *redis;
    for (int i = 0; (redis = redis_connect_blocking_master(d->config->base.redis_url, i,
                                                           REDIS_TIMEOUT_MS, &e));
         i++) {
        ask_server(d, redis);
        redisFree(redis);
    }
    if (e.kind != ERR_NONE)
        doctor_say(d, DOCTOR_BAD, "redis", "%s", e.text);
}

/* The command. */

int doctor_run(const struct ctl_config *config, int argc, char **argv)
{
    bool json = false;
    struct doctor d = {.config = config};
    const struct args_option options[] = {{"--json", NULL, &json}, {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options))
        return CTL_USAGE;
    d.rows = json_array();
    ask_postgres(&d);
    ask_redis(&d);
    doctor_ask_stripe(&d);
    if (json)
        report_print_json(d.rows);
    else
        doctor_print(&d);
    json_decref(d.rows);
    json_decref(d.metrics);
    json_decref(d.plans);
    return d.bad > 0 ? CTL_FAILED : CTL_DONE;
}
