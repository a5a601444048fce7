#include "common/stripe/stripe_sync.h"

#include "common/backoff.h"
#include "common/closing.h"
#include "common/lease_owner.h"
#include "common/machine.h"
#include "common/pg/pg.h"
#include "common/sql.h"
#include "common/str.h"
#include "common/stripe/fetcher.h"
#include "common/stripe/objects/observation.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 10000,
    WRITE_DEADLINE_MS = 120000, /* workers of webhookd may work for the same tenants */
    TRIES = 12,
    FENCED_MAX = 3,
    RETRY_FIRST_MS = 500,
    RETRY_MAX_MS = 10000,
    RECENT_S = 62 * 86400 /* invoices: of the billing period before this one, and what it led to */
};
#define LEASE_MS "3000"

enum sync_state { RESTING, TAKING, WAITING, ASKING, FINDING, WRITING };

static const struct machine SYNC = {
    "stripe_sync",
    {[RESTING] = {"resting", TO(TAKING)},
     [TAKING] = {"taking", TO(RESTING) | TO(WAITING) | TO(ASKING) | TO(FINDING)},
     [WAITING] = {"waiting", TO(RESTING) | TO(TAKING) | TO(ASKING) | TO(FINDING) | TO(WRITING)},
     [ASKING] = {"asking", TO(RESTING) | TO(WAITING) | TO(WRITING) | TO(ASKING)},
     [FINDING] = {"finding", TO(RESTING) | TO(WAITING) | TO(ASKING) | TO(WRITING)},
     [WRITING] = {"writing", TO(RESTING) | TO(WAITING) | TO(ASKING) | TO(FINDING)}}};

/* In the order of enum sync_step. */
static const struct {
    const char *name;
    const struct object_kind *kind;
    const char *query;
    bool recent; /* those of the last RECENT_S */
} STEPS[SYNC_STEPS] = {
    {"customers", &CUSTOMER_KIND, "?limit=100", false},
    {"subscriptions", &SUBSCRIPTION_KIND, "?limit=100&status=all", false},
    {"invoices", &INVOICE_KIND, "?limit=100", true},
    {"open_invoices", &INVOICE_KIND, "?limit=100&status=open", false},
    {"gone", NULL, NULL, false},
};

struct stripe_sync {
    struct fetcher *fetcher;
    struct pg *pg;
    struct sync_events events;
    char owner_name[LEASE_OWNER_SIZE];
    uv_timer_t timer;
    enum sync_state state;
    void (*again)(struct stripe_sync *s); /* what the timer goes on with */
    struct sync_report report;
    char *after;       /* the last object that was read of this list, or looked for; NULL: none */
    char *started;     /* when the run began, as PostgreSQL tells it */
    int64_t started_s; /* the same, Unix seconds */
    bool from_top;     /* the list is read once more */
    json_t *page;      /* objects of a page */
    int64_t asked_ms;  /* when it was asked for, Unix ms by our clock */
    size_t cut;        /* the first of them whose items may not be complete */
    json_t *batch;     /* observations to be applied */
    char *next_after;
    bool more;         /* pages of this list */
    int asked;         /* answers that are still to come */
    struct err failed; /* one of them */
    int in_page;       /* objects */
    int tries;
    int fenced; /* the lease was another run's, so often */
    struct backoff backoff;
    struct closing closing;
};

const char *sync_step_name(enum sync_step step)
{
    return STEPS[step].name;
}

static void forget_page(struct stripe_sync *s)
{
    json_decref(s->page);
    json_decref(s->batch);
    free(s->next_after);
    s->page = s->batch = NULL;
    s->next_after = NULL;
}

static void end_run(struct stripe_sync *s, const struct err *error)
{
    machine_go(&SYNC, s->state, RESTING);
    forget_page(s);
    if (closing_has_begun(&s->closing))
        closing_part_closed(&s->closing);
    else
        s->events.done(s->events.owner, error, &s->report);
}

