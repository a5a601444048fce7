#include "api/billing/schedule_release.h"

#include "api/billing/plan_change.h"
#include "common/stripe/objects/stripe_event.h"

#include <stdlib.h>
#include <string.h>

const char *schedule_of(const struct job *j)
{
    const char *id = stripe_reference(j->subscription, "schedule");
    return stripe_is_id(id) ? id : NULL;
}

static void set_schedule(struct job *j, json_t *schedule)
{
    json_incref(schedule);
    json_decref(j->schedule);
    j->schedule = schedule;
}

/* Undoing. */

static void fail_held(struct job *j)
{
    job_fail_by(j, &j->held);
}

static void take_undone(struct job *j, json_t *schedule)
{
    (void)schedule;
    fail_held(j);
}

static void let_go(struct job *j)
{
    struct stripe_form f = {0};
    char *path = xasprintf("/v1/subscription_schedules/%s/release", stripe_text(j->kept, "id"));
    j->refused = fail_held;
    job_post(j, "release_unfinished_schedule", path, &f, false, take_undone);
    free(path);
}

void schedule_undo(struct job *j)
{
    j->held = j->fault;
    let_go(j);
}

/* The phases of the schedule that was released, from the one that runs on. */
static void restore_phases(struct job *j, json_t *made)
{
    struct stripe_form f = {0};
    char *path = xasprintf("/v1/subscription_schedules/%s", stripe_text(made, "id"));
    json_decref(j->kept);
    j->kept = json_incref(made);
    if (plan_change_restore(&f, made, j->schedule, j->r->context->config->stripe_api_version) ==
        0) {
        j->refused = let_go;
        job_post(j, "restore_schedule_phases", path, &f, false, take_undone);
    } else {
        let_go(j);
    }
    stripe_form_done(&f);
    free(path);
}

void schedule_restore(struct job *j)
{
    struct stripe_form f = {0};
    j->held = j->fault;
    if (!j->schedule) {
        fail_held(j);
        return;
    }
    stripe_form_text(&f, stripe_text(j->subscription, "id"), "from_subscription");
    j->refused = fail_held;
    job_post(j, "restore_schedule", "/v1/subscription_schedules", &f, false, restore_phases);
}

/* Releasing. */

static void take_released(struct job *j, json_t *schedule)
{
    (void)schedule;
    j->after_release(j);
}

static void release_schedule(struct job *j)
{
    struct stripe_form f = {0};
    char *path = xasprintf("/v1/subscription_schedules/%s/release", schedule_of(j));
    job_post(j, "release_schedule", path, &f, false, take_released);
    free(path);
}

static void take_saved(struct api_request *r)
{
    release_schedule(job_of(r));
}

/* One that an earlier try made anew may lack its phases yet: what that try had saved counts. */
static void take_schedule(struct job *j, json_t *schedule)
{
    json_t *saved = json_object_get(j->r->progress, "released");
    const char *restored = job_made(j, "restore_schedule");
    if (saved && restored && !strcmp(restored, schedule_of(j))) {
        set_schedule(j, saved);
        release_schedule(j);
        return;
    }
    set_schedule(j, schedule);
    json_t *progress = j->r->progress ? json_copy(j->r->progress) : json_object();
    json_object_set(progress, "released", schedule);
    api_save_progress(j->r, progress, take_saved);
}

void schedule_release_first(struct job *j, job_fn next)
{
    json_t *saved = json_object_get(j->r->progress, "released");
    j->after_release = next;
    if (schedule_of(j)) {
        char *path = xasprintf("/v1/subscription_schedules/%s", schedule_of(j));
        job_get(j, path, NULL, take_schedule);
        free(path);
        return;
    }
    if (saved) /* an earlier try released it */
        set_schedule(j, saved);
    next(j);
}
