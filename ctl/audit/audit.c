/* meterctl audit: does everything add up? Every event must be accounted for, and every counted
 * unit must be billed or visibly wait. Exit 0: ok. 1: unbalanced. 3: could not be checked. 4:
 * balanced, but something waits for a person. */
#include "ctl/audit/audit.h"

#include "common/redis/redis.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/streams/stream_info.h"

#include <stdio.h>

enum { REDIS_TIMEOUT_MS = 10000, TIME_SIZE = 64 };

struct audit {
    PGconn *conn;
    const struct ctl_config *config;
    bool json;
    json_t *report;  /* owned: streams, epochs, …, result */
    json_t *streams; /* in report */
    bool balanced;
};

static int add_stream(struct audit *a, const char *stream, struct err *e)
{
    /* In a cluster each stream has a server of its own. */
    redisContext *redis =
        redis_connect_blocking_at(a->config->base.redis_url, stream, REDIS_TIMEOUT_MS, NULL, e);
    if (!redis)
        return err_wrap(e, "redis");
    json_t *finding = audit_stream(a->conn, redis, stream, e);
    redisFree(redis);
    if (!finding)
        return -1;
    if (json_integer_value(json_object_get(finding, "difference")) != 0)
        a->balanced = false;
    return json_array_append_new(a->streams, finding);
}

/* Streams that an aggregator ever owned … */
static int add_known_streams(struct audit *a, struct err *e)
{
    int result = 0;
    PGresult *known = db_query(a->conn, SQL_LIST_STREAMS, 0, NULL, e);
    if (!known)
        return err_wrap(e, "postgres");
    for (int i = 0; result == 0 && i < PQntuples(known); i++)
        result = add_stream(a, db_text(known, i, 0), e);
    PQclear(known);
    return result;
}

/* … and those that services may write to all the same. */
static int add_unseen_streams(struct audit *a, int64_t shards, struct err *e)
{
    char name[STREAM_NAME_SIZE];
    for (int64_t i = 0; i < shards; i++) {
        stream_name(shards, i, name);
        if (!report_find(a->streams, "stream", name) && add_stream(a, name, e))
            return -1;
    }
    return 0;
}

static int read_time(PGconn *conn, char begun[TIME_SIZE], struct err *e)
{
    PGresult *r = db_query(conn, SQL_AUDIT_BEGUN, 0, NULL, e);
    if (!r)
        return err_wrap(e, "postgres");
    snprintf(begun, TIME_SIZE, "%s", db_text(r, 0, 0));
    PQclear(r);
    return 0;
}

/* If nothing waits, all that was added before the audit began is counted. */
static bool nothing_waits(const json_t *streams)
{
    for (size_t i = 0; i < json_array_size(streams); i++)
        if (json_integer_value(json_object_get(json_array_get(streams, i), "waiting")) != 0)
            return false;
    return true;
}

static int check_all(struct audit *a, struct err *e)
{
    char begun[TIME_SIZE];
    int64_t shards; /* the database's number, which may differ from METERLINE_STREAM_SHARDS */
    if (read_time(a->conn, begun, e) || add_known_streams(a, e) ||
        add_unseen_streams(a, a->config->base.stream_shards, e) ||
        stream_shards_read(a->conn, 0, &shards, e) || add_unseen_streams(a, shards, e))
        return -1;
    if (nothing_waits(a->streams))
        json_object_set_new(a->report, "counted_until", json_string(begun));
    return audit_ledger(a->conn, a->report, &a->balanced, e);
}

/* Only entries that were not counted yet can be missing: trimming what is counted changes
 * nothing. */
static void print_removed(const struct audit *a)
{
    for (size_t i = 0; i < json_array_size(a->streams); i++) {
        const json_t *stream = json_array_get(a->streams, i);
        json_int_t removed = json_integer_value(json_object_get(stream, "difference"));
        if (removed > 0)
            printf("audit stream=%s removed=%" JSON_INTEGER_FORMAT
                   " by somebody else before they were counted (XTRIM, XDEL, or XADD with MAXLEN); "
                   "to book them: meterctl stream lost\n",
                   json_string_value(json_object_get(stream, "stream")), removed);
    }
}

static void print_lines(const struct audit *a)
{
    report_print_lines("audit", json_object_get(a->report, "epochs"));
    report_print_lines("audit", a->streams);
    print_removed(a);
    audit_ledger_print(a->report);
    const json_t *attention = json_object_get(a->report, "attention");
    bool waits = json_object_size(attention) > 0;
    if (waits)
        report_print_line(a->balanced ? "audit balanced, attention:" : "audit attention",
                          attention);
    if (!a->balanced)
        puts("audit unbalanced");
    else if (!waits)
        puts("audit ok");
}

static int exit_code(const struct audit *a)
{
    if (!a->balanced)
        return CTL_FAILED;
    bool waits = json_object_size(json_object_get(a->report, "attention")) > 0;
    return waits ? CTL_ATTENTION : CTL_DONE;
}

static void print_json(const struct audit *a)
{
    static const char *const RESULTS[] = {
        [CTL_DONE] = "ok", [CTL_FAILED] = "unbalanced", [CTL_ATTENTION] = "attention"};
    json_object_set_new(a->report, "result", json_string(RESULTS[exit_code(a)]));
    report_print_json(a->report);
}

static int run(PGconn *conn, void *owner)
{
    struct audit *a = owner;
    struct err e;
    a->conn = conn;
    if (check_all(a, &e))
        return ctl_fail_err(CTL_UNCHECKED, &e);
    (a->json ? print_json : print_lines)(a);
    return exit_code(a);
}

int audit_run(const struct ctl_config *config, int argc, char **argv)
{
    struct audit a = {.config = config, .balanced = true};
    const struct args_option options[] = {{"--json", NULL, &a.json}, {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options))
        return CTL_USAGE;
    a.report = json_object();
    a.streams = json_array();
    json_object_set_new(a.report, "streams", a.streams);
    int code = ctl_with_database(config, CTL_UNCHECKED, run, &a);
    json_decref(a.report);
    return code;
}
