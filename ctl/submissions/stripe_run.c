/* The happy path: open a loop and a connection, start the run as soon as the connection is up,
 * close everything when it is done, and the loop ends. The failure mode: the connection cannot
 * be made, or is lost before the run began; then everything is closed with its error. */
#include "ctl/submissions/stripe_run.h"

#include "common/closing.h"

#include <assert.h>

struct stripe_run {
    uv_loop_t loop;
    struct stripe_access access;
    struct stripe_api *api;
    struct stripe_usage *usage;
    struct pg *pg;
    struct reconcile *compare;
    struct doubts *doubts;
    const struct reconcile_ask *ask; /* NULL: what is in doubt */
    bool begun;
    struct closing closing;
    struct reconcile_report *compared;
    struct doubts_report *settled;
    struct err error; /* ERR_NONE: it went well */
};

int stripe_run_check(const struct ctl_config *config)
{
    if (!config->stripe_secret_key)
        return ctl_fail(CTL_USAGE,
                        "STRIPE_SECRET_KEY must be set: this command asks Stripe what it holds");
    return conf_refuse_live_key(config->stripe_secret_key, config->stripe_live) > 0 ? CTL_USAGE
                                                                                    : CTL_DONE;
}

void stripe_run_on_found(void *owner, const struct reconcile_found *found)
{
    (void)owner;
    if (found->error)
        ctl_fail(
            0, "Stripe could not be asked about tenant %s, metric %s, customer %s, period %s: %s",
            found->tenant, found->metric, found->customer, found->period_start, found->error->text);
}

void stripe_run_on_settled(void *owner, const char *identifier, const char *customer,
                           const char *state, const char *why)
{
    (void)owner;
    ctl_fail(0, "%s of %s is %s: %s", identifier, customer, state, why);
}

struct stripe_access stripe_run_access(const struct ctl_config *config, int64_t rate_per_s)
{
    return (struct stripe_access){.key = &config->stripe_secret_key,
                                  .base = config->stripe_api_base,
                                  .version = config->stripe_api_version,
                                  .rate_per_s = rate_per_s};
}

static void free_run(void *self)
{
    struct stripe_run *r = self;
    reconcile_free(r->compare);
    doubts_free(r->doubts);
    stripe_usage_free(r->usage);
}

static void end_run(struct stripe_run *r, const struct err *error)
{
    if (closing_has_begun(&r->closing))
        return;
    if (error)
        r->error = *error;
    closing_begin(&r->closing, r, free_run, NULL, NULL);
    stripe_api_close(r->api, closing_part_closed, closing_part(&r->closing));
    pg_close(r->pg, closing_part_closed, closing_part(&r->closing));
    closing_end(&r->closing);
}

static void take_comparison(void *owner, const struct err *error,
                            const struct reconcile_report *report)
{
    struct stripe_run *r = owner;
    *r->compared = *report;
    end_run(r, error);
}

static void take_doubts(void *owner, const struct err *error, const struct doubts_report *report)
{
    struct stripe_run *r = owner;
    *r->settled = *report;
    end_run(r, error);
}

static void on_up(void *owner)
{
    struct stripe_run *r = owner;
    if (r->begun)
        return;
    r->begun = true;
    if (r->ask)
        reconcile_start(r->compare, r->pg, r->ask);
    else
        doubts_start(r->doubts, r->pg, &(struct doubts_ask){0});
}

/* A run that has begun reports the lost connection itself. */
static void on_down(void *owner, const struct err *error)
{
    struct stripe_run *r = owner;
    if (!r->begun)
        end_run(r, error);
}

static void open_all(struct stripe_run *r, const struct ctl_config *config)
{
    r->access = stripe_run_access(config, config->reconcile_rate_per_s);
    uv_loop_init(&r->loop);
    r->api = stripe_api_open(&r->loop, &r->access);
    r->usage = stripe_usage_new(r->api);
    r->compare = reconcile_new(r->usage, (struct reconcile_events){.on_found = stripe_run_on_found,
                                                                   .done = take_comparison,
                                                                   .owner = r});
    r->doubts = doubts_new(r->usage, (struct doubts_events){.on_settled = stripe_run_on_settled,
                                                            .done = take_doubts,
                                                            .owner = r});
    r->pg = pg_open(&r->loop, config->base.database_url, CTL_ROLE, CTL_PROGRAM " reconcile",
                    (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = r});
}

static int run_all(struct stripe_run *r, const struct ctl_config *config, struct err *e)
{
    open_all(r, config);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    int open = uv_loop_close(&r->loop);
    assert(open == 0);
    if (r->error.kind == ERR_NONE)
        return 0;
    *e = r->error;
    return -1;
}

int stripe_run_compare(const struct ctl_config *config, const struct reconcile_ask *ask,
                       struct reconcile_report *report, struct err *e)
{
    struct stripe_run r = {.ask = ask, .compared = report};
    *report = (struct reconcile_report){0};
    return run_all(&r, config, e);
}

int stripe_run_doubts(const struct ctl_config *config, struct doubts_report *report, struct err *e)
{
    struct stripe_run r = {.settled = report};
    *report = (struct doubts_report){0};
    return run_all(&r, config, e);
}