static void on_timer(uv_timer_t *timer)
{
    struct stripe_sync *s = timer->data;
    struct err e;
    if (!pg_is_ready(s->pg)) {
        err_set(&e, ERR_CLOSED, "the connection to PostgreSQL was lost");
        end_run(s, &e);
        return;
    }
    s->again(s);
}

static void wait_then(struct stripe_sync *s, void (*again)(struct stripe_sync *), uint64_t wait_ms)
{
    machine_go(&SYNC, s->state, WAITING);
    s->again = again;
    uv_update_time(s->timer.loop);
    uv_timer_start(&s->timer, on_timer, wait_ms, 0);
}

/* Again after a while, or never. at_least_ms: for so long nothing helps. */
static void try_again(struct stripe_sync *s, void (*again)(struct stripe_sync *),
                      int64_t at_least_ms, const struct err *e)
{
    if (closing_has_begun(&s->closing) || e->kind == ERR_CANCELED || ++s->tries > TRIES) {
        end_run(s, e);
        return;
    }
    uint64_t wait_ms = backoff_next_ms(&s->backoff, backoff_random());
    wait_then(s, again, at_least_ms > (int64_t)wait_ms ? (uint64_t)at_least_ms : wait_ms);
}

static void run_ask(struct stripe_sync *s);
static void run_find(struct stripe_sync *s);

static void next_page(struct stripe_sync *s)
{
    if (s->report.step == SYNC_GONE)
        run_find(s);
    else
        run_ask(s);
}

/* Applying a page. */

static void run_write(struct stripe_sync *s);

static void own_text(char **place, char *text)
{
    free(*place);
    *place = text;
}

static void take_write(void *owner, const struct err *error, PGresult **results, int n)
{
    struct stripe_sync *s = owner;
    struct err e;
    if (error && (error->kind != ERR_REFUSED || !error->retry)) {
        end_run(s, error);
        return;
    }
    if (error) { /* such as a deadlock with a worker of webhookd */
        try_again(s, run_write, 0, error);
        return;
    }
    if (n > 1)
        for (int row = 0; row < PQntuples(results[0]); row++)
            s->report.plans_unknown += !strcmp(PQgetvalue(results[0], row, 0), "plan_unknown");
    if (PQntuples(results[n - 1]) == 0) {
        err_set(&e, ERR_FENCED, "another run has taken over, and goes on");
        end_run(s, &e);
        return;
    }
    s->tries = 0;
    backoff_reset(&s->backoff);
    s->report.read[s->report.step] += s->in_page;
    if (s->events.on_progress)
        s->events.on_progress(s->events.owner, &s->report);
    if (!s->more && s->report.step == SYNC_GONE) {
        end_run(s, NULL);
        return;
    }
    own_text(&s->after, s->more ? xstrdup(s->next_after) : NULL);
    if (!s->more) {
        s->report.step++;
        s->from_top = false;
    }
    forget_page(s);
    next_page(s);
}

/* The list that is read next; NULL: that was all. */
static const char *step_after(const struct stripe_sync *s)
{
    if (s->more)
        return STEPS[s->report.step].name;
    return s->report.step < SYNC_GONE ? STEPS[s->report.step + 1].name : NULL;
}

/* With the place that is reached by it. */
static void run_write(struct stripe_sync *s)
{
    struct pg_statement statements[2];
    char count[24];
    int n = 0;
    char *batch = json_dumps(s->batch, JSON_COMPACT);
    machine_go(&SYNC, s->state, WRITING);
    if (json_array_size(s->batch) > 0) {
        pg_statement_init(&statements[n], SQL_SYNC_APPLY);
        pg_add_text(&statements[n++], batch);
    }
    (void)snprintf(count, sizeof count, "%d", s->in_page);
    pg_statement_init(&statements[n], SQL_SYNC_MOVE);
    pg_add_text(&statements[n], s->owner_name);
    pg_add_text(&statements[n], LEASE_MS);
    pg_add_text(&statements[n], STEPS[s->report.step].name);
    pg_add_text(&statements[n], count);
    pg_add_text(&statements[n], step_after(s));
    pg_add_text(&statements[n++], s->more ? s->next_after : NULL);
    pg_run(s->pg, statements, n, WRITE_DEADLINE_MS, take_write, s);
    free(batch);
}

