/* Changes of a subscription that stands: another plan, interval or seats; its end, or no end; going
 * on after a pause. A request asks for one of these.
 *
 * A subscription that a schedule will change at the period's end refuses direct changes: the
 * schedule is released first. If the change is then refused, the schedule is made anew, so that
 * nothing is half done (schedule_release.h).
 *
 * What was before is saved with the request: a repetition that finds the change done, since the
 * try that did it died, answers as that one would have. */
#include "api/billing/billing_routes.h"
#include "api/billing/plan_change.h"
#include "api/billing/schedule_release.h"
#include "api/billing/steps.h"
#include "api/billing/stripe_versions.h"
#include "api/billing/subscription_view.h"
#include "api/sql.h"
#include "common/stripe/objects/stripe_event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *version_of(const struct job *j)
{
    return j->r->context->config->stripe_api_version;
}

static char *path_of(const struct job *j)
{
    return xasprintf("/v1/subscriptions/%s", stripe_text(j->subscription, "id"));
}

/* before: taken. */
static void finish_from(struct job *j, json_t *before, json_t *subscription, const char *when)
{
    const char *id = stripe_text(subscription, "id");
    const char *invoice = stripe_reference(subscription, "latest_invoice");
    job_hint(j, "customer.subscription", id);
    if (stripe_is_id(invoice))
        job_hint(j, "invoice", invoice);
    json_t *after = subscription_summary(subscription, j->known);
    json_object_set_new(after, "change", json_string(when));
    if (*j->plan && strcmp(when, "period_end") == 0)
        json_object_set_new(after, "plan", json_string(j->plan));
    api_note(j->r, id, before, after);
    job_finish(j, 200, SQL_SHOW_SUBSCRIPTION, id,
               subscription_view(j->tenant, subscription, j->known),
               json_pack("{s:s}", "change", when));
}

static void finish(struct job *j, json_t *subscription, const char *when)
{
    finish_from(j, subscription_summary(j->subscription, j->known), subscription, when);
}

/* When what this request did in an earlier try takes effect; NULL: that did nothing. */
static const char *done_before(const struct job *j)
{
    static const struct {
        const char *operation;
        const char *when;
    } LAST[] = {{"change_subscription", "now"}, {"schedule_change", "period_end"},
                {"undo_cancel", "now"},         {"cancel_at_period_end", "period_end"},
                {"resume_subscription", "now"}, {"resume_collection", "now"}};
    for (size_t i = 0; i < sizeof LAST / sizeof *LAST; i++)
        if (job_made(j, LAST[i].operation))
            return LAST[i].when;
    return NULL;
}

static void take_saved(struct api_request *r)
{
    struct job *j = job_of(r);
    j->after_live(j);
}

/* next changes j->subscription, if that is not done yet. */
static void begin_change(struct job *j, job_fn next)
{
    json_t *before = json_object_get(j->r->progress, "before");
    const char *when = done_before(j);
    if (when && before) {
        finish_from(j, json_incref(before), j->subscription, when);
        return;
    }
    json_t *progress = j->r->progress ? json_copy(j->r->progress) : json_object();
    json_object_set_new(progress, "before", subscription_summary(j->subscription, j->known));
    j->after_live = next;
    api_save_progress(j->r, progress, take_saved);
}

static void take_changed(struct job *j, json_t *subscription)
{
    finish(j, subscription, "now");
}

static void take_unchanged(struct job *j, json_t *subscription)
{
    finish(j, subscription, "none");
}

static void take_scheduled(struct job *j, json_t *subscription)
{
    finish(j, subscription, "period_end");
}

/* As it is now. */
static void read_again(struct job *j, job_object_fn done)
{
    char *path = path_of(j);
    job_get(j, path, NULL, done);
    free(path);
}

/* Another plan, interval or seats. */

static struct change_wish wish_of(const struct job *j, const struct offer *target)
{
    const char *when = api_text(j->r, "at");
    const char *proration = api_text(j->r, "proration");
    return (struct change_wish){.target = target,
                                .seats = api_whole(j->r, "seats"),
                                .when = !when                  ? WHEN_FITTING
                                        : !strcmp(when, "now") ? WHEN_NOW
                                                               : WHEN_PERIOD_END,
                                .proration = proration ? proration : "create_prorations",
                                .version = version_of(j),
                                .tenant = j->tenant};
}

