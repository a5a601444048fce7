#include "webhookd/work/event_batch.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/machine.h"
#include "common/metric_table.h"
#include "common/stage.h"
#include "common/str.h"
#include "common/stripe/fetcher.h"
#include "webhookd/limits/limits.h"
#include "webhookd/sql.h"
#include "webhookd/statement_list.h"
#include "webhookd/work/event_item.h"
#include "webhookd/work/event_rules.h"

#include <stdlib.h>
#include <string.h>

enum {
    REPORTS_MAX = 64, /* in one transaction */
    AGAIN_MS = 200,   /* at the earliest, where Stripe as a whole is waited for */
    DEADLINE_MS = 10000,
    WRITE_DEADLINE_MS = 60000 /* another worker may work for the same tenants */
};

/* The columns of apply_events.sql. */
enum column { COLUMN_WHAT, COLUMN_ID, COLUMN_TENANT, COLUMN_STATE, COLUMN_WHY };

static const struct machine EVENT_BATCH = {
    "event_batch",
    {[IDLE] = {"idle", TO(FETCHING) | TO(WRITING)},
     [FETCHING] = {"fetching", TO(IDLE) | TO(READING) | TO(WRITING)},
     [READING] = {"reading", TO(IDLE) | TO(FETCHING) | TO(WRITING) | TO(DELAYING)},
     [WRITING] = {"writing", TO(IDLE) | TO(CACHING) | TO(DELAYING)},
     [CACHING] = {"caching", TO(IDLE)},
     [DELAYING] = {"delaying", TO(IDLE)}}};

static void end_batch(struct event_batch *b, enum event_batch_end end)
{
    for (int i = 0; i < b->n; i++)
        event_item_done(&b->items[i]);
    free(b->items);
    b->items = NULL;
    b->n = 0;
    machine_go(&EVENT_BATCH, b->state, IDLE);
    b->done(b->owner, end);
}

/* Caching limits. */

static void take_limits(void *owner, const struct err *error, PGresult **results, int n)
{
    struct event_batch *b = owner;
    (void)n;
    /* On an error nothing is lost: the sweep writes these limits within a minute. */
    if (!error && PQntuples(results[0]) > 0 && !b->closing)
        limits_write(b->limits, results[0], LIMITS_WRITE, NULL, NULL);
    end_batch(b, BATCH_ENDED);
}

static void run_cache(struct event_batch *b, const json_t *tenants)
{
    struct statement_list l = {0};
    machine_go(&EVENT_BATCH, b->state, CACHING);
    statement_list_add(&l, SQL_READ_LIMITS);
    param_json(&l, tenants);
    statement_list_run(&l, b->pg, DEADLINE_MS, take_limits, b);
}

/* Telling what became of the events. */

static const struct event_item *item_of(const struct event_batch *b, const char *id)
{
    for (int i = 0; i < b->n; i++)
        if (strcmp(b->items[i].event.id, id) == 0)
            return &b->items[i];
    return NULL;
}

static void log_end(const struct event_batch *b, const PGresult *r, int row)
{
    const char *id = result_text(r, row, COLUMN_ID);
    const char *state = result_text(r, row, COLUMN_STATE);
    const char *why = result_text(r, row, COLUMN_WHY);
    const struct event_item *item = item_of(b, id);
    bool failed = strcmp(state, "failed") == 0;
    enum log_event event = failed                            ? LOG_OF_webhook_failed
                           : strcmp(state, "processed") == 0 ? LOG_OF_webhook_processed
                                                             : LOG_OF_webhook_ignored;
    metric_count(METRIC_OF_WEBHOOKS_WORKED, state);
    if (item)
        metric_observe(metric_with(METRIC_OF_WEBHOOK_SECONDS, state),
                       clock_monotonic_ms() - item->received_ms);
    log_event(failed ? LOG_ERROR : LOG_INFO, event, LOG_STR("type", item ? item->event.type : NULL),
              LOG_STR("id", id), LOG_STR("object", item ? item->event.object_id : NULL),
              LOG_STR("tenant", result_text(r, row, COLUMN_TENANT)),
              LOG_BOOL("fetched", item && item->fetched), LOG_STR("msg", why));
}

