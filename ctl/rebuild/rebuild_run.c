/* meterctl rebuild --check and --repair: the command, and how it tells what was found. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/known.h"
#include "ctl/rebuild/rebuild.h"
#include "ctl/report.h"

#include <inttypes.h>
#include <stdio.h>

struct options {
    const char *tenant;
    const char *from;
    const char *to;
    const char *metric;
    bool check;
    bool repair;
    bool yes;
    bool json;
};

static void print_all(const json_t *list, const char *words)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        report_print_line(words, json_array_get(list, i));
}

static void print_lines(const struct rebuild *r)
{
    char low[REPORT_TIME_SIZE], high[REPORT_TIME_SIZE], unchecked[REPORT_TIME_SIZE];

    print_all(r->pending, "rebuild pending");
    if (r->unchecked)
        printf("rebuild unchecked before=%s msg=\"retention dropped raw events up to there\"\n",
               report_time(r->unchecked, unchecked));
    print_all(r->shown, "rebuild difference");
    if (r->any)
        printf("rebuild from=%s to=%s minutes=%" PRId64 " differences=%" PRId64 "\n",
               report_time(r->low, low), report_time(r->high, high), r->minutes, r->differences);
    puts(r->differences == 0 ? "rebuild ok" : "rebuild differs");
}

static const char *time_or_null(const char *text, char out[REPORT_TIME_SIZE])
{
    return text ? report_time(text, out) : NULL;
}

static void print_json(const struct rebuild *r)
{
    char low[REPORT_TIME_SIZE], high[REPORT_TIME_SIZE], unchecked[REPORT_TIME_SIZE];
    json_t *report =
        json_pack("{s:s*, s:s*, s:s*, s:I, s:I, s:O, s:O, s:s}", "from", time_or_null(r->low, low),
                  "to", time_or_null(r->high, high), "unchecked_before",
                  time_or_null(r->unchecked, unchecked), "minutes", (json_int_t)r->minutes,
                  "difference_count", (json_int_t)r->differences, "pending", r->pending,
                  "differences", r->shown, "result", r->differences == 0 ? "ok" : "differs");
    report_print_json(report);
    json_decref(report);
}

static int tell(const struct rebuild *r, const struct options *o)
{
    char unchecked[REPORT_TIME_SIZE];

    if (!r->any && r->unchecked)
        return ctl_fail(CTL_UNCHECKED,
                        "could not be checked: retention dropped the raw events before %s",
                        report_time(r->unchecked, unchecked));
    (o->json ? print_json : print_lines)(r);
    return r->differences == 0 ? CTL_DONE : CTL_FAILED;
}

static int check(PGconn *conn, const struct options *o)
{
    char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
    struct err e;
    int code = args_time(conn, "--from", o->from, from);

    if (code == CTL_DONE)
        code = args_time(conn, "--to", o->to, to);
    if (code != CTL_DONE)
        return code == CTL_USAGE ? code : CTL_UNCHECKED;
    code = known_check(conn, o->tenant, NULL, CTL_UNCHECKED);
    if (code != CTL_DONE)
        return code;
    struct rebuild r = {.conn = conn,
                        .tenant = o->tenant,
                        .from = args_or_null(from),
                        .to = args_or_null(to),
                        .pending = json_array(),
                        .shown = json_array()};
    code = rebuild_check(&r, &e)
               ? ctl_fail(CTL_UNCHECKED, "could not be checked: postgres: %s", e.text)
               : tell(&r, o);
    PQclear(r.range);
    json_decref(r.pending);
    json_decref(r.shown);
    return code;
}

static int repair(PGconn *conn, const struct options *o)
{
    struct rebuild_repair r = {
        .conn = conn, .tenant = o->tenant, .metric = o->metric, .yes = o->yes};

    int code = known_check(conn, o->tenant, o->metric, CTL_FAILED);
    return code == CTL_DONE ? rebuild_repair_run(&r, o->json) : code;
}

static int check_options(const struct options *o)
{
    if (o->check == o->repair)
        return ctl_fail(-1, "say `meterctl rebuild --check`, which only compares, or `--repair`");
    if (o->check && (o->metric || o->yes))
        return ctl_fail(-1, "--metric and --yes go with --repair");
    if (o->repair && (o->from || o->to))
        return ctl_fail(-1, "--from and --to go with --check: what is carried over is set right "
                            "from the first usage until now");
    return 0;
}

static int fail_to_connect(const struct options *o, const struct err *e)
{
    if (o->check)
        return ctl_fail(CTL_UNCHECKED, "could not be checked: postgres: %s", e->text);
    return ctl_fail(CTL_FAILED, "%s", e->text);
}

int rebuild_run(const struct ctl_config *config, int argc, char **argv)
{
    struct options o = {0};
    const struct args_option options[] = {
        {"--tenant", &o.tenant, NULL}, {"--from", &o.from, NULL},     {"--to", &o.to, NULL},
        {"--check", NULL, &o.check},   {"--json", NULL, &o.json},     {"--repair", NULL, &o.repair},
        {"--yes", NULL, &o.yes},       {"--metric", &o.metric, NULL}, {NULL, NULL, NULL}};
    struct err e;
    int plain = args_take(argc, argv, options);

    if (plain < 0 || args_expect_none(plain, argv) || check_options(&o))
        return CTL_USAGE;
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code = conn ? (o.check ? check : repair)(conn, &o) : fail_to_connect(&o, &e);
    PQfinish(conn);
    return code;
}