static void change_now(struct job *j)
{
    struct stripe_form f = {0};
    struct offer offer;
    if (steps_read_offer(j, j->interval, &offer))
        return;
    struct change_wish wish = wish_of(j, &offer);
    char *path = path_of(j);
    plan_change_now(&f, j->subscription, j->known, &wish);
    j->refused = schedule_restore;
    job_post(j, "change_subscription", path, &f, false, take_changed);
    free(path);
}

static void take_phases(struct job *j, json_t *schedule)
{
    (void)schedule;
    read_again(j, take_scheduled);
}

static void set_phases(struct job *j, json_t *schedule)
{
    struct stripe_form f = {0};
    struct offer offer;
    if (steps_read_offer(j, j->interval, &offer))
        return;
    struct change_wish wish = wish_of(j, &offer);
    char *path = xasprintf("/v1/subscription_schedules/%s", stripe_text(schedule, "id"));
    j->refused = j->kept ? schedule_undo : NULL;
    if (plan_change_later(&f, schedule, j->subscription, j->known, &wish) == 0)
        job_post(j, "schedule_change", path, &f, false, take_phases);
    else
        job_fail(j, 409, "schedule_not_running", NULL,
                 "The schedule %s of this subscription has no phase that runs now: release it in "
                 "Stripe's dashboard",
                 stripe_text(schedule, "id"));
    stripe_form_done(&f);
    free(path);
}

static void take_created(struct job *j, json_t *schedule)
{
    json_decref(j->kept);
    j->kept = json_incref(schedule);
    set_phases(j, schedule);
}

/* One that an earlier try of this request made, and no more, is let go like a new one. */
static void take_found(struct job *j, json_t *schedule)
{
    const char *made = job_made(j, "create_schedule");
    (made && !strcmp(made, schedule_of(j)) ? take_created : set_phases)(j, schedule);
}

static void change_later(struct job *j)
{
    struct stripe_form f = {0};
    const char *schedule = schedule_of(j);
    if (json_is_true(json_object_get(j->subscription, "cancel_at_period_end")) ||
        stripe_integer(j->subscription, "cancel_at", 0) > 0) {
        job_fail(j, 409, "subscription_ends", NULL,
                 "The subscription ends with its period: undo that first (cancel_at_period_end: "
                 "false)");
    } else if (schedule) {
        char *path = xasprintf("/v1/subscription_schedules/%s", schedule);
        job_get(j, path, NULL, take_found);
        free(path);
    } else {
        stripe_form_text(&f, stripe_text(j->subscription, "id"), "from_subscription");
        job_post(j, "create_schedule", "/v1/subscription_schedules", &f, false, take_created);
    }
}

static void read_unchanged(struct job *j)
{
    read_again(j, take_unchanged);
}

static void decide(struct job *j)
{
    struct offer offer;
    if (steps_read_offer(j, j->interval, &offer))
        return;
    struct change_wish wish = wish_of(j, &offer);
    switch (plan_change_decide(j->subscription, j->known, &wish)) {
    case CHANGE_NOTHING:
        schedule_release_first(j, read_unchanged);
        return;
    case CHANGE_NOW:
        schedule_release_first(j, change_now);
        return;
    case CHANGE_LATER:
        change_later(j);
        return;
    case CHANGE_CURRENCY:
        job_fail(j, 409, "other_currency", "plan",
                 "The plan is sold in %s, and the subscription is in %s: end it, and begin a new "
                 "one",
                 offer.fee.currency, stripe_text(j->subscription, "currency"));
        return;
    }
}

/* The plan that it has, and its interval, where the request names none. */
static void plan_wish(struct job *j)
{
    const json_t *fee = plan_change_fee_item(j->subscription, j->known);
    const char *own =
        stripe_text(json_object_get(json_object_get(fee, "price"), "recurring"), "interval");
    const char *asked = api_text(j->r, "interval");
    const char *interval = asked ? asked : own;
    free(j->interval);
    j->interval = interval ? xstrdup(interval) : NULL;
    steps_fetch_prices(j, j->interval, decide);
}