static void log_told(const struct event_batch *b, const PGresult *r, int row)
{
    const char *what = result_text(r, row, COLUMN_WHAT);
    const char *id = result_text(r, row, COLUMN_ID);
    const char *tenant = result_text(r, row, COLUMN_TENANT);
    const char *why = result_text(r, row, COLUMN_WHY);
    if (strcmp(what, "event") == 0)
        log_end(b, r, row);
    else if (strcmp(what, "plan_unknown") == 0)
        log_warn(plan_unknown, LOG_STR("tenant", tenant), LOG_STR("object", id),
                 LOG_MSG("the subscription fits no plan of the catalog, so its tenant keeps the "
                         "limits that it had: see lookup keys and metadata.plan"));
    else if (strcmp(what, "contested") == 0)
        log_error(
            customer_contested, LOG_STR("tenant", tenant), LOG_STR("customers", why),
            LOG_MSG("two customers with a subscription each have this tenant; nothing is sent "
                    "to Stripe for it: end one subscription, or correct metadata.tenant"));
    else if (strcmp(what, "other_tenant") == 0)
        log_error(
            tenant_mismatched, LOG_STR("tenant", tenant), LOG_STR("object", id),
            LOG_STR("named", why),
            LOG_MSG("the object names another tenant than its customer belongs to, and counts "
                    "for the customer's: correct its metadata.tenant"));
}

static void log_report(const struct event_item *item, const PGresult *answer)
{
    log_warn(
        meter_errors_reported, LOG_STR("type", item->event.type), LOG_STR("id", item->event.id),
        LOG_STR("meter", item->event.object_id), LOG_I64("errors", item->report.error_count),
        LOG_U64("named", json_array_size(item->report.named)),
        LOG_I64("marked", result_i64(answer, 0, 0)), LOG_I64("asked", result_i64(answer, 0, 1)));
}

/* Putting off. */

static void log_delay(struct event_batch *b, const struct event_item *item, enum retry_cause cause,
                      int64_t wait_ms)
{
    uint64_t suppressed = 0;
    metric_count(METRIC_OF_WEBHOOKS_WORKED, "delayed");
    if (cause == CAUSE_PEER && !log_repeat_failed(&b->delayed, clock_monotonic_ms(), &suppressed))
        return;
    log_warn(webhook_delayed, LOG_STR("type", item->event.type), LOG_STR("id", item->event.id),
             LOG_I64("attempt", item->attempts + 1), LOG_I64("wait_ms", wait_ms),
             LOG_U64("held_back", suppressed), LOG_MSG(item->why));
}

/* Append one of those that are put off. Returns false if it has been tried often enough. */
static bool add_delay(struct event_batch *b, struct event_item *item, enum retry_cause cause,
                      json_t *delays)
{
    int64_t wait_ms = 0;
    if (item->kept_back) {
        wait_ms = fetcher_wait_ms(b->fetcher, item->kept_back);
        wait_ms = wait_ms > AGAIN_MS ? wait_ms : AGAIN_MS;
    } else if (retry_decide(cause, item->attempts + 1, backoff_random(), &wait_ms) == RETRY_FAIL) {
        return false;
    }
    json_array_append_new(delays, json_pack("{s:s, s:s, s:I}", "event", item->event.id, "why",
                                            item->why, "wait_ms", (json_int_t)wait_ms));
    log_delay(b, item, cause, wait_ms);
    return true;
}

static void take_delay(void *owner, const struct err *error, PGresult **results, int n)
{
    struct event_batch *b = owner;
    /* A full disk refuses this as well. */
    if (!error && b->items[0].outcome == OUTCOME_FAILED && n > 0)
        for (int row = 0; row < PQntuples(results[0]); row++)
            log_told(b, results[0], row);
    end_batch(b, !error ? BATCH_ENDED : error->kind == ERR_REFUSED ? BATCH_REFUSED : BATCH_LOST);
}

/* PostgreSQL refused the only event: the transaction is gone. */
static void run_delay(struct event_batch *b, enum retry_cause cause)
{
    struct statement_list l = {0};
    struct event_item *item = &b->items[0];
    json_t *list = json_array();
    machine_go(&EVENT_BATCH, b->state, DELAYING);
    if (add_delay(b, item, cause, list)) {
        statement_list_add(&l, SQL_DELAY_EVENTS);
    } else {
        item->outcome = OUTCOME_FAILED;
        event_item_add(item, list, b->fetcher != NULL);
        statement_list_add(&l, SQL_APPLY_EVENTS);
    }
    param_json(&l, list);
    json_decref(list);
    statement_list_run(&l, b->pg, DEADLINE_MS, take_delay, b);
}

