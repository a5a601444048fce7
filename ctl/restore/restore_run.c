/* Each worker takes one tenant after the other:
 *
 *    doubts - compare -+--------------------------+- release - the next tenant
 *                      +- adopt - compare again --+
 *
 * 1. Doubts: what the ledger shows as unsent, and Stripe holds, becomes sent.
 * 2. Compare: each metric and period of the tenant, by what was surely sent.
 * 3. Adopt (restore_checks.h): the ledger takes over what Stripe holds besides. Then all is
 * compared again, and nothing may differ.
 *
 * Periods whose invoice was final in the backup are left out: nothing was sent for them since.
 * While sinks are not held, nothing that they send meanwhile is in doubt; then only that is
 * compared which sinks hold because nobody has compared it since the restore.
 *
 * Failure modes. Stripe cannot be read for one tenant, or still differs: that tenant stays held,
 * and the others go on. Stripe or PostgreSQL is down: no further tenant is begun. We are killed:
 * released tenants stay released, and what was adopted is in the ledger, so that the tenant that
 * was under way is merely compared again. Another run takes over: its owner is in the rows, and we
 * end. */
#include "ctl/restore/restore_run.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/stripe/in_doubt.h"
#include "common/stripe/reconcile.h"
#include "common/stripe/stripe_limits.h"
#include "ctl/db.h"
#include "ctl/restore/restore_checks.h"
#include "ctl/restore/restore_progress.h"
#include "ctl/sql.h"
#include "ctl/submissions/stripe_run.h"
#include "ctl/terminal/progress.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each has one call in flight: enough for the rate while Stripe answers within 400 ms. Unlike meter
 * events, reads of one kind are limited to 25 a second (docs.stripe.com/rate-limits). */
enum { WORKERS = 8, RATE_PER_S = 20 };

struct restore;

struct worker {
    struct restore *run;
    struct stripe_api *api;
    struct stripe_usage *usage;
    struct pg *pg;
    struct reconcile *compare;
    struct doubts *doubts;
    const char *tenant;
    bool begun;
    bool meters_known;
    bool adopted; /* what Stripe holds besides of this tenant */
    struct closing closing;
};

struct restore {
    PGconn *conn;
    struct restore_list list;
    uv_loop_t loop;
    uv_timer_t timer; /* shows the progress */
    struct stripe_access access;
    struct stripe_limits limits;
    struct worker workers[WORKERS];
    int open; /* workers */
    int next; /* of the list */
    const char *final_before;
    bool unproven_alone; /* sinks are not held; only what was not compared since the restore is */
    struct restore_progress progress;
    int64_t started_ms; /* monotonic */
    struct reconcile_report compared;
    struct doubts_report doubts;
    int64_t differing; /* tenants */
    struct err error;  /* ERR_NONE: nothing has ended the run */
};

static void next_tenant(struct worker *w);
static void run_compare(struct worker *w);

static void free_worker(void *self)
{
    struct worker *w = self;
    reconcile_free(w->compare);
    doubts_free(w->doubts);
    stripe_usage_free(w->usage);
}

static void on_worker_closed(void *owner)
{
    struct restore *r = owner;
    if (--r->open == 0)
        uv_close((uv_handle_t *)&r->timer, NULL);
}

static void close_worker(struct worker *w)
{
    closing_begin(&w->closing, w, free_worker, on_worker_closed, w->run);
    stripe_api_close(w->api, closing_part_closed, closing_part(&w->closing));
    pg_close(w->pg, closing_part_closed, closing_part(&w->closing));
    closing_end(&w->closing);
}

static void fail(struct worker *w, const struct err *error)
{
    if (w->run->error.kind == ERR_NONE)
        w->run->error = *error;
    close_worker(w);
}

static void release(struct worker *w)
{
    struct err e;
    if (restore_release(w->run->conn, &w->run->list.claim, w->tenant, &e)) {
        fail(w, &e);
        return;
    }
    w->run->progress.done++;
    next_tenant(w);
}

static void adopt(struct worker *w, int64_t run_id)
{
    struct err e;
    w->adopted = true;
    if (restore_adopt(w->run->conn, &w->run->list.claim, w->tenant, run_id, &e))
        fail(w, &e);
    else
        run_compare(w);
}

static void tell_difference(struct worker *w)
{
    w->run->differing++;
    ctl_fail(0, "tenant %s: Stripe still differs (`meterctl reconcile` shows where)", w->tenant);
    next_tenant(w);
}

static void take_comparison(void *owner, const struct err *error,
                            const struct reconcile_report *report)
{
    struct worker *w = owner;
    struct reconcile_report *all = &w->run->compared;
    if (error) {
        fail(w, error);
        return;
    }
    w->meters_known = true;
    if (!w->adopted) {
        all->compared += report->compared;
        all->drifted += report->drifted;
        all->unread += report->unread;
    }
    if (report->unread > 0)
        next_tenant(w);
    else if (report->drifted == 0)
        release(w);
    else if (w->adopted)
        tell_difference(w);
    else
        adopt(w, report->run_id);
}

static bool is_up(struct worker *w)
{
    struct err e;
    if (pg_is_ready(w->pg))
        return true;
    err_set(&e, ERR_CLOSED, "postgres: not connected");
    fail(w, &e);
    return false;
}

static void run_compare(struct worker *w)
{
    const struct reconcile_ask ask = {.reason = "restore",
                                      .tenant = w->tenant,
                                      .everything = true,
                                      .sent_alone = true,
                                      .meters_known = w->meters_known,
                                      .final_before = w->run->final_before,
                                      .unproven_alone = w->run->unproven_alone,
                                      .most = INT_MAX};
    if (is_up(w))
        reconcile_start(w->compare, w->pg, &ask);
}

