#include "webhookd/work/catch_up.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/lease_owner.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/metric_table.h"
#include "common/pg/pg_array.h"
#include "common/stripe/fetcher.h"
#include "common/stripe/objects/observation.h"
#include "common/stripe/stripe_sync.h"
#include "webhookd/context.h"
#include "webhookd/receive/priority.h"
#include "webhookd/sql.h"
#include "webhookd/statement_list.h"
#include "webhookd/work/meter_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 10000,
    LEASE_S = 30,
    LOOK_MS = 60000, /* between two tries, if the interval is longer */
    AGAIN_MS = 5000, /* after a failure */
    KEPT_DAYS = 30,  /* by Stripe */
    DAY_S = 86400,
    OVERLAP_S = 600, /* that is read again */
    ON_ITS_WAY_S = 300,
    FEW = 50 /* in a window: the next one may be longer */
};

enum catch_up_state { RESTING, TAKING, READING, ASKING, STORING };

static const struct machine CATCH_UP = {
    "catch_up",
    {[RESTING] = {"resting", TO(TAKING)},
     [TAKING] = {"taking", TO(RESTING) | TO(READING) | TO(ASKING) | TO(STORING)},
     [READING] = {"reading", TO(RESTING) | TO(ASKING)},
     [ASKING] = {"asking", TO(RESTING) | TO(STORING)},
     [STORING] = {"storing", TO(RESTING) | TO(ASKING)}}};

struct catch_up {
    const struct context *context;
    struct fetcher *fetcher;
    struct pg *pg;
    uv_timer_t timer;
    enum catch_up_state state;
    char owner_name[LEASE_OWNER_SIZE];
    void (*on_stored)(void *owner);
    void *owner;
    bool at_once;     /* nothing was read since the start */
    bool first;       /* nothing was ever read: whatever is found is no surprise */
    int64_t now_s;    /* when the run began, by PostgreSQL */
    int64_t from_s;   /* the window, Unix seconds … */
    int64_t length_s; /* … and its length */
    int64_t in_window;
    char *after; /* the last event of the page before; NULL: the first page */
    bool more;   /* pages of the window */
    int64_t read;
    int64_t stored;
    int64_t missed;
    struct stripe_sync *sync;
    struct log_repeat failed;
    struct closing closing;
};

static void on_timer(uv_timer_t *timer)
{
    catch_up_wake(timer->data);
}

static void rest(struct catch_up *c, uint64_t wait_ms)
{
    machine_go(&CATCH_UP, c->state, RESTING);
    free(c->after);
    c->after = NULL;
    if (closing_has_begun(&c->closing))
        return;
    uv_timer_start(&c->timer, on_timer, wait_ms, 0);
    c->context->on_idle(c->context->owner);
}

static uint64_t pause_ms(const struct catch_up *c)
{
    uint64_t interval_ms = (uint64_t)c->context->config->catch_up_interval_s * 1000;
    return interval_ms < LOOK_MS ? interval_ms : LOOK_MS;
}

static void take_leave(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)error, (void)results, (void)n;
    rest(owner, AGAIN_MS);
}

/* Another process need not wait until our lease has passed. */
static void leave(struct catch_up *c)
{
    struct statement_list l = {0};
    if (closing_has_begun(&c->closing) || !pg_is_ready(c->pg)) {
        rest(c, AGAIN_MS);
        return;
    }
    machine_go(&CATCH_UP, c->state, STORING);
    statement_list_add(&l, SQL_LEAVE_CATCH_UP);
    param_text(&l, c->owner_name);
    statement_list_run(&l, c->pg, DEADLINE_MS, take_leave, c);
}

static void fail(struct catch_up *c, const struct err *e)
{
    uint64_t suppressed;
    if (e->kind != ERR_CANCELED && log_repeat_failed(&c->failed, clock_monotonic_ms(), &suppressed))
        log_warn(catch_up_failed, LOG_U64("held_back", suppressed), LOG_ERR(e));
    if (c->state == ASKING)
        leave(c);
    else
        rest(c, AGAIN_MS);
}

static bool is_last_window(const struct catch_up *c)
{
    return c->from_s + c->length_s > c->now_s;
}

/* Asking. */

static void take_page(void *owner, const struct fetch_answer *answer);

static void run_ask(struct catch_up *c)
{
    struct buf path = {0};
    machine_go(&CATCH_UP, c->state, ASKING);
    buf_printf(&path, "v1/events?limit=100&created[gte]=%" PRId64, c->from_s);
    if (!is_last_window(c))
        buf_printf(&path, "&created[lt]=%" PRId64, c->from_s + c->length_s);
    if (c->after)
        buf_printf(&path, "&starting_after=%s", c->after);
    fetcher_list(c->fetcher, path.data, take_page, c);
    buf_done(&path);
}

static void finish(struct catch_up *c)
{
    if (log_repeat_recovered(&c->failed) || c->missed > 0 || c->at_once)
        log_info(catch_up_finished, LOG_I64("events", c->read), LOG_I64("stored", c->stored));
    if (c->missed > 0 && !c->first)
        log_warn(deliveries_missed, LOG_I64("events", c->missed),
                 LOG_MSG("Stripe lists events that were never delivered; they are worked now"));
    c->at_once = false;
    rest(c, pause_ms(c));
}