/* Returns true if the work has ended, or is being put off, because of the error. */
static bool end_on_error(struct event_batch *b, const struct err *error)
{
    if (!error)
        return false;
    if (error->kind != ERR_REFUSED || b->closing || !pg_is_ready(b->pg)) {
        end_batch(b, BATCH_LOST);
    } else if (b->n > 1) {
        end_batch(b, BATCH_SPLIT);
    } else {
        event_item_end(&b->items[0], b->items[0].outcome, "%.150s", error->text);
        run_delay(b, pg_is_data_fault(error) ? CAUSE_REFUSED : CAUSE_PEER);
    }
    return true;
}

/* Writing the effects. */

static void take_write(void *owner, const struct err *error, PGresult **results, int n)
{
    struct event_batch *b = owner;
    (void)n;
    if (end_on_error(b, error))
        return;
    stage_crash_point("after_commit");
    const PGresult *told = results[0];
    json_t *tenants = json_array();
    for (int row = 0; row < PQntuples(told); row++) {
        log_told(b, told, row);
        if (strcmp(result_text(told, row, COLUMN_WHAT), "limits") == 0)
            json_array_append_new(tenants, json_string(result_text(told, row, COLUMN_TENANT)));
    }
    for (int i = 0; i < b->n; i++)
        if (b->items[i].report_answer > 0)
            log_report(&b->items[i], results[b->items[i].report_answer]);
    if (json_array_size(tenants) > 0 && !b->closing)
        run_cache(b, tenants);
    else
        end_batch(b, BATCH_ENDED);
    json_decref(tenants);
}

static void add_report(struct statement_list *l, struct event_item *item)
{
    const struct meter_report *r = &item->report;
    bool others = r->error_count > (int64_t)json_array_size(r->named);
    bool known = others && r->start_s > 0 && r->end_s > 0;
    item->report_answer = l->n;
    statement_list_add(l, SQL_NOTE_METER_ERRORS);
    param_json(l, r->named);
    param_i64_or_null(l, known ? r->start_s : 0);
    param_i64_or_null(l, known ? r->end_s : 0);
}

static void fail_reports(struct event_batch *b)
{
    for (int i = 0; i < b->n; i++)
        if (b->items[i].is_report && b->items[i].outcome == OUTCOME_OPEN)
            event_item_end(&b->items[i], OUTCOME_FAILED,
                           "the report does not say what Stripe refused, and could not be fetched: "
                           "check STRIPE_SECRET_KEY");
}

/* Each is a statement of its own. */
static void put_off_reports(struct event_batch *b)
{
    int n = 0;
    for (int i = 0; i < b->n; i++)
        if (b->items[i].is_report && b->items[i].outcome == OUTCOME_PROCESSED && ++n > REPORTS_MAX)
            event_item_end(&b->items[i], OUTCOME_DELAYED, "many reports came at once");
}

static void run_write(struct event_batch *b)
{
    struct statement_list l = {0};
    json_t *batch = json_array();
    json_t *delays = json_array();
    machine_go(&EVENT_BATCH, b->state, WRITING);
    fail_reports(b);
    put_off_reports(b);
    for (int i = 0; i < b->n; i++) {
        event_item_add(&b->items[i], batch, b->fetcher != NULL);
        if (b->items[i].outcome == OUTCOME_DELAYED)
            add_delay(b, &b->items[i], CAUSE_PEER, delays);
    }
    statement_list_add(&l, SQL_APPLY_EVENTS);
    param_json(&l, batch);
    for (int i = 0; i < b->n; i++)
        if (b->items[i].is_report && b->items[i].outcome == OUTCOME_PROCESSED)
            add_report(&l, &b->items[i]);
    if (json_array_size(delays) > 0) {
        statement_list_add(&l, SQL_DELAY_EVENTS);
        param_json(&l, delays);
    }
    statement_list_add(&l, "commit");
    stage_crash_point("before_commit");
    statement_list_run(&l, b->pg, WRITE_DEADLINE_MS, take_write, b);
    json_decref(batch);
    json_decref(delays);
}

