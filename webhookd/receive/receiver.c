#include "webhookd/receive/receiver.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/http/http_server.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "common/peer.h"
#include "common/pg/pg_array.h"
#include "common/pg/schema.h"
#include "common/stripe/objects/stripe_event.h"
#include "webhookd/context.h"
#include "webhookd/receive/priority.h"
#include "webhookd/receive/signature.h"
#include "webhookd/sql.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA_RETRY_MS = 1000, STORE_DEADLINE_MS = 5000 };
/* A transaction has at most so many events, and no next one once their bodies are that long. */
enum { STORE_MAX = 64, STORE_FULL_BYTES = 1 << 20 };

/* An event between its request and its answer. Of what was parsed only this is kept. */
struct delivery {
    struct http_exchange *exchange;
    char *id;
    char *type;
    char *object_id; /* NULL: it has none */
    char *customer;  /* NULL: the event does not say */
    enum priority priority;
    int64_t created_s;
    int64_t begun_ms; /* monotonic */
    struct delivery *next;
};

struct receiver {
    const struct context *context;
    struct receiver_events events;
    struct http_server *server;
    struct pg *pg;
    uv_timer_t schema_timer;
    struct delivery *first; /* waiting, oldest first */
    struct delivery *last;
    struct delivery *storing[STORE_MAX];
    int storing_n;
    int one_by_one; /* so many deliveries, because PostgreSQL refused them together */
    bool checking_schema;
    struct closing closing;
    struct log_repeat refused;
    struct log_repeat failed;
    struct log_repeat schema;
};

/* Enough for the owner of the endpoint, who sees it in Stripe's dashboard, and nothing for a
 * forger: what exactly is wrong with a signature or an event stands only in the log. */
static const struct {
    const char *outcome;
    const char *message;
} REFUSALS[] = {
    {"wrong_path", "webhooks are not served at this path: it is none of WEBHOOKD_PATH"},
    {"wrong_method", "webhooks must be sent by POST"},
    {"too_large", "the event is larger than WEBHOOKD_BODY_MAX_KB"},
    {"bad_signature",
     "the Stripe-Signature header is missing, too old, or made with another endpoint's secret"},
    {"bad_event", "the body is not a Stripe event"},
    {"unavailable", "the event could not be stored now: send it again later"},
};

/* Outcomes that alerts ask for: only what stood at 0 before is seen to rise. */
static const char *const COUNTED[] = {"stored", "duplicate", "bad_signature", "bad_event", NULL};

static const char *message_of(const char *outcome)
{
    for (size_t i = 0; i < sizeof REFUSALS / sizeof *REFUSALS; i++)
        if (strcmp(REFUSALS[i].outcome, outcome) == 0)
            return REFUSALS[i].message;
    return "refused";
}

static void answer(struct http_exchange *x, int status, const char *outcome)
{
    struct buf body = {0};
    if (status == 200)
        buf_add_str(&body, "{\"received\":true}");
    else
        buf_printf(&body, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}", outcome,
                   message_of(outcome));
    metric_count(METRIC_OF_WEBHOOK_REQUESTS, outcome);
    http_reply(x, status, "application/json", body.data, body.length);
    buf_done(&body);
}

/* Storing: all deliveries that wait go into one transaction and are answered after its COMMIT. */

static void delivery_end(struct delivery *d, int status, const char *outcome)
{
    answer(d->exchange, status, outcome);
    metric_observe(metric_of(METRIC_OF_WEBHOOK_ANSWER, ""), clock_monotonic_ms() - d->begun_ms);
    free(d->id);
    free(d->type);
    free(d->object_id);
    free(d->customer);
    free(d);
}

static void queue_add(struct receiver *r, struct delivery *d)
{
    if (r->last)
        r->last->next = d;
    else
        r->first = d;
    r->last = d;
}

static struct delivery *queue_pop(struct receiver *r)
{
    struct delivery *d = r->first;
    r->first = d->next;
    if (!r->first)
        r->last = NULL;
    d->next = NULL;
    return d;
}

static void fail_waiting(struct receiver *r)
{
    r->one_by_one = 0;
    while (r->first)
        delivery_end(queue_pop(r), 503, "unavailable");
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
    uint64_t suppressed;
    bool refused = error->kind == ERR_REFUSED && !error->retry;
    if (error->kind != ERR_CANCELED &&
        log_repeat_failed(&r->failed, clock_monotonic_ms(), &suppressed))
        log_warn(webhook_store_failed, LOG_I64("events", r->storing_n),
                 LOG_U64("held_back", suppressed), LOG_ERR(error));
    if (refused && r->storing_n > 1) {
        r->one_by_one = r->storing_n;
        put_back(r);
        return;
    }
    for (int i = 0; i < r->storing_n; i++)
        delivery_end(r->storing[i], refused ? 500 : 503, refused ? "refused" : "unavailable");
    r->storing_n = 0;
}