/* at_ms: when the object was asked for, Unix ms by our clock. */
static void observe(struct stripe_sync *s, const struct object_kind *kind, const json_t *object,
                    int64_t at_ms)
{
    struct err e;
    json_t *seen = observe_fetched(kind, object, at_ms + pg_clock_offset_ms(s->pg), &e);
    if (seen)
        json_array_append_new(s->batch, seen);
    else
        s->report.odd++;
}

static bool is_lost(struct stripe_sync *s)
{
    struct err e;
    if (pg_is_ready(s->pg) && !closing_has_begun(&s->closing))
        return false;
    err_set(&e, ERR_CLOSED, "the connection to PostgreSQL was lost");
    end_run(s, &e);
    return true;
}

/* Asking for a page. */

static bool is_refused(const struct fetch_answer *answer, const char *what, struct err *e)
{
    if (answer->refusal == FETCH_NOT_REFUSED)
        return false;
    err_set(e, ERR_REFUSED, "Stripe does not let our key read %s (%d)", what, answer->status);
    return true;
}

static void complete_page(struct stripe_sync *s);

static void take_items(void *owner, const struct fetch_answer *answer)
{
    struct stripe_sync *s = owner;
    struct err e;
    json_t *list = json_object_get(json_array_get(s->page, s->cut), "items");
    if (is_lost(s))
        return;
    if (answer->error) {
        try_again(s, complete_page, fetcher_wait_ms(s->fetcher, "v1/subscription_items"),
                  answer->error);
    } else if (is_refused(answer, "subscription items", &e)) {
        end_run(s, &e);
    } else {
        json_array_extend(json_object_get(list, "data"), json_object_get(answer->object, "data"));
        json_object_set_new(
            list, "has_more",
            json_boolean(json_is_true(json_object_get(answer->object, "has_more"))));
        complete_page(s);
    }
}

/* Stripe lists the first ten items within a subscription. */
static void complete_page(struct stripe_sync *s)
{
    for (; s->cut < json_array_size(s->page); s->cut++) {
        const json_t *object = json_array_get(s->page, s->cut);
        const json_t *list = json_object_get(object, "items");
        const json_t *data = json_object_get(list, "data");
        const char *last = stripe_text(json_array_get(data, json_array_size(data) - 1), "id");
        const char *id = stripe_text(object, "id");
        if (!json_is_true(json_object_get(list, "has_more")) || !stripe_is_id(last) ||
            !stripe_is_id(id))
            continue;
        char *path = xasprintf("v1/subscription_items?limit=100&subscription=%s&starting_after=%s",
                               id, last);
        machine_go(&SYNC, s->state, ASKING);
        fetcher_list(s->fetcher, path, take_items, s);
        free(path);
        return;
    }
    size_t i;
    json_t *object;
    json_array_foreach(s->page, i, object)
    {
        observe(s, STEPS[s->report.step].kind, object, s->asked_ms);
    }
    run_write(s);
}

static void read_page(struct stripe_sync *s, const struct fetch_answer *answer)
{
    json_t *data = json_object_get(answer->object, "data");
    const char *last = stripe_text(json_array_get(data, json_array_size(data) - 1), "id");
    s->asked_ms = answer->sent_ms;
    s->page = json_incref(data);
    s->batch = json_array();
    s->cut = 0;
    s->in_page = (int)json_array_size(data);
    s->more = json_is_true(json_object_get(answer->object, "has_more")) && stripe_is_id(last);
    own_text(&s->next_after, s->more ? xstrdup(last) : NULL);
    complete_page(s);
}

/* Was the last object of the page before deleted meanwhile? */
static bool is_place_gone(const struct stripe_sync *s, const struct fetch_answer *answer)
{
    return s->after && !s->from_top && answer->refusal == FETCH_REFUSED &&
           (answer->status == 400 || answer->status == 404);
}