/* Fetching. */

/* A thin event and its fetched object go together. All others say what they tell by themselves, so
 * that what Stripe refuses to our key is worked as without one; the fetcher tells of it. */
static bool needs_object(const struct event_item *item)
{
    return !item->observation && (!item->is_report || item->outcome == OUTCOME_OPEN);
}

static const char *path_of(const struct event_item *item)
{
    return item->is_report ? "v2/core/events" : item->kind->path;
}

/* Returns true if the item is put off. path: that was asked. */
static bool put_off(struct event_item *item, const struct fetch_answer *answer, const char *path)
{
    item->refusal = answer->refusal;
    if (answer->refusal == FETCH_KEY_REFUSED && needs_object(item)) {
        item->kept_back = path;
        event_item_end(
            item, OUTCOME_DELAYED,
            "fetch from Stripe: it refuses our key, and a thin event only names its object");
        return true;
    }
    if (!answer->error)
        return false;
    item->kept_back = answer->kept_back ? path : NULL;
    event_item_end(item, OUTCOME_DELAYED, "fetch from Stripe: %.150s", answer->error->text);
    return true;
}

static void run_read(struct event_batch *b);

static void all_fetched(struct event_batch *b)
{
    /* The connection may have been lost meanwhile, and the transaction with it. */
    if (b->closing || b->connection_lost || !pg_is_ready(b->pg)) {
        end_batch(b, BATCH_LOST);
        return;
    }
    for (int i = 0; i < b->n && !b->customers_asked; i++) {
        struct event_item *item = &b->items[i];
        const struct event_item *served = item->same_as >= 0 ? &b->items[item->same_as] : NULL;
        if (!served)
            continue;
        item->fetched = served->fetched ? json_incref(served->fetched) : NULL;
        item->fetched_at_ms = served->fetched_at_ms;
        item->refusal = served->refusal;
        item->kept_back = served->kept_back;
        if (served->outcome == OUTCOME_DELAYED)
            event_item_end(item, OUTCOME_DELAYED, "%s", served->why);
        else if (item->refusal == FETCH_KEY_REFUSED)
            put_off(item, &(struct fetch_answer){.refusal = item->refusal}, path_of(item));
    }
    if (b->customers_asked)
        run_write(b);
    else
        run_read(b);
}

static void fetched_one(struct event_batch *b)
{
    if (--b->fetching == 0)
        all_fetched(b);
}

static void take_page(void *owner, const struct fetch_answer *answer);

/* Stripe lists the first ten items within the subscription. */
static bool fetch_more_items(struct event_item *item, const json_t *list)
{
    const json_t *data = json_object_get(list, "data");
    const char *last = stripe_text(json_array_get(data, json_array_size(data) - 1), "id");
    if (item->kind != &SUBSCRIPTION_KIND || !json_is_true(json_object_get(list, "has_more")) ||
        !stripe_is_id(last))
        return false;
    char *path = xasprintf("v1/subscription_items?limit=100&expand[]=data.price.tiers"
                           "&subscription=%s&starting_after=%s",
                           item->event.object_id, last);
    fetcher_list(item->batch->fetcher, path, take_page, item);
    free(path);
    return true;
}

static void take_page(void *owner, const struct fetch_answer *answer)
{
    struct event_item *item = owner;
    json_t *page = answer->object;
    if (!item->more_items)
        item->more_items = json_array();
    json_array_extend(item->more_items, json_object_get(page, "data"));
    if (!put_off(item, answer, SUBSCRIPTION_KIND.path) && fetch_more_items(item, page))
        return;
    if (!page) { /* the list stays cut */
        json_decref(item->more_items);
        item->more_items = NULL;
    }
    fetched_one(item->batch);
}

static void take_object(void *owner, const struct fetch_answer *answer)
{
    struct event_item *item = owner;
    json_t *object = answer->object;
    item->fetched_at_ms = answer->sent_ms + pg_clock_offset_ms(item->batch->pg);
    if (!put_off(item, answer, path_of(item)) && object && item->is_report) {
        if (meter_report_parse(object, &item->report) == 0)
            item->outcome = OUTCOME_PROCESSED;
        item->fetched = json_incref(object);
    } else if (object) {
        item->fetched = json_incref(object);
        if (fetch_more_items(item, json_object_get(object, "items")))
            return;
    }
    fetched_one(item->batch);
}