/* fresh: the ids of those that were not stored before, in our order. */
static void stored(struct receiver *r, const PGresult *fresh)
{
    int row = 0;
    if (log_repeat_recovered(&r->failed))
        log_info(webhook_store_recovered, LOG_I64("events", r->storing_n));
    for (int i = 0; i < r->storing_n; i++) {
        const char *id = row < PQntuples(fresh) ? PQgetvalue(fresh, row, 0) : "";
        bool is_new = strcmp(id, r->storing[i]->id) == 0;
        row += is_new;
        delivery_end(r->storing[i], 200, is_new ? "stored" : "duplicate");
    }
    assert(row == PQntuples(fresh));
    r->storing_n = 0;
    r->events.on_stored(r->events.owner);
}

static void store_waiting(struct receiver *r);

static void take_store(void *owner, const struct err *error, PGresult **results, int n)
{
    struct receiver *r = owner;
    (void)n;
    if (error) {
        store_failed(r, error);
    } else {
        stage_crash_point("after_store");
        stored(r, results[0]);
    }
    if (closing_has_begun(&r->closing))
        fail_waiting(r);
    else
        store_waiting(r);
    r->context->on_idle(r->context->owner);
}

/* In one order everywhere: two that store the same events would wait for each other. */
static int by_id(const void *a, const void *b)
{
    const struct delivery *const *x = a;
    const struct delivery *const *y = b;
    return strcmp((*x)->id, (*y)->id);
}

static void pop_waiting(struct receiver *r)
{
    size_t bytes = 0;
    int most = r->one_by_one > 0 ? 1 : STORE_MAX;
    while (r->first && r->storing_n < most && bytes < STORE_FULL_BYTES) {
        bytes += r->first->exchange->body_length;
        r->storing[r->storing_n++] = queue_pop(r);
    }
    if (r->one_by_one > 0)
        r->one_by_one--;
    qsort(r->storing, (size_t)r->storing_n, sizeof(struct delivery *), by_id);
}

/* The parameters of store_events.sql. */
enum column { ID, TYPE, OBJECT, CUSTOMER, PRIORITY, CREATED, BODY, COLUMNS };

static void add_text_or_null(struct pg_array *a, const char *text)
{
    if (text)
        pg_array_add_text(a, text);
    else
        pg_array_add_null(a);
}

static void add_delivery(struct pg_array columns[COLUMNS], const struct delivery *d)
{
    pg_array_add_text(&columns[ID], d->id);
    pg_array_add_text(&columns[TYPE], d->type);
    add_text_or_null(&columns[OBJECT], d->object_id);
    add_text_or_null(&columns[CUSTOMER], d->customer);
    pg_array_add_i16(&columns[PRIORITY], (int16_t)d->priority);
    pg_array_add_time_ms(&columns[CREATED], d->created_s * 1000);
    pg_array_add(&columns[BODY], d->exchange->body, d->exchange->body_length);
}

/* One statement, and so one transaction: either all of them are stored or none. */
static void run_store(struct receiver *r)
{
    static const unsigned TYPES[COLUMNS] = {[PRIORITY] = PG_INT2, [CREATED] = PG_TIMESTAMPTZ};
    struct pg_array columns[COLUMNS];
    struct pg_statement s;
    for (int c = 0; c < COLUMNS; c++)
        pg_array_init(&columns[c], TYPES[c] ? TYPES[c] : PG_TEXT);
    for (int i = 0; i < r->storing_n; i++)
        add_delivery(columns, r->storing[i]);
    pg_statement_init(&s, SQL_STORE_EVENTS);
    for (int c = 0; c < COLUMNS; c++)
        pg_add_array(&s, &columns[c]);
    pg_run(r->pg, &s, 1, STORE_DEADLINE_MS, take_store, r);
    for (int c = 0; c < COLUMNS; c++)
        pg_array_done(&columns[c]);
}

static void store_waiting(struct receiver *r)
{
    if (!r->first || r->storing_n > 0 || r->checking_schema)
        return;
    if (!pg_is_ready(r->pg) || !r->context->schema_ready) {
        fail_waiting(r);
        return;
    }
    pop_waiting(r);
    run_store(r);
}

/* Requests. */

static void refuse(struct receiver *r, struct http_exchange *x, const char *outcome,
                   const char *why)
{
    uint64_t suppressed;
    if (log_repeat_failed(&r->refused, clock_monotonic_ms(), &suppressed))
        log_warn(webhook_refused, LOG_STR("reason", outcome), LOG_U64("held_back", suppressed),
                 LOG_I64("body_bytes", x->body_length), LOG_MSG(why));
    answer(x, 400, outcome);
}

/* Signature first: only what Stripe signed reaches the JSON parser. */
static void take_body(struct receiver *r, struct http_exchange *x)
{
    struct err e;
    const char *header = http_exchange_header(x, "Stripe-Signature");
    enum signature verdict =
        signature_verify(header, x->body, x->body_length, r->context->config->webhook_secrets,
                         clock_unix_ms() / 1000);
    if (verdict != SIGNATURE_OK) {
        refuse(r, x, "bad_signature", signature_fault(verdict));
        return;
    }
    struct stripe_event event;
    if (stripe_event_parse(x->body, x->body_length, &event, &e)) {
        refuse(r, x, "bad_event", e.text);
        return;
    }
    struct delivery *d = xcalloc(1, sizeof *d);
    d->exchange = x;
    d->begun_ms = clock_monotonic_ms();
    d->id = xstrdup(event.id);
    d->type = xstrdup(event.type);
    d->object_id = event.object_id ? xstrdup(event.object_id) : NULL;
    d->customer = event_customer(&event) ? xstrdup(event_customer(&event)) : NULL;
    d->priority = event_priority(&event);
    d->created_s = event.created_s;
    stripe_event_done(&event);
    queue_add(r, d);
    store_waiting(r);
}

