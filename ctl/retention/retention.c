/* meterctl retention apply: deletes raw events, rejected entries and bodies of webhook events that
 * are old enough. What is dropped is tallied, so that the audit still adds up.
 *
 * Each day is dropped in a transaction of its own. That needs a lock on all raw events for a
 * moment. It waits for the lock half a second at a time, so that aggregators never wait longer. */
#include "common/str.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TRIES = 20 };

struct retention {
    PGconn *conn;
    bool dry_run;
    bool json;
    const char *raw_keep; /* as intervals */
    const char *reject_keep;
    const char *payload_keep;
    json_t *days; /* findings */
    int64_t rejected;
    int64_t payloads;
    int64_t locked; /* days that could not be locked */
};

/* What became of the day; NULL with e. */
static const char *drop_day(struct retention *r, const char *day, struct err *e)
{
    const char *values[] = {day, r->raw_keep};
    const struct timespec pause = {.tv_sec = 1};
    PGresult *result = NULL;
    for (int i = 0; i < TRIES && !result; i++) {
        if (i > 0)
            nanosleep(&pause, NULL);
        result = db_query(r->conn, SQL_DROP_USAGE_DAY, 2, values, e);
        if (!result && strcmp(e->sqlstate, "55P03") != 0) /* lock_not_available */
            return NULL;
    }
    if (!result) {
        r->locked++;
        return "locked";
    }
    const char *outcome = db_text(result, 0, 0) ? "dropped" : "changed";
    PQclear(result);
    return outcome;
}

/* The finding gets its outcome, and the reason why the day is kept. */
static int settle_day(struct retention *r, json_t *finding, struct err *e)
{
    const char *day = json_string_value(json_object_get(finding, "day"));
    json_t *kept = json_incref(json_object_get(finding, "kept"));
    const char *outcome = kept ? "kept" : r->dry_run ? "would_drop" : drop_day(r, day, e);
    if (!outcome)
        return -1;
    json_object_del(finding, "kept");
    json_object_set_new(finding, "outcome", json_string(outcome));
    if (kept)
        json_object_set_new(finding, "reason", kept);
    return 0;
}

static int drop_days(struct retention *r, struct err *e)
{
    if (report_query(r->days, r->conn, SQL_LIST_USAGE_DAYS, 1, &r->raw_keep, e))
        return -1;
    for (size_t i = 0; i < json_array_size(r->days); i++)
        if (settle_day(r, json_array_get(r->days, i), e))
            return -1;
    return 0;
}

static int drop_rejected(struct retention *r, struct err *e)
{
    int64_t part = 0;
    if (r->dry_run)
        return db_number(r->conn, SQL_COUNT_OLD_REJECTED, 1, &r->reject_keep, &r->rejected, e);
    do {
        if (db_number(r->conn, SQL_DROP_REJECTED_EVENTS, 1, &r->reject_keep, &part, e))
            return -1;
        r->rejected += part;
    } while (part > 0);
    return 0;
}

static int apply(struct retention *r, struct err *e)
{
    const char *sql = r->dry_run ? SQL_COUNT_OLD_PAYLOADS : SQL_FORGET_PAYLOADS;
    if (drop_days(r, e) || drop_rejected(r, e))
        return -1;
    return db_number(r->conn, sql, 1, &r->payload_keep, &r->payloads, e);
}

static void print_lines(const struct retention *r)
{
    const char *verb = r->dry_run ? "would_drop" : "dropped";
    report_print_lines("retention", r->days);
    printf("retention rejected_events %s=%" PRId64 "\n", verb, r->rejected);
    printf("retention webhook_payloads %s=%" PRId64 "\n", verb, r->payloads);
}

static void print_json(const struct retention *r)
{
    json_t *report =
        json_pack("{s:b, s:O, s:I, s:I}", "dry_run", r->dry_run, "days", r->days, "rejected_events",
                  (json_int_t)r->rejected, "webhook_payloads", (json_int_t)r->payloads);
    report_print_json(report);
    json_decref(report);
}

/* What was dropped before it failed is told all the same. */
static int run(PGconn *conn, void *owner)
{
    struct retention *r = owner;
    struct err e;
    r->conn = conn;
    int failed = apply(r, &e);
    (r->json ? print_json : print_lines)(r);
    if (failed)
        return ctl_fail_err(CTL_FAILED, &e);
    if (r->locked > 0)
        return ctl_fail(CTL_FAILED, "some days could not be dropped because somebody reads raw "
                                    "events all the time: run it again later");
    return CTL_DONE;
}

int retention_apply_run(const struct ctl_config *config, int argc, char **argv)
{
    struct retention r = {0};
    const struct args_option options[] = {
        {"--dry-run", NULL, &r.dry_run}, {"--json", NULL, &r.json}, {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options))
        return CTL_USAGE;
    char *raw_keep = xasprintf("%" PRId64 " days", config->raw_keep_days);
    char *reject_keep = xasprintf("%" PRId64 " days", config->reject_keep_days);
    char *payload_keep = xasprintf("%" PRId64 " days", config->payload_keep_days);
    r.raw_keep = raw_keep;
    r.reject_keep = reject_keep;
    r.payload_keep = payload_keep;
    r.days = json_array();
    int code = ctl_with_database(config, CTL_FAILED, run, &r);
    json_decref(r.days);
    free(raw_keep);
    free(reject_keep);
    free(payload_keep);
    return code;
}
