/* Keeps events: those that wait at once go into one transaction, and are answered after its COMMIT.
 */
#include "webhookd/receiver_internal.h"

#include "common/clock.h"
#include "webhookd/sql.h"

#include <stdlib.h>
#include <string.h>

enum { STORE_DEADLINE_MS = 5000 };

static void delivery_end(struct delivery *w, int status, const char *outcome)
{
    receiver_answer(w->exchange, status, outcome);
    stripe_event_done(&w->event);
    free(w);
}

void receiver_queue(struct receiver *r, struct delivery *w)
{
    if (r->last)
        r->last->next = w;
    else
        r->first = w;
    r->last = w;
}

static struct delivery *queue_take(struct receiver *r)
{
    struct delivery *w = r->first;
    r->first = w->next;
    if (!r->first)
        r->last = NULL;
    w->next = NULL;
    return w;
}

void receiver_fail_waiting(struct receiver *r)
{
    while (r->first)
        delivery_end(queue_take(r), 503, "unavailable");
}

static void log_store_failed(struct receiver *r, const struct err *error)
{
    uint64_t held;
    if (error->kind != ERR_CANCELED && log_repeat_failed(&r->failed, clock_monotonic_ms(), &held))
        log_warn("store_failed", LOG_I64("events", r->storing_n), LOG_U64("held_back", held),
                 LOG_ERR(error));
}

static void put_back(struct receiver *r)
{
    for (int i = r->storing_n - 1; i >= 0; i--) {
        r->storing[i]->next = r->first;
        r->first = r->storing[i];
        if (!r->last)
            r->last = r->first;
    }
    r->storing_n = 0;
}

static void store_failed(struct receiver *r, const struct err *error)
{
    log_store_failed(r, error);
    bool refused = error->kind == ERR_REFUSED && !error->retry;
    if (refused && r->storing_n > 1) {
        r->one_by_one = true;
        put_back(r);
        return;
    }
    for (int i = 0; i < r->storing_n; i++)
        delivery_end(r->storing[i], refused ? 500 : 503, refused ? "refused" : "unavailable");
    r->storing_n = 0;
}

static void stored(struct receiver *r, PGresult **results)
{
    if (log_repeat_recovered(&r->failed))
        log_info("store_recovered", LOG_I64("events", r->storing_n));
    for (int i = 0; i < r->storing_n; i++) {
        bool new = strcmp(PQcmdTuples(results[i]), "1") == 0;
        delivery_end(r->storing[i], 200, new ? "stored" : "duplicate");
    }
    r->storing_n = 0;
    if (!r->first)
        r->one_by_one = false;
    webhookd_wake_workers(r->d);
}

static void take_store(void *owner, const struct err *error, PGresult **results, int n)
{
    struct receiver *r = owner;
    (void)n;
    if (error) {
        store_failed(r, error);
    } else {
        stage_crash_point("after_store");
        stored(r, results);
    }
    if (r->closing)
        receiver_fail_waiting(r);
    else
        receiver_store(r);
    webhookd_check_drained(r->d);
}

static void add_store(struct script *s, const struct delivery *w)
{
    const struct stripe_event *event = &w->event;
    script_add(s, SQL_STORE_EVENT);
    script_text(s, event->id);
    script_text(s, event->type);
    script_text(s, event->object_id);
    script_i64(s, event->created_s);
    script_text(s, w->exchange->body);
}

/* The pipeline is one implicit transaction: either all of them are kept or none. */
void receiver_store(struct receiver *r)
{
    struct script s = {0};
    if (!r->first || r->storing_n > 0 || r->checking_schema)
        return;
    if (!pg_is_ready(r->pg) || !r->d->schema_ready) {
        receiver_fail_waiting(r);
        return;
    }
    int most = r->one_by_one ? 1 : STORE_MAX;
    while (r->first && r->storing_n < most) {
        r->storing[r->storing_n] = queue_take(r);
        add_store(&s, r->storing[r->storing_n++]);
    }
    script_run(&s, r->pg, STORE_DEADLINE_MS, take_store, r);
}