static void next_window(struct catch_up *c)
{
    c->from_s += c->length_s;
    if (c->in_window <= FEW)
        c->length_s *= 2;
    c->in_window = 0;
    run_ask(c);
}

static void take_store(void *owner, const struct err *error, PGresult **results, int n)
{
    struct catch_up *c = owner;
    if (error) {
        fail(c, error);
        return;
    }
    const PGresult *moved = results[n - 1];
    if (n > 1) {
        int64_t stored = result_i64(results[0], 0, 0);
        int64_t missed = result_i64(results[0], 0, 1);
        c->stored += stored;
        c->missed += missed;
        if (!c->first)
            metric_add(metric_of(METRIC_OF_WEBHOOKS_MISSED, ""), missed);
        if (stored > 0)
            c->on_stored(c->owner);
    }
    if (PQntuples(moved) == 0) /* another process has taken it */
        rest(c, pause_ms(c));
    else if (c->more)
        run_ask(c);
    else if (is_last_window(c))
        finish(c);
    else
        next_window(c);
}

enum column { ID, TYPE, OBJECT, CUSTOMER, PRIORITY, CREATED, BODY, COLUMNS };

static void add_or_null(struct pg_array *column, const char *text)
{
    if (text)
        pg_array_add_text(column, text);
    else
        pg_array_add_null(column);
}

static void add_event(struct pg_array *columns, const struct stripe_event *event, const char *text)
{
    pg_array_add_text(&columns[ID], event->id);
    pg_array_add_text(&columns[TYPE], event->type);
    add_or_null(&columns[OBJECT], event->object_id);
    add_or_null(&columns[CUSTOMER], event_customer(event));
    pg_array_add_i16(&columns[PRIORITY], (int16_t)event_priority(event));
    pg_array_add_time_ms(&columns[CREATED], event->created_s * 1000);
    pg_array_add_text(&columns[BODY], text);
}

/* Types without an effect are not kept, whoever delivers them to us. */
static void add_listed(struct pg_array *columns, const json_t *listed)
{
    struct stripe_event event;
    struct err e;
    char *text = json_dumps(listed, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text && stripe_event_parse(text, strlen(text), &event, &e) == 0) {
        if (object_kind_of(event.type) || meter_report_is(event.type))
            add_event(columns, &event, text);
        stripe_event_done(&event);
    }
    free(text);
}

static void add_store(struct pg_statement *s, struct pg_array *columns)
{
    static const char YOUNG_S[] = "300";
    _Static_assert(ON_ITS_WAY_S == 300, "see YOUNG_S");
    pg_statement_init(s, SQL_STORE_LISTED);
    for (int i = 0; i < COLUMNS; i++)
        pg_add_array(s, &columns[i]);
    pg_add_text(s, YOUNG_S);
}

static void run_store(struct catch_up *c, const json_t *events)
{
    struct pg_array columns[COLUMNS];
    struct pg_statement statements[2];
    char position[24];
    size_t i;
    json_t *listed;
    int n = 0;
    machine_go(&CATCH_UP, c->state, STORING);
    for (int k = 0; k < COLUMNS; k++)
        pg_array_init(&columns[k], k == CREATED    ? PG_TIMESTAMPTZ
                                   : k == PRIORITY ? PG_INT2
                                                   : PG_TEXT);
    json_array_foreach((json_t *)events, i, listed)
    {
        add_listed(columns, listed);
    }
    if (columns[ID].count > 0)
        add_store(&statements[n++], columns);
    bool ends = !c->more && is_last_window(c);
    int64_t until_s = ends ? c->now_s : c->from_s + c->length_s;
    (void)snprintf(position, sizeof position, "%" PRId64, until_s);
    pg_statement_init(&statements[n], SQL_MOVE_CATCH_UP);
    pg_add_text(&statements[n], c->owner_name);
    pg_add_text(&statements[n], ends ? "0" : "30");
    pg_add_text(&statements[n++], c->more ? NULL : position);
    pg_run(c->pg, statements, n, DEADLINE_MS, take_store, c);
    for (int k = 0; k < COLUMNS; k++)
        pg_array_done(&columns[k]);
}

static void take_page(void *owner, const struct fetch_answer *answer)
{
    struct catch_up *c = owner;
    struct err e = {0};
    const json_t *events = json_object_get(answer->object, "data");
    size_t count = json_array_size(events);
    if (answer->error)
        e = *answer->error;
    else if (answer->refusal != FETCH_NOT_REFUSED)
        err_set(&e, ERR_REFUSED, "Stripe does not let our key list events");
    else if (!json_is_array(events))
        err_set(&e, ERR_INPUT, "Stripe's answer is no list");
    else if (!pg_is_ready(c->pg))
        err_set(&e, ERR_CLOSED, "postgres: not connected");
    if (closing_has_begun(&c->closing)) {
        rest(c, 0);
        closing_part_closed(&c->closing);
    } else if (e.kind != ERR_NONE) {
        fail(c, &e);
    } else if (stage_is_draining(c->context->stage)) {
        leave(c);
    } else {
        const char *last = stripe_text(json_array_get(events, count - 1), "id");
        c->read += (int64_t)count;
        c->in_window += (int64_t)count;
        c->more = json_is_true(json_object_get(answer->object, "has_more")) && stripe_is_id(last);
        free(c->after);
        c->after = c->more ? xstrdup(last) : NULL;
        run_store(c, events);
    }
}

