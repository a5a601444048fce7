/* meterctl stripe sync: all customers, subscriptions and the invoices that matter, from Stripe's
 * lists (common/stripe/stripe_sync.h).
 *
 * The happy path: open a loop, the fetcher and a connection; start when the connection is up; close
 * everything when it is done, and the loop ends. The failure mode: the connection cannot be made;
 * then everything is closed with its error. */
#include "common/clock.h"
#include "common/closing.h"
#include "common/stripe/fetcher.h"
#include "common/stripe/stripe_sync.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/submissions/stripe_run.h"
#include "ctl/terminal/progress.h"

#include <assert.h>
#include <inttypes.h>

enum { CONNECTIONS = 16 };

struct sync_run {
    uv_loop_t loop;
    uv_timer_t timer; /* shows the progress */
    struct stripe_access access;
    struct fetcher *fetcher;
    struct pg *pg;
    struct stripe_sync *sync;
    bool begun;
    bool json;
    int64_t started_ms; /* monotonic */
    struct sync_report report;
    struct err error; /* ERR_NONE: it went well */
    struct closing closing;
};

static void show(const struct sync_run *r, bool last)
{
    struct buf line = {0};
    const struct sync_report *p = &r->report;
    if (progress_is_seen())
        progress_add_bar(&line, last ? SYNC_STEPS : (int64_t)p->step, SYNC_STEPS);
    buf_printf(&line,
               "read from Stripe: %" PRId64 " customers, %" PRId64 " subscriptions, %" PRId64
               " invoices",
               p->read[SYNC_CUSTOMERS], p->read[SYNC_SUBSCRIPTIONS],
               p->read[SYNC_INVOICES] + p->read[SYNC_OPEN_INVOICES]);
    progress_show(&line, last);
    buf_done(&line);
}

static void on_timer(uv_timer_t *timer)
{
    show(timer->data, false);
}

static void on_progress(void *owner, const struct sync_report *report)
{
    struct sync_run *r = owner;
    if (report->resumed && !r->report.resumed)
        ctl_fail(0, "going on where the last run stopped");
    r->report = *report;
}

static void release(void *self)
{
    (void)self;
}

static void end_run(struct sync_run *r, const struct err *error)
{
    if (closing_has_begun(&r->closing))
        return;
    if (error)
        r->error = *error;
    closing_begin(&r->closing, r, release, NULL, NULL);
    closing_handle(&r->closing, &r->timer);
    stripe_sync_close(r->sync);
    fetcher_close(r->fetcher);
    pg_close(r->pg, closing_part_closed, closing_part(&r->closing));
    closing_end(&r->closing);
}

static void on_done(void *owner, const struct err *error, const struct sync_report *report)
{
    struct sync_run *r = owner;
    r->report = *report;
    end_run(r, error);
}

static void on_up(void *owner)
{
    struct sync_run *r = owner;
    if (r->begun)
        return;
    r->begun = true;
    stripe_sync_start(r->sync);
}

/* A run that has begun reports the lost connection itself. */
static void on_down(void *owner, const struct err *error)
{
    struct sync_run *r = owner;
    if (!r->begun)
        end_run(r, error);
}

static void run_all(struct sync_run *r, const struct ctl_config *config)
{
    uint64_t pause_ms = (uint64_t)progress_pause_ms();
    r->started_ms = clock_monotonic_ms();
    r->access = stripe_run_access(config, config->reconcile_rate_per_s);
    uv_loop_init(&r->loop);
    uv_timer_init(&r->loop, &r->timer);
    r->timer.data = r;
    uv_timer_start(&r->timer, on_timer, pause_ms, pause_ms);
    r->fetcher = fetcher_open(&r->loop, &r->access, CONNECTIONS, (struct fetcher_events){0});
    r->pg = pg_open(&r->loop, config->base.database_url, CTL_ROLE, CTL_PROGRAM " stripe sync",
                    (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = r});
    r->sync = stripe_sync_new(
        &r->loop, r->fetcher, r->pg, CTL_PROGRAM,
        (struct sync_events){.on_progress = on_progress, .done = on_done, .owner = r});
    uv_run(&r->loop, UV_RUN_DEFAULT);
    int open = uv_loop_close(&r->loop);
    assert(open == 0);
}

/* Those that nothing will ever be billed for until somebody names their tenant. */
static int count_strangers(PGconn *conn, int64_t *out, struct err *e)
{
    return db_number(conn, SQL_COUNT_STRANGERS, 0, NULL, out, e);
}

static int print_report(PGconn *conn, const struct sync_run *r)
{
    struct err e;
    int64_t strangers = 0;
    const struct sync_report *p = &r->report;
    json_int_t invoices = p->read[SYNC_INVOICES] + p->read[SYNC_OPEN_INVOICES];
    if (count_strangers(conn, &strangers, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    json_t *report =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "customers",
                  (json_int_t)p->read[SYNC_CUSTOMERS], "subscriptions",
                  (json_int_t)p->read[SYNC_SUBSCRIPTIONS], "invoices", invoices, "gone",
                  (json_int_t)p->read[SYNC_GONE], "without_tenant", (json_int_t)strangers,
                  "without_plan", (json_int_t)p->plans_unknown, "odd", (json_int_t)p->odd,
                  "elapsed_ms", (json_int_t)(clock_monotonic_ms() - r->started_ms));
    if (r->json)
        report_print_json(report);
    else
        report_print_line("sync", report);
    json_decref(report);
    return CTL_DONE;
}

static int run(PGconn *conn, void *owner)
{
    struct sync_run *r = owner;
    show(r, true);
    return print_report(conn, r);
}

int stripe_sync_run(const struct ctl_config *config, int argc, char **argv)
{
    struct sync_run r = {0};
    const struct args_option options[] = {{"--json", NULL, &r.json}, {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options))
        return CTL_USAGE;
    int code = stripe_run_check(config);
    if (code != CTL_DONE)
        return code;
    run_all(&r, config);
    if (r.error.kind == ERR_NONE)
        return ctl_with_database(config, CTL_FAILED, run, &r);
    return ctl_fail(CTL_FAILED, "%s: run it again, and it goes on where it stopped", r.error.text);
}
