#include "common/clock.h"
#include "common/contract.h"
#include "common/redis/redis.h"
#include "ctl/db.h"
#include "ctl/doctor/doctor.h"
#include "ctl/migrate/migrate.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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
        doctor_say(d, DOCTOR_BAD, "schema", "%s (`meterctl migrate` makes it)", e.text);
    else if (stale > 0)
        doctor_say(d, DOCTOR_BAD, "schema",
                   "%d functions differ from this build's: run `meterctl migrate`", stale);
}

static bool is_off(const PGresult *r, int column)
{
    return strcmp(db_text(r, 0, column), "off") == 0;
}

static void judge_server(struct doctor *d, const PGresult *r)
{
    if (*db_text(r, 0, STANDBY) == 't')
        doctor_say(d, DOCTOR_BAD, "postgres",
                   "it is a standby: DATABASE_URL must lead to the primary");
    else if (is_off(r, FSYNC))
        doctor_say(d, DOCTOR_BAD, "postgres",
                   "fsync is off: a crash may lose or break everything; set it on");
    else if (is_off(r, SYNCHRONOUS_COMMIT))
        doctor_say(
            d, DOCTOR_WARN, "postgres",
            "synchronous_commit is off by default: the line sets it on for its own transactions");
    else
        doctor_say(d, DOCTOR_OK, "postgres", "answers, as %s%s", db_text(r, 0, LOGIN),
                   *db_text(r, 0, IS_SUPERUSER) == 't' ? ", a superuser" : "");
}

/* libpq was told the pid of whom it talks to: a pooler tells one of its own. That a transaction got
 * this far shows the mode, since `statement` has none. */
static void judge_pooler(struct doctor *d, PGconn *conn, const PGresult *r)
{
    if (db_i64(r, 0, PID) == PQbackendPID(conn))
        doctor_say(d, DOCTOR_OK, "pooler", "none: the connection is PostgreSQL's own");
    else
        doctor_say(
            d, DOCTOR_OK, "pooler",
            "one stands in between, and keeps transactions together (session or transaction mode)");
}

static void judge_roles(struct doctor *d, const PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        if (*db_text(r, i, 1) != 't')
            doctor_say(d, DOCTOR_BAD, "roles", "%s is missing: run `meterctl migrate`",
                       db_text(r, i, 0));
        else if (db_i64(r, i, 2) == 0)
            doctor_say(d, DOCTOR_WARN, "roles",
                       "only superusers may be %s: GRANT %s TO a login of its own",
                       db_text(r, i, 0), db_text(r, i, 0));
        else
            doctor_say(d, DOCTOR_OK, "roles", "%s: %" PRId64 " logins", db_text(r, i, 0),
                       db_i64(r, i, 2));
    }
}

static json_t *read_list(struct doctor *d, PGconn *conn, const char *sql)
{
    struct err e;
    PGresult *r = db_query(conn, sql, 0, NULL, &e);

    if (!r) {
        doctor_say(d, DOCTOR_BAD, "catalog", "%s", e.text);
        return NULL;
    }
    json_t *list = json_array();
    report_add_rows(list, r);
    PQclear(r);
    return list;
}

static void ask_database(struct doctor *d, PGconn *conn)
{
    char now[24];
    const char *values[] = {now};
    struct err e;

    snprintf(now, sizeof now, "%" PRId64, clock_unix_ms());
    PGresult *r = db_query(conn, SQL_DOCTOR_DATABASE, 1, values, &e);
    if (!r) {
        doctor_say(d, DOCTOR_BAD, "schema", "%s (`meterctl migrate` makes it)", e.text);
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
        doctor_say(d, DOCTOR_WARN, "catalog",
                   "no metric goes to a meter: `meterctl catalog apply FILE`");
    doctor_ask_stages(d, conn);
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

void doctor_ask_postgres(struct doctor *d)
{
    struct err e;
    const char *url = d->config->base.database_url;
    PGconn *conn = db_open(url, CTL_ROLE, &e);

    if (conn)
        ask_database(d, conn);
    else if (lacks_transactions(url))
        doctor_say(d, DOCTOR_BAD, "pooler",
                   "one stands in between in statement mode, which has no transactions: set its "
                   "pool_mode to transaction");
    else
        doctor_say(d, DOCTOR_BAD, "postgres", "%s", e.text);
    PQfinish(conn);
}

/* Redis. */

/* Of an answer to CONFIG GET; NULL: it is not there. */
static const char *setting_of(const redisReply *r, const char *name)
{
    for (size_t i = 0; r && r->type == REDIS_REPLY_ARRAY && i + 1 < r->elements; i += 2)
        if (strcmp(r->element[i]->str, name) == 0)
            return r->element[i + 1]->str;
    return NULL;
}

static void judge_durability(struct doctor *d, const redisReply *r)
{
    static const char check[] = "redis durability";
    const char *policy = setting_of(r, "maxmemory-policy");
    const char *append_only = setting_of(r, "appendonly");
    const char *fsync = setting_of(r, "appendfsync");

    if (!policy || !append_only || !fsync)
        doctor_say(d, DOCTOR_WARN, check,
                   "CONFIG GET is not allowed: see yourself that appendonly is yes and "
                   "maxmemory-policy noeviction");
    else if (strcmp(policy, "noeviction") != 0)
        doctor_say(
            d, DOCTOR_BAD, check,
            "maxmemory-policy is %s, which deletes events when memory is full: set noeviction",
            policy);
    else if (strcmp(append_only, "yes") != 0)
        doctor_say(d, DOCTOR_BAD, check,
                   "there is no append-only file, so that a restart loses events: "
                   "set appendonly yes");
    else if (strcmp(fsync, "always") != 0)
        doctor_say(d, DOCTOR_WARN, check,
                   "appendfsync is %s: a power loss may lose the last second; `always` does not",
                   fsync);
    else
        doctor_say(d, DOCTOR_OK, check, "appendonly yes, appendfsync always, noeviction");
}

/* Returns false if nothing more can be asked. */
static bool ask_role(struct doctor *d, redisContext *redis)
{
    redisReply *r = redisCommand(redis, "ROLE");
    bool answers = r && r->type == REDIS_REPLY_ARRAY && r->elements > 0;

    if (!r)
        doctor_say(d, DOCTOR_BAD, "redis", "does not answer: %s", redis->errstr);
    else if (!answers)
        doctor_say(d, DOCTOR_BAD, "redis", "refuses ROLE: %s",
                   r->type == REDIS_REPLY_ERROR ? r->str : "a strange answer");
    else if (strcmp(r->element[0]->str, "master") == 0)
        doctor_say(d, DOCTOR_OK, "redis", "answers");
    else
        doctor_say(d, DOCTOR_BAD, "redis", "is a replica: REDIS_URL must lead to the master");
    freeReplyObject(r);
    return answers;
}

static void ask_server(struct doctor *d, redisContext *redis)
{
    if (!ask_role(d, redis))
        return;
    redisReply *r = redisCommand(redis, "CONFIG GET *");
    judge_durability(d, r);
    freeReplyObject(r);
    r = redisCommand(redis, "TIME");
    if (r && r->type == REDIS_REPLY_ARRAY && r->elements == 2)
        judge_clock(d, "clock of redis",
                    strtoimax(r->element[0]->str, NULL, 10) * 1000 +
                        strtoimax(r->element[1]->str, NULL, 10) / 1000 - clock_unix_ms());
    freeReplyObject(r);
}

/* In a cluster each master. */
void doctor_ask_redis(struct doctor *d)
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
