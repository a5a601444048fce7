/* meterctl explain: from the number on the invoice to submissions, minutes and events, in one
 * snapshot. Memory does not grow with the events: they are read, told and added up one by one. */
#include "ctl/explain/explain.h"

#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/known.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *tenant;
    const char *metric;
    const char *period;
    const char *format;
    bool events;
    bool wide;
};

static void set_dec(json_t *finding, const char *name, struct dec value)
{
    char text[DEC_TEXT_SIZE];

    dec_format(value, text);
    json_object_set_new(finding, name, json_string(text));
}

/* Each level against the one above it. */
static void prove(struct explain *x)
{
    explain_add_difference(&x->difference, x->total, x->submitted);
    explain_add_difference(&x->difference, x->total, x->minutes);
    set_dec(x->proof, "total", x->total);
    json_object_update(x->proof, x->terms);
    set_dec(x->proof, "minutes", x->minutes);
    set_dec(x->proof, "events", x->found);
    if (!dec_is_zero(x->dropped))
        set_dec(x->proof, "events_dropped", x->dropped);
    json_object_update(x->proof, x->moved);
    set_dec(x->proof, "difference", x->difference);
}

static int tell(struct explain *x, const char *at)
{
    struct err e;
    int code = explain_read(x, at);

    if (code != CTL_DONE)
        return code;
    x->format->begin(x);
    if (explain_minutes(x, &e))
        return ctl_fail(CTL_FAILED, "%s", e.text);
    prove(x);
    x->format->end(x);
    if (fflush(stdout) || ferror(stdout))
        return ctl_fail(CTL_FAILED, "standard output: %s", strerror(errno));
    return dec_is_zero(x->difference) ? CTL_DONE
                                      : ctl_fail(CTL_FAILED, "it does not add up: see difference");
}

int explain(struct explain *x, const char *at)
{
    struct err e;

    if (db_begin_snapshot(x->conn, &e))
        return ctl_fail(CTL_FAILED, "%s", e.text);
    x->submissions = json_array();
    x->unbilled = json_array();
    x->moved_in = json_array();
    x->moved = json_object();
    x->notes = json_array();
    x->terms = json_object();
    x->proof = json_object();
    int code = tell(x, at);
    free(x->period_start);
    free(x->period_end);
    free(x->first);
    free(x->last);
    free(x->dropped_before);
    json_decref(x->head);
    json_decref(x->submissions);
    json_decref(x->unbilled);
    json_decref(x->moved_in);
    json_decref(x->moved);
    json_decref(x->notes);
    json_decref(x->terms);
    json_decref(x->proof);
    return code;
}

static const struct explain_format *find_format(const char *name)
{
    static const struct explain_format *const FORMATS[] = {&EXPLAIN_TABLE, &EXPLAIN_CSV,
                                                           &EXPLAIN_JSON};

    for (size_t i = 0; i < sizeof FORMATS / sizeof FORMATS[0]; i++)
        if (!name || strcmp(name, FORMATS[i]->name) == 0)
            return FORMATS[i];
    return NULL;
}

static int check_options(const struct options *o)
{
    if (!o->tenant || !o->metric || !o->period)
        return ctl_fail(-1, "what? Say --tenant, --metric and --period (a time in it, or current)");
    if (!find_format(o->format))
        return ctl_fail(-1, "--format must be table, csv or json, not %s", o->format);
    return 0;
}

static int run(PGconn *conn, const struct options *o)
{
    char at[TIME_TEXT_SIZE];
    struct explain x = {.conn = conn,
                        .tenant = o->tenant,
                        .metric = o->metric,
                        .format = find_format(o->format),
                        .events = o->events,
                        .wide = o->wide};
    int code = args_period(conn, o->period, at);

    if (code == CTL_DONE)
        code = known_check(conn, o->tenant, o->metric, CTL_FAILED);
    return code == CTL_DONE ? explain(&x, at) : code;
}

int explain_run(const struct ctl_config *config, int argc, char **argv)
{
    struct options o = {0};
    const struct args_option options[] = {{"--tenant", &o.tenant, NULL},
                                          {"--metric", &o.metric, NULL},
                                          {"--period", &o.period, NULL},
                                          {"--format", &o.format, NULL},
                                          {"--events", NULL, &o.events},
                                          {"--wide", NULL, &o.wide},
                                          {NULL, NULL, NULL}};
    struct err e;
    int plain = args_take(argc, argv, options);

    if (plain < 0 || args_expect_none(plain, argv) || check_options(&o))
        return CTL_USAGE;
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code = conn ? run(conn, &o) : ctl_fail(CTL_FAILED, "%s", e.text);
    PQfinish(conn);
    return code;
}
