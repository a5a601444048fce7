/* meterctl stripe setup: an account at Stripe gets what the catalog needs of it. */
#include "common/conf_check.h"
#include "ctl/args.h"
#include "ctl/catalog/catalog_file.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/stripe/setup_catalog.h"
#include "ctl/stripe/setup_report.h"
#include "ctl/stripe/setup_run.h"
#include "ctl/submissions/stripe_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct setup {
    const struct ctl_config *config;
    json_t *objects; /* what should be there */
    json_t *steps;   /* what was done, or is to do */
    bool dry_run;
    bool check;
    bool adopt;
    bool env;
    bool json;
    const char *webhook_url;
    const char *secret_file;
    const char *return_url;
};

static void on_done(void *owner, const json_t *step)
{
    const struct setup *s = owner;
    if (!s->json)
        setup_report_step(s->env ? stderr : stdout, step, true);
}

static int run(struct setup *s)
{
    struct err e;
    bool only_plan = s->dry_run || s->check;
    const struct setup_ask ask = {.objects = s->objects,
                                  .only_plan = only_plan,
                                  .adopt = s->adopt,
                                  .secret_file = s->secret_file,
                                  .on_done = on_done,
                                  .owner = s};
    s->steps = setup_run(s->config, &ask, &e);
    if (s->steps)
        return CTL_DONE;
    return ctl_fail(CTL_FAILED, "%s%s", e.text,
                    only_plan ? "" : ": run it again, and it goes on where it stopped");
}

static json_t *rows_to_note(const struct setup *s)
{
    static const char *const KEYS[] = {"kind", "name", "plan", "metric", "yearly"};
    json_t *rows = json_array();
    size_t i;
    const json_t *step;
    json_array_foreach(s->steps, i, step)
    {
        json_t *row = json_pack("{s:O?, s:b}", "stripe_id", json_object_get(step, "id"), "livemode",
                                conf_is_live_key(s->config->stripe_secret_key));
        for (size_t k = 0; k < sizeof KEYS / sizeof *KEYS; k++)
            if (json_object_get(step, KEYS[k]))
                json_object_set(row, KEYS[k], json_object_get(step, KEYS[k]));
        if (json_object_get(step, "id"))
            json_array_append(rows, row);
        json_decref(row);
    }
    return rows;
}

static int run_and_note(PGconn *conn, void *owner)
{
    struct setup *s = owner;
    struct err e;
    int code = run(s);
    if (code != CTL_DONE)
        return code;
    json_t *rows = rows_to_note(s);
    char *text = json_dumps(rows, JSON_COMPACT);
    const char *value = text;
    if (db_run(conn, SQL_NOTE_SETUP, 1, &value, NULL, &e))
        code = ctl_fail(CTL_FAILED,
                        "Stripe is set up, but that could not be noted: %s: run it again", e.text);
    free(text);
    json_decref(rows);
    return code;
}

/* 1: a person has to act; 2: --check was asked for, and something differs. */
static int exit_code(const struct setup *s)
{
    if (s->check)
        return setup_plan_differs(s->steps) ? CTL_USAGE : CTL_DONE;
    return !s->dry_run && setup_report_count(s->steps, "warn") > 0 ? CTL_FAILED : CTL_DONE;
}

static void report(const struct setup *s)
{
    bool only_plan = s->dry_run || s->check;
    FILE *out = s->env ? stderr : stdout;
    if (s->json) {
        report_print_json(s->steps);
        return;
    }
    setup_report(out, s->steps, only_plan);
    if (s->env)
        setup_report_env(s->steps);
}

static int check_arguments(const struct setup *s)
{
    if (!s->webhook_url != !s->secret_file)
        return ctl_fail(CTL_USAGE, "--webhook-url and --secret-file are needed together: the "
                                   "endpoint's secret goes to the file");
    if (s->json && s->env)
        return ctl_fail(CTL_USAGE, "--json and --env exclude each other");
    return stripe_run_check(s->config);
}

/* Returns 0 with the objects, or an exit code after telling. */
static int read_objects(struct setup *s, const char *file)
{
    struct buf faults = {0};
    const struct setup_wish wish = {s->config->stripe_api_version, s->webhook_url, s->return_url};
    json_t *rows = NULL;
    int code = catalog_file_read(file, "nothing was asked of Stripe", &rows);
    if (code != CTL_DONE)
        return code;
    s->objects = setup_catalog(rows, &wish, &faults);
    json_decref(rows);
    if (!s->objects)
        code = ctl_fail(CTL_FAILED, "%s cannot be set up at Stripe:\n%s", file, faults.data);
    buf_done(&faults);
    return code;
}

int stripe_setup_run(const struct ctl_config *config, int argc, char **argv)
{
    struct setup s = {.config = config};
    const struct args_option options[] = {{"--dry-run", NULL, &s.dry_run},
                                          {"--check", NULL, &s.check},
                                          {"--adopt", NULL, &s.adopt},
                                          {"--env", NULL, &s.env},
                                          {"--json", NULL, &s.json},
                                          {"--webhook-url", &s.webhook_url, NULL},
                                          {"--secret-file", &s.secret_file, NULL},
                                          {"--return-url", &s.return_url, NULL},
                                          {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 1, 1) < 0)
        return CTL_USAGE;
    int code = check_arguments(&s);
    if (code == CTL_DONE)
        code = read_objects(&s, argv[0]);
    if (code != CTL_DONE)
        return code;
    if (s.dry_run || s.check)
        code = run(&s);
    else
        code = ctl_with_database(config, CTL_FAILED, run_and_note, &s);
    if (code == CTL_DONE) {
        report(&s);
        code = exit_code(&s);
    }
    json_decref(s.objects);
    json_decref(s.steps);
    return code;
}