static void take_customer(void *owner, const struct fetch_answer *answer)
{
    struct event_item *item = owner;
    enum fetch_refusal refusal = item->refusal;
    if (!put_off(item, answer, CUSTOMER_KIND.path) && answer->object) {
        item->fetched_customer = json_incref(answer->object);
        item->customer_at_ms = answer->sent_ms + pg_clock_offset_ms(item->batch->pg);
    }
    item->refusal = refusal;
    fetched_one(item->batch);
}

static void take_read(void *owner, const struct err *error, PGresult **results, int n)
{
    struct event_batch *b = owner;
    (void)n;
    if (end_on_error(b, error))
        return;
    const PGresult *unknown = results[0];
    b->customers_asked = true;
    b->fetching = 1;
    if (PQntuples(unknown) > 0)
        machine_go(&EVENT_BATCH, b->state, FETCHING);
    for (int row = 0; row < PQntuples(unknown); row++) {
        const char *id = result_text(unknown, row, 0);
        struct event_item *asks = NULL;
        for (int i = 0; i < b->n && !asks; i++) {
            const char *its = event_item_customer(&b->items[i]);
            if (its && strcmp(its, id) == 0 && b->items[i].outcome == OUTCOME_OPEN)
                asks = &b->items[i];
        }
        if (asks) {
            b->fetching++;
            fetcher_get(b->fetcher, CUSTOMER_KIND.path, id, take_customer, asks);
        }
    }
    fetched_one(b);
}

/* Whose are they? With a key, a customer that nothing has told the tenant of is asked for it. */
static void run_read(struct event_batch *b)
{
    struct statement_list l = {0};
    json_t *customers = json_array();
    for (int i = 0; i < b->n; i++) {
        const char *id = event_item_customer(&b->items[i]);
        if (id && b->items[i].outcome == OUTCOME_OPEN &&
            !json_object_get(b->items[i].observation, "tenant"))
            json_array_append_new(customers, json_string(id));
    }
    if (json_array_size(customers) == 0) {
        run_write(b);
    } else {
        machine_go(&EVENT_BATCH, b->state, READING);
        statement_list_add(&l, SQL_FIND_UNKNOWN_CUSTOMERS);
        param_json(&l, customers);
        statement_list_run(&l, b->pg, DEADLINE_MS, take_read, b);
    }
    json_decref(customers);
}

static bool is_same_object(const struct event_item *a, const struct event_item *b)
{
    return a->outcome == OUTCOME_OPEN && a->kind == b->kind && a->event.object_id &&
           b->event.object_id && !a->is_report && !b->is_report &&
           strcmp(a->event.object_id, b->event.object_id) == 0;
}

static void fetch_one(struct event_batch *b, int place)
{
    struct event_item *item = &b->items[place];
    bool has_path = item->kind && item->kind->path;
    if (item->outcome != OUTCOME_OPEN || (!has_path && !item->is_report))
        return;
    for (int i = 0; i < place && item->same_as < 0; i++)
        if (b->items[i].same_as < 0 && is_same_object(&b->items[i], item))
            item->same_as = i;
    if (item->same_as >= 0)
        return;
    b->fetching++;
    fetcher_get(b->fetcher, path_of(item), item->is_report ? item->event.id : item->event.object_id,
                take_object, item);
}

void event_batch_start(struct event_batch *b, const PGresult *rows)
{
    b->n = PQntuples(rows);
    b->items = xcalloc((size_t)b->n, sizeof *b->items);
    b->customers_asked = b->fetcher == NULL;
    b->fetching = 1;
    for (int i = 0; i < b->n; i++) {
        b->items[i].batch = b;
        b->items[i].attempts = result_i64(rows, i, 2);
        b->items[i].received_ms = clock_monotonic_ms() - result_i64(rows, i, 4);
        event_item_open(&b->items[i], result_text(rows, i, 0), result_text(rows, i, 1),
                        result_text(rows, i, 3), b->live);
    }
    if (b->fetcher) {
        machine_go(&EVENT_BATCH, b->state, FETCHING);
        for (int i = 0; i < b->n; i++)
            fetch_one(b, i);
        fetched_one(b);
    } else {
        run_write(b);
    }
}