static void take_page(void *owner, const struct fetch_answer *answer)
{
    struct stripe_sync *s = owner;
    struct err e;
    if (is_lost(s))
        return;
    if (answer->error) {
        try_again(s, run_ask, fetcher_wait_ms(s->fetcher, STEPS[s->report.step].kind->path),
                  answer->error);
    } else if (is_place_gone(s, answer) || (s->after && !answer->object && !s->from_top &&
                                            answer->refusal == FETCH_NOT_REFUSED)) {
        s->from_top = true;
        own_text(&s->after, NULL);
        run_ask(s);
    } else if (is_refused(answer, STEPS[s->report.step].name, &e)) {
        end_run(s, &e);
    } else if (!json_is_array(json_object_get(answer->object, "data"))) {
        err_set(&e, ERR_INPUT, "Stripe's answer is no list");
        try_again(s, run_ask, 0, &e);
    } else {
        read_page(s, answer);
    }
}

static void run_ask(struct stripe_sync *s)
{
    struct buf path = {0};
    enum sync_step step = s->report.step;
    machine_go(&SYNC, s->state, ASKING);
    buf_printf(&path, "%s%s", STEPS[step].kind->path, STEPS[step].query);
    if (step == SYNC_SUBSCRIPTIONS)
        buf_add_str(&path, fetcher_expand_listed(s->fetcher));
    if (STEPS[step].recent)
        buf_printf(&path, "&created[gte]=%" PRId64, s->started_s - RECENT_S);
    if (s->after)
        buf_printf(&path, "&starting_after=%s", s->after);
    fetcher_list(s->fetcher, path.data, take_page, s);
    buf_done(&path);
}

/* What no list had any more. */

static void gone_one(struct stripe_sync *s)
{
    if (--s->asked > 0 || is_lost(s))
        return;
    if (s->failed.kind == ERR_NONE) {
        run_write(s);
        return;
    }
    forget_page(s);
    try_again(s, run_find, fetcher_wait_ms(s->fetcher, CUSTOMER_KIND.path), &s->failed);
}

static void take_gone(struct stripe_sync *s, const struct object_kind *kind,
                      const struct fetch_answer *answer)
{
    if (answer->object) {
        observe(s, kind, answer->object, answer->sent_ms);
        s->in_page++;
    } else if (answer->error) {
        s->failed = *answer->error;
    }
    gone_one(s);
}

static void take_gone_customer(void *owner, const struct fetch_answer *answer)
{
    take_gone(owner, &CUSTOMER_KIND, answer);
}

static void take_gone_subscription(void *owner, const struct fetch_answer *answer)
{
    take_gone(owner, &SUBSCRIPTION_KIND, answer);
}

static void take_found(void *owner, const struct err *error, PGresult **results, int n)
{
    struct stripe_sync *s = owner;
    (void)n;
    if (error) {
        end_run(s, error);
        return;
    }
    const PGresult *rows = results[0];
    int count = PQntuples(rows);
    s->batch = json_array();
    s->in_page = 0;
    s->more = count > 0;
    own_text(&s->next_after, s->more ? xstrdup(PQgetvalue(rows, count - 1, 0)) : NULL);
    machine_go(&SYNC, s->state, ASKING);
    s->asked = 1;
    s->failed = (struct err){0};
    for (int row = 0; row < count; row++) {
        const char *id = PQgetvalue(rows, row, 0);
        bool customer = !strcmp(PQgetvalue(rows, row, 1), "customer");
        s->asked++;
        fetcher_get(s->fetcher, customer ? CUSTOMER_KIND.path : SUBSCRIPTION_KIND.path, id,
                    customer ? take_gone_customer : take_gone_subscription, s);
    }
    gone_one(s);
}