static void name_plan(struct job *j)
{
    const json_t *fee = plan_change_fee_item(j->subscription, j->known);
    const char *plan = fee ? plan_change_plan_of(json_object_get(fee, "price"), j->known) : NULL;
    if (*j->plan) {
        plan_wish(j);
    } else if (!plan || strlen(plan) >= sizeof j->plan) {
        job_fail(j, 409, "unknown_plan", "plan",
                 "The plan of this subscription is not in the catalog: say which one is wished");
    } else {
        (void)snprintf(j->plan, sizeof j->plan, "%s", plan);
        j->begin = plan_wish;
        job_read_state(j);
    }
}

/* Its end, and no end. */

static void end_with_period(struct job *j)
{
    struct stripe_form f = {0};
    char *path = path_of(j);
    stripe_form_bool(&f, true, "cancel_at_period_end");
    j->refused = schedule_restore;
    job_post(j, "cancel_at_period_end", path, &f, false, take_scheduled);
    free(path);
}

static void begin_end(struct job *j)
{
    if (json_is_true(json_object_get(j->subscription, "cancel_at_period_end")))
        take_scheduled(j, j->subscription);
    else
        schedule_release_first(j, end_with_period);
}

void subscription_end_with_period(struct job *j)
{
    begin_change(j, begin_end);
}

/* The portal of a flexible subscription sets cancel_at alone. */
static void undo_end(struct job *j)
{
    struct stripe_form f = {0};
    bool at_end = json_is_true(json_object_get(j->subscription, "cancel_at_period_end"));
    char *path = path_of(j);
    if (!at_end && stripe_integer(j->subscription, "cancel_at", 0) <= 0) {
        take_unchanged(j, j->subscription);
    } else {
        if (at_end)
            stripe_form_bool(&f, false, "cancel_at_period_end");
        else
            stripe_form_text(&f, "", "cancel_at");
        job_post(j, "undo_cancel", path, &f, false, take_changed);
    }
    free(path);
}

/* Going on. */

static void resume(struct job *j)
{
    struct stripe_form f = {0};
    const char *status = stripe_text(j->subscription, "status");
    char *path = path_of(j);
    char *resume_path = xasprintf("%s/resume", path);
    if (status && !strcmp(status, "paused")) {
        stripe_form_text(&f, "now",
                         stripe_knows_anchor_type(version_of(j)) ? "billing_cycle_anchor[type]"
                                                                 : "billing_cycle_anchor");
        stripe_form_text(&f, "create_prorations", "proration_behavior");
        job_post(j, "resume_subscription", resume_path, &f, false, take_changed);
    } else if (json_is_object(json_object_get(j->subscription, "pause_collection"))) {
        stripe_form_text(&f, "", "pause_collection");
        job_post(j, "resume_collection", path, &f, false, take_changed);
    } else {
        take_unchanged(j, j->subscription);
    }
    free(resume_path);
    free(path);
}

static void change(struct job *j)
{
    if (!api_given(j->r, "cancel_at_period_end"))
        (api_flag(j->r, "resume") ? resume : name_plan)(j);
    else if (api_flag(j->r, "cancel_at_period_end"))
        begin_end(j);
    else
        undo_end(j);
}

static void take_live(struct job *j)
{
    begin_change(j, change);
}

static void take_customer(struct job *j)
{
    steps_need_live(j, take_live);
}

static void begin(struct job *j)
{
    steps_need_customer(j, take_customer);
}

void subscription_change(struct api_request *r)
{
    bool changes = api_given(r, "plan") || api_given(r, "interval") || api_given(r, "seats");
    int wishes = changes + api_given(r, "cancel_at_period_end") + api_flag(r, "resume");
    if (wishes != 1)
        api_fail(r, 400, "invalid", NULL,
                 "Say one of: plan, interval or seats; cancel_at_period_end; resume");
    else
        job_start(r, api_text(r, "plan"), begin);
}
