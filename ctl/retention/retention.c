/* meterctl retention apply: raw events, rejected entries and bodies of webhook events that are past
 * their keep. What is dropped is tallied, so that the audit still adds up.
 *
 * Each day is dropped in a transaction of its own. That needs a lock on all raw events, for a
 * moment: it is tried for half a second at a time, so that aggregators never wait longer. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TRIES = 20 };

struct retention {
    PGconn *conn;
    bool dry_run;
    char raw_keep[32]; /* as intervals */
    char reject_keep[32];
    char payload_keep[32];
    json_t *days; /* findings */
    int64_t rejected;
    int64_t payloads;
    int64_t locked; /* days that could not be locked */
};

static int run_number(struct retention *r, const char *sql, const char *value, int64_t *out,
                      struct err *e)
{
    PGresult *result = db_query(r->conn, sql, 1, &value, e);
    if (!result)
        return -1;
    *out = db_i64(result, 0, 0);
    PQclear(result);
    return 0;
}

static bool is_locked(const struct err *e)
{
    return strcmp(e->sqlstate, "55P03") == 0; /* lock_not_available */
}

static void pause_a_second(void)
{
    const struct timespec second = {.tv_sec = 1};
    nanosleep(&second, NULL);
}

/* What became of the day; NULL with e. */
static const char *drop_day(struct retention *r, const char *day, struct err *e)
{
    const char *values[] = {day, r->raw_keep};
    PGresult *result = NULL;

    for (int i = 0; i < TRIES && !result; i++) {
        if (i > 0)
            pause_a_second();
        result = db_query(r->conn, SQL_DROP_USAGE_DAY, 2, values, e);
        if (!result && !is_locked(e))
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
static int take_day(struct retention *r, json_t *finding, struct err *e)
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
    const char *value = r->raw_keep;
    PGresult *days = db_query(r->conn, SQL_LIST_USAGE_DAYS, 1, &value, e);
    if (!days)
        return -1;
    report_add_rows(r->days, days);
    PQclear(days);
    for (size_t i = 0; i < json_array_size(r->days); i++)
        if (take_day(r, json_array_get(r->days, i), e))
            return -1;
    return 0;
}

static int drop_rejected(struct retention *r, struct err *e)
{
    int64_t part = 0;

    if (r->dry_run)
        return run_number(r, SQL_COUNT_OLD_REJECTED, r->reject_keep, &r->rejected, e);
    do {
        if (run_number(r, SQL_DROP_REJECTED_EVENTS, r->reject_keep, &part, e))
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
    return run_number(r, sql, r->payload_keep, &r->payloads, e);
}

static void print_lines(const struct retention *r)
{
    const char *verb = r->dry_run ? "would_drop" : "dropped";

    for (size_t i = 0; i < json_array_size(r->days); i++)
        report_print_line("retention", json_array_get(r->days, i));
    printf("retention rejected_events %s=%" PRId64 "\n", verb, r->rejected);
    printf("retention webhook_payloads %s=%" PRId64 "\n", verb, r->payloads);
}

static void print_json(const struct retention *r)
{
    json_t *report =
        json_pack("{s:b, s:O, s:I, s:I}", "dry_run", r->dry_run, "days", r->days, "rejected_events",
                  (json_int_t)r->rejected, "webhook_payloads", (json_int_t)r->payloads);
    json_dumpf(report, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(report);
}

static int apply_and_tell(struct retention *r, const struct ctl_config *config, bool json)
{
    struct err e;

    r->conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int failed = !r->conn || apply(r, &e);
    if (r->conn)
        (json ? print_json : print_lines)(r);
    if (failed)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    if (r->locked > 0)
        return ctl_fail(CTL_FAILED, "someone reads raw events all the time: run it again later");
    return CTL_DONE;
}

static void set_keep(char out[32], int64_t days)
{
    snprintf(out, 32, "%" PRId64 " days", days);
}

int retention_apply_run(const struct ctl_config *config, int argc, char **argv)
{
    struct retention r = {0};
    bool json = false;
    const struct args_option options[] = {
        {"--dry-run", NULL, &r.dry_run}, {"--json", NULL, &json}, {NULL, NULL, NULL}};
    int plain = args_take(argc, argv, options);

    if (plain < 0 || args_expect_none(plain, argv))
        return CTL_USAGE;
    set_keep(r.raw_keep, config->raw_keep_days);
    set_keep(r.reject_keep, config->reject_keep_days);
    set_keep(r.payload_keep, config->payload_keep_days);
    r.days = json_array();
    int code = apply_and_tell(&r, config, json);
    json_decref(r.days);
    PQfinish(r.conn);
    return code;
}