static void run_find(struct stripe_sync *s)
{
    struct pg_statement statement;
    machine_go(&SYNC, s->state, FINDING);
    pg_statement_init(&statement, SQL_SYNC_FIND_GONE);
    pg_add_text(&statement, s->started);
    pg_add_text(&statement, s->after);
    pg_run(s->pg, &statement, 1, DEADLINE_MS, take_found, s);
}

/* Taking the lease. */

static void run_take(struct stripe_sync *s);

static void wait_for_lease(struct stripe_sync *s, const PGresult *holder)
{
    struct err e;
    if (s->fenced++ < FENCED_MAX) {
        wait_then(s, run_take, (uint64_t)strtoull(PQgetvalue(holder, 0, 1), NULL, 10) + 50);
        return;
    }
    err_set(&e, ERR_FENCED, "another run is under way, by %.60s", PQgetvalue(holder, 0, 0));
    end_run(s, &e);
}

static void read_counts(struct stripe_sync *s, const char *text)
{
    json_t *counts = json_loads(text, 0, NULL);
    for (int step = 0; step < SYNC_STEPS; step++)
        s->report.read[step] =
            json_integer_value(json_object_get(counts, sync_step_name((enum sync_step)step)));
    json_decref(counts);
}

static void take_lease(void *owner, const struct err *error, PGresult **results, int n)
{
    struct stripe_sync *s = owner;
    (void)n;
    if (error) {
        end_run(s, error);
        return;
    }
    const PGresult *r = results[0];
    if (PQntuples(r) == 0) {
        wait_for_lease(s, results[1]);
        return;
    }
    for (int step = 0; step < SYNC_STEPS; step++)
        if (!strcmp(STEPS[step].name, PQgetvalue(r, 0, 0)))
            s->report.step = (enum sync_step)step;
    own_text(&s->after, PQgetisnull(r, 0, 1) ? NULL : xstrdup(PQgetvalue(r, 0, 1)));
    read_counts(s, PQgetvalue(r, 0, 2));
    own_text(&s->started, xstrdup(PQgetvalue(r, 0, 3)));
    s->started_s = strtoll(PQgetvalue(r, 0, 4), NULL, 10);
    s->report.resumed = s->after || s->report.step > SYNC_CUSTOMERS;
    if (s->events.on_progress)
        s->events.on_progress(s->events.owner, &s->report);
    next_page(s);
}

static void run_take(struct stripe_sync *s)
{
    struct pg_statement statements[2];
    machine_go(&SYNC, s->state, TAKING);
    pg_statement_init(&statements[0], SQL_SYNC_TAKE);
    pg_add_text(&statements[0], s->owner_name);
    pg_add_text(&statements[0], LEASE_MS);
    pg_statement_init(&statements[1], SQL_SYNC_HOLDER);
    pg_run(s->pg, statements, 2, DEADLINE_MS, take_lease, s);
}

struct stripe_sync *stripe_sync_new(uv_loop_t *loop, struct fetcher *fetcher, struct pg *pg,
                                    const char *name, struct sync_events events)
{
    struct stripe_sync *s = xcalloc(1, sizeof *s);
    s->fetcher = fetcher;
    s->pg = pg;
    s->events = events;
    lease_owner_name(name, s->owner_name);
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    return s;
}

void stripe_sync_start(struct stripe_sync *s)
{
    assert(pg_is_ready(s->pg));
    s->report = (struct sync_report){0};
    s->tries = s->fenced = 0;
    s->from_top = false;
    s->backoff = BACKOFF(RETRY_FIRST_MS, RETRY_MAX_MS);
    run_take(s);
}

bool stripe_sync_runs(const struct stripe_sync *s)
{
    return s->state != RESTING;
}

static void release(void *self)
{
    struct stripe_sync *s = self;
    forget_page(s);
    free(s->after);
    free(s->started);
    free(s);
}

void stripe_sync_close(struct stripe_sync *s)
{
    closing_begin(&s->closing, s, release, NULL, NULL);
    closing_handle(&s->closing, &s->timer);
    if (s->state != RESTING && s->state != WAITING) /* an answer is still to come */
        closing_part(&s->closing);
    closing_end(&s->closing);
}