static bool is_served(const struct receiver *r, const char *path)
{
    size_t length = strlen(path);
    for (const char *at = r->context->config->paths;; at += strcspn(at, ",") + 1) {
        size_t part = strcspn(at, ",");
        if (part == length && !strncmp(at, path, part))
            return true;
        if (!at[part])
            return false;
    }
}

static void on_request(void *owner, struct http_exchange *x)
{
    struct receiver *r = owner;
    if (!is_served(r, x->path)) {
        answer(x, 404, "wrong_path");
    } else if (strcmp(x->method, "POST") != 0) {
        http_reply_header(x, "Allow", "POST");
        answer(x, 405, "wrong_method");
    } else if (x->too_large) {
        answer(x, 413, "too_large");
    } else if (stage_is_draining(r->context->stage)) {
        answer(x, 503, "unavailable");
    } else {
        take_body(r, x);
    }
}

static void check_schema(void *owner);

static void on_schema_timer(uv_timer_t *timer)
{
    check_schema(timer->data);
}

static void on_schema(void *owner, const struct err *error)
{
    struct receiver *r = owner;
    uint64_t suppressed;
    r->checking_schema = false;
    r->events.on_schema(r->events.owner, error == NULL);
    if (!error) {
        store_waiting(r);
    } else if (error->kind == ERR_SCHEMA && !error->retry) {
        log_error(schema_refused, LOG_ERR(error));
        stage_finish(r->context->stage, EXIT_FAILED);
    } else if (error->kind == ERR_SCHEMA && !closing_has_begun(&r->closing)) {
        if (log_repeat_failed(&r->schema, clock_monotonic_ms(), &suppressed))
            log_warn(schema_waited, LOG_U64("held_back", suppressed), LOG_ERR(error));
        uv_timer_start(&r->schema_timer, on_schema_timer, SCHEMA_RETRY_MS, 0);
    }
    if (error)
        fail_waiting(r);
}

static void check_schema(void *owner)
{
    struct receiver *r = owner;
    /* If the connection was lost meanwhile, on_up checks again. */
    if (closing_has_begun(&r->closing) || r->checking_schema || !pg_is_ready(r->pg))
        return;
    r->checking_schema = true;
    schema_check(r->pg, on_schema, r);
}

struct receiver *receiver_open(const struct context *context, struct receiver_events events,
                               struct err *e)
{
    struct receiver *r = xcalloc(1, sizeof *r);
    r->context = context;
    r->events = events;
    for (int i = 0; COUNTED[i]; i++)
        metric_with(METRIC_OF_WEBHOOK_REQUESTS, COUNTED[i]);
    uv_timer_init(stage_loop(context->stage), &r->schema_timer);
    r->schema_timer.data = r;
    r->server = http_server_open(stage_loop(context->stage), "webhooks", context->config->listen,
                                 (size_t)context->config->body_max_kb << 10, on_request, r, e);
    if (!r->server) {
        closing_begin(&r->closing, r, free, NULL, NULL);
        closing_handle(&r->closing, &r->schema_timer);
        closing_end(&r->closing);
        err_wrap(e, "WEBHOOKD_LISTEN");
        return NULL;
    }
    r->pg = pg_open(stage_loop(context->stage), context->config->base.database_url,
                    "meterline_webhookd", "meterline-webhookd-receiver",
                    (struct pg_events){.on_up = check_schema, .owner = r});
    return r;
}

void receiver_quiesce(struct receiver *r)
{
    http_server_quiesce(r->server);
}

bool receiver_is_idle(const struct receiver *r)
{
    return http_server_in_flight(r->server) == 0;
}

bool receiver_is_ready(const struct receiver *r, struct buf *why)
{
    if (!pg_is_up(r->pg))
        peer_add_why(PEER_POSTGRES, why);
    else if (!r->context->schema_ready)
        buf_add_str(why, "postgres: the schema is missing or older, or is being checked; see "
                         "`meterctl migrate`\n");
    if (http_server_is_crowded(r->server))
        buf_add_str(why, "webhooks: too many clients are connected, and the slowest are cut off\n");
    return pg_is_up(r->pg) && r->context->schema_ready;
}

/* The connection goes first: what it was storing is answered while there still is a server. */
void receiver_close(struct receiver *r)
{
    closing_begin(&r->closing, r, free, NULL, NULL);
    fail_waiting(r);
    pg_close(r->pg, closing_part_closed, closing_part(&r->closing));
    http_server_close(r->server, closing_part_closed, closing_part(&r->closing));
    closing_handle(&r->closing, &r->schema_timer);
    closing_end(&r->closing);
}