/* Reading all objects, where Stripe no longer has all events since. */

static void take_sync(void *owner, const struct err *error, const struct sync_report *report)
{
    struct catch_up *c = owner;
    if (error && error->kind == ERR_FENCED) {
        /* Somebody else reads them, such as a person, and may not come to the end: until then the
         * position stays. */
        rest(c, AGAIN_MS);
        return;
    }
    if (error) {
        fail(c, error);
        return;
    }
    log_info(objects_read, LOG_I64("customers", report->read[SYNC_CUSTOMERS]),
             LOG_I64("subscriptions", report->read[SYNC_SUBSCRIPTIONS]),
             LOG_I64("gone", report->read[SYNC_GONE]));
    run_ask(c);
}

static void run_sync(struct catch_up *c)
{
    machine_go(&CATCH_UP, c->state, READING);
    stripe_sync_start(c->sync);
}

/* Taking the lease. */

static void take_lease(void *owner, const struct err *error, PGresult **results, int n)
{
    struct catch_up *c = owner;
    (void)n;
    if (error) {
        fail(c, error);
        return;
    }
    if (PQntuples(results[0]) == 0) {
        c->at_once = false; /* it is being read, or was just now */
        rest(c, pause_ms(c));
        return;
    }
    c->first = PQgetisnull(results[0], 0, 0);
    c->now_s = result_i64(results[0], 0, 1);
    int64_t kept_s = c->now_s - (int64_t)KEPT_DAYS * DAY_S;
    int64_t position_s = result_i64(results[0], 0, 0) - OVERLAP_S;
    c->from_s = position_s > kept_s ? position_s : kept_s;
    c->length_s = DAY_S;
    c->in_window = c->read = c->stored = c->missed = 0;
    if (closing_has_begun(&c->closing) || stage_is_draining(c->context->stage))
        leave(c);
    else if (!c->first && position_s < kept_s && !result_i64(results[0], 0, 2))
        run_sync(c);
    else
        run_ask(c);
}

static void run_take(struct catch_up *c)
{
    struct statement_list l = {0};
    machine_go(&CATCH_UP, c->state, TAKING);
    statement_list_add(&l, SQL_TAKE_CATCH_UP);
    param_text(&l, c->owner_name);
    param_i64(&l, LEASE_S);
    param_i64(&l, c->at_once ? 0 : c->context->config->catch_up_interval_s);
    statement_list_run(&l, c->pg, DEADLINE_MS, take_lease, c);
}

void catch_up_wake(struct catch_up *c)
{
    if (c->state != RESTING || closing_has_begun(&c->closing) ||
        stage_is_draining(c->context->stage))
        return;
    uv_timer_stop(&c->timer);
    if (c->context->schema_ready && pg_is_ready(c->pg) && !fetcher_is_paused(c->fetcher))
        run_take(c);
    else
        uv_timer_start(&c->timer, on_timer, AGAIN_MS, 0);
}

static void on_up(void *owner)
{
    catch_up_wake(owner);
}

struct catch_up *catch_up_open(const struct context *context, struct fetcher *fetcher,
                               void (*on_stored)(void *owner), void *owner)
{
    struct catch_up *c = xcalloc(1, sizeof *c);
    c->context = context;
    c->fetcher = fetcher;
    c->on_stored = on_stored;
    c->owner = owner;
    c->at_once = true;
    lease_owner_name("webhookd", c->owner_name);
    metric_of(METRIC_OF_WEBHOOKS_MISSED, "");
    uv_timer_init(stage_loop(context->stage), &c->timer);
    c->timer.data = c;
    c->pg = pg_open(stage_loop(context->stage), context->config->base.database_url,
                    "meterline_webhookd", "meterline-webhookd-catch-up",
                    (struct pg_events){.on_up = on_up, .owner = c});
    c->sync = stripe_sync_new(stage_loop(context->stage), fetcher, c->pg, "webhookd",
                              (struct sync_events){.done = take_sync, .owner = c});
    return c;
}

/* What is asked of Stripe is given up, so that a stage that drains need not wait for it. */
bool catch_up_is_idle(const struct catch_up *c)
{
    return c->state == RESTING || c->state == ASKING || c->state == READING;
}

void catch_up_close(struct catch_up *c)
{
    closing_begin(&c->closing, c, free, NULL, NULL);
    if (c->state == ASKING) /* take_page is still to come */
        closing_part(&c->closing);
    closing_handle(&c->closing, &c->timer);
    stripe_sync_close(c->sync);
    pg_close(c->pg, closing_part_closed, closing_part(&c->closing));
    closing_end(&c->closing);
}