static void take_doubts(void *owner, const struct err *error, const struct doubts_report *report)
{
    struct worker *w = owner;
    struct doubts_report *all = &w->run->doubts;
    if (error) {
        fail(w, error);
        return;
    }
    w->meters_known = true;
    all->sent += report->sent;
    all->left += report->left;
    all->failed += report->failed;
    all->unread += report->unread;
    if (report->unread > 0)
        next_tenant(w);
    else
        run_compare(w);
}

static void next_tenant(struct worker *w)
{
    struct restore *r = w->run;
    if (r->error.kind != ERR_NONE || r->next >= PQntuples(r->list.tenants)) {
        close_worker(w);
        return;
    }
    w->tenant = db_text(r->list.tenants, r->next++, 0);
    w->adopted = false;
    if (r->unproven_alone) {
        run_compare(w);
        return;
    }
    const struct doubts_ask ask = {
        .tenant = w->tenant, .restored = true, .meters_known = w->meters_known};
    if (is_up(w))
        doubts_start(w->doubts, w->pg, &ask);
}

static void on_up(void *owner)
{
    struct worker *w = owner;
    if (w->begun)
        return;
    w->begun = true;
    next_tenant(w);
}

/* A run that has begun reports the lost connection itself. */
static void on_down(void *owner, const struct err *error)
{
    struct worker *w = owner;
    if (w->begun)
        return;
    w->begun = true;
    fail(w, error);
}

static void open_worker(struct worker *w, struct restore *r, const char *url)
{
    w->run = r;
    w->api = stripe_api_open(&r->loop, &r->access);
    w->usage = stripe_usage_new(w->api);
    w->compare = reconcile_new(w->usage, (struct reconcile_events){.on_found = stripe_run_on_found,
                                                                   .done = take_comparison,
                                                                   .owner = w});
    w->doubts = doubts_new(w->usage, (struct doubts_events){.on_settled = stripe_run_on_settled,
                                                            .done = take_doubts,
                                                            .owner = w});
    w->pg = pg_open(&r->loop, url, CTL_ROLE, CTL_PROGRAM " restore",
                    (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = w});
}

static void on_timer(uv_timer_t *timer)
{
    struct restore *r = timer->data;
    r->progress.elapsed_ms = clock_monotonic_ms() - r->started_ms;
    restore_progress_show(&r->progress, false);
}

static void run_workers(struct restore *r, const struct ctl_config *config)
{
    int left = PQntuples(r->list.tenants);
    r->access = stripe_run_access(config, config->sink_rate_per_s > 0 ? config->sink_rate_per_s
                                                                      : RATE_PER_S);
    r->access.limits = &r->limits;
    stripe_limits_init(&r->limits, r->access.rate_per_s, clock_monotonic_ms());
    r->open = left < WORKERS ? left : WORKERS;
    int n = r->open;
    if (n == 0)
        return;
    uv_loop_init(&r->loop);
    uv_timer_init(&r->loop, &r->timer);
    r->timer.data = r;
    uint64_t pause_ms = (uint64_t)progress_pause_ms();
    uv_timer_start(&r->timer, on_timer, pause_ms, pause_ms);
    for (int i = 0; i < n; i++)
        open_worker(&r->workers[i], r, config->base.database_url);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    int open = uv_loop_close(&r->loop);
    assert(open == 0);
}

static void print_totals(const struct restore *r)
{
    printf("open sent=%" PRId64 " waiting=%" PRId64 " failed=%" PRId64 "\n", r->doubts.sent,
           r->doubts.left, r->doubts.failed);
    printf("reconcile compared=%" PRId64 " drifted=%" PRId64 " unread=%" PRId64 "\n",
           r->compared.compared, r->compared.drifted, r->compared.unread + r->doubts.unread);
}

static int judge(const struct restore *r)
{
    int64_t left = r->progress.total - r->progress.done;
    if (r->error.kind != ERR_NONE)
        return ctl_fail(CTL_UNCHECKED,
                        "%s: sinks are still held for %" PRId64 " of %" PRId64
                        " tenants; run it again, and it goes on where it stopped",
                        r->error.text, left, r->progress.total);
    if (left == 0)
        return CTL_DONE;
    return ctl_fail(left > r->differing ? CTL_UNCHECKED : CTL_FAILED,
                    "sinks are still held for %" PRId64 " of %" PRId64
                    " tenants, of which Stripe does not tell, or differs",
                    left, r->progress.total);
}

int restore_run(const struct ctl_config *config, PGconn *conn, const char *hold)
{
    char owner[UUID_TEXT_SIZE];
    struct err e;
    struct restore r = {.conn = conn, .list.claim = {.hold = hold, .owner = owner}};
    uuid_v7(clock_unix_ms(), owner);
    r.started_ms = clock_monotonic_ms();
    PGresult *bound = db_query(conn, SQL_RESTORE_FINAL_BEFORE, 0, NULL, &e);
    if (!bound || restore_begin(conn, &r.list, &e)) {
        PQclear(bound);
        return ctl_fail(CTL_FAILED, "%s: sinks are still held", e.text);
    }
    r.progress.done = r.progress.done_first = r.list.done;
    r.progress.total = r.list.done + PQntuples(r.list.tenants);
    r.final_before = db_text(bound, 0, 0);
    r.unproven_alone = !strcmp(hold, "0");
    run_workers(&r, config);
    r.progress.elapsed_ms = clock_monotonic_ms() - r.started_ms;
    restore_progress_show(&r.progress, true);
    print_totals(&r);
    PQclear(bound);
    PQclear(r.list.tenants);
    return judge(&r);
}
