#include "webhookd/work/fetcher.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/contract.h"
#include "common/http/http_client.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "common/str.h"
#include "common/stripe/objects/stripe_event.h"
#include "common/stripe/stripe_answer.h"
#include "common/stripe/stripe_limits.h"
#include "webhookd/config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 3000,
    TIMEOUT_MS = 10000,
    BODY_MAX_BYTES = 4 << 20,
    PATIENCE_MS = 20000, /* with 429s: the caller has locks meanwhile */
    PAUSE_MS = 3000,
    UNAUTHORIZED = 401,
    FORBIDDEN = 403,
    TOO_MANY_REQUESTS = 429,
    FLAP_MS = 60000,
    CALLS_PER_WORKER = 32 /* side by side */
};

struct fetch {
    struct fetcher *fetcher;
    char *url;
    int64_t begun_ms; /* monotonic */
    fetch_done_fn done;
    void *owner;
    struct fetch *next; /* in the queue */
};

struct fetcher {
    const struct config *config;
    struct http_client *client;
    struct stripe_limits limits;
    struct fetch *first; /* the queue */
    struct fetch **end;
    uv_timer_t timer;
    /* Stripe is one peer, however many workers ask it. If it comes and goes, that is logged once a
     * minute. */
    struct log_causes losses;
    int64_t logged_ms;   /* when the last loss was; monotonic */
    uint64_t suppressed; /* losses since */
    struct err loss;     /* of the last call; ERR_NONE: Stripe answered it */
    struct closing closing;
};

static void report_lost(struct fetcher *f, const struct err *error)
{
    uint64_t suppressed;
    int64_t now_ms = clock_monotonic_ms();
    if (error->kind == ERR_CANCELED)
        return;
    f->loss = *error;
    if (!f->losses.repeat.failing && f->logged_ms && now_ms - f->logged_ms < FLAP_MS) {
        f->suppressed++;
        return;
    }
    if (!log_cause_failed(&f->losses, error->text, now_ms, &suppressed))
        return;
    log_warn(peer_lost, LOG_STR("peer", "stripe"), LOG_U64("held_back", suppressed + f->suppressed),
             LOG_ERR(error));
    f->logged_ms = now_ms;
    f->suppressed = 0;
}

static void report_answer(struct fetcher *f, const char *outcome)
{
    metric_count(METRIC_OF_STRIPE_REQUESTS, outcome);
    f->loss = (struct err){0};
    if (log_cause_recovered(&f->losses))
        log_info(peer_back, LOG_STR("peer", "stripe"));
}

static void end_fetch(struct fetch *fetch, const struct err *error, json_t *object)
{
    struct fetch f = *fetch;
    free(fetch->url);
    free(fetch);
    f.done(f.owner, error, object);
}

/* The queue. */

static void enqueue(struct fetch *fetch)
{
    struct fetcher *f = fetch->fetcher;
    fetch->next = NULL;
    *f->end = fetch;
    f->end = &fetch->next;
}

static struct fetch *dequeue(struct fetcher *f)
{
    struct fetch *fetch = f->first;
    f->first = fetch->next;
    if (!f->first)
        f->end = &f->first;
    return fetch;
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer);

static void send_one(struct fetcher *f, struct fetch *fetch)
{
    char *key = xasprintf("Bearer %s", f->config->stripe_secret_key);
    const struct http_header headers[] = {
        {"Authorization", key}, {"Stripe-Version", f->config->stripe_api_version}, {NULL, NULL}};
    const struct http_call call = {.method = "GET",
                                   .url = fetch->url,
                                   .headers = headers,
                                   .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                   .timeout_ms = TIMEOUT_MS};
    stripe_limits_take(&f->limits, 1);
    http_send(f->client, &call, on_answer, fetch);
    free(key);
}

static void on_timer(uv_timer_t *timer);

static void send_all(struct fetcher *f)
{
    while (f->first && stripe_limits_available(&f->limits, clock_monotonic_ms()) > 0)
        send_one(f, dequeue(f));
    if (!f->first || closing_has_begun(&f->closing))
        return;
    uv_update_time(f->timer.loop);
    uv_timer_start(&f->timer, on_timer,
                   (uint64_t)stripe_limits_wait_ms(&f->limits, clock_monotonic_ms()), 0);
}

static void on_timer(uv_timer_t *timer)
{
    send_all(timer->data);
}

bool fetcher_is_paused(struct fetcher *f)
{
    return stripe_limits_wait_ms(&f->limits, clock_monotonic_ms()) > PAUSE_MS;
}

void fetcher_add_why(const struct fetcher *f, struct buf *why)
{
    if (f->loss.kind == ERR_NONE)
        return;
    if (f->loss.code == UNAUTHORIZED || f->loss.code == FORBIDDEN)
        buf_printf(why, "stripe: refuses our key (%d)", f->loss.code);
    else
        buf_add_str(why, "stripe: cannot be reached, or answers with errors");
    buf_add_str(why, ": events are stored and worked later\n");
}

/* Answers. */

static json_t *read_object(const struct http_answer *answer, struct err *e)
{
    if (answer->status != 200) {
        stripe_answer_error(answer, e);
        return NULL;
    }
    json_t *object = stripe_json_load(answer->body, answer->body_length);
    if (!json_is_object(object))
        err_set(e, ERR_INPUT, "Stripe's answer is not a JSON object");
    return object;
}

/* Returns true if the call goes out again. */
static bool repeat_if_limited(struct fetch *fetch, const struct http_answer *answer,
                              const struct err *e)
{
    struct fetcher *f = fetch->fetcher;
    if (!stripe_answer_is_limited(answer, &f->limits, e))
        return false;
    int64_t now_ms = clock_monotonic_ms();
    int64_t next_ms = now_ms + stripe_limits_wait_ms(&f->limits, now_ms);
    if (closing_has_begun(&f->closing) || next_ms - fetch->begun_ms > PATIENCE_MS)
        return false;
    report_answer(f, "rate_limited");
    enqueue(fetch);
    send_all(f);
    return true;
}

static bool is_account_refused(int status)
{
    return status == UNAUTHORIZED || status == FORBIDDEN;
}

static void fail(struct fetch *fetch, const struct err *e, const struct http_answer *answer)
{
    if (answer && e->code == TOO_MANY_REQUESTS) {
        report_answer(fetch->fetcher, "rate_limited");
    } else {
        metric_count(METRIC_OF_STRIPE_REQUESTS, !answer                       ? "failed"
                                                : is_account_refused(e->code) ? "account_refused"
                                                                              : "refused");
        report_lost(fetch->fetcher, e);
    }
    end_fetch(fetch, e, NULL);
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct fetch *fetch = owner;
    struct err e = {0};
    if (error) {
        fail(fetch, error, NULL);
        return;
    }
    metric_observe(metric_with(METRIC_OF_STRIPE_SECONDS, "fetch"), answer->elapsed_ms);
    if (answer->status == 404) {
        report_answer(fetch->fetcher, "not_found");
        end_fetch(fetch, NULL, NULL);
        return;
    }
    json_t *object = read_object(answer, &e);
    if (e.kind == ERR_NONE) {
        report_answer(fetch->fetcher, "ok");
        end_fetch(fetch, NULL, object);
    } else if (!repeat_if_limited(fetch, answer, &e)) {
        fail(fetch, &e, answer);
    }
    json_decref(object);
}

static char *make_url(const struct config *c, const char *path, const char *id, const char *query)
{
    struct buf url = {0};
    size_t length = strlen(c->stripe_api_base);
    while (length > 0 && c->stripe_api_base[length - 1] == '/')
        length--;
    buf_add(&url, c->stripe_api_base, length);
    buf_printf(&url, "/%s", path);
    if (id) {
        buf_add_str(&url, "/");
        buf_add_urlencoded(&url, id, strlen(id));
    }
    buf_add_str(&url, query);
    return buf_take(&url);
}

/* url: taken. */
static void get(struct fetcher *f, char *url, fetch_done_fn done, void *owner)
{
    assert(!closing_has_begun(&f->closing));
    struct fetch *fetch = xcalloc(1, sizeof *fetch);
    *fetch = (struct fetch){
        .fetcher = f, .url = url, .begun_ms = clock_monotonic_ms(), .done = done, .owner = owner};
    enqueue(fetch);
    send_all(f);
}

void fetcher_get(struct fetcher *f, const char *path, const char *id, fetch_done_fn done,
                 void *owner)
{
    assert(stripe_is_id(id));
    /* Its newest invoice tells when a payment of it was first tried. */
    bool subscription = strcmp(path, "v1/subscriptions") == 0;
    get(f, make_url(f->config, path, id, subscription ? "?expand[]=latest_invoice" : ""), done,
        owner);
}

void fetcher_list(struct fetcher *f, const char *path, fetch_done_fn done, void *owner)
{
    get(f, make_url(f->config, path, NULL, ""), done, owner);
}

/* Opening and closing. */

struct fetcher *fetcher_open(uv_loop_t *loop, const struct config *config)
{
    struct fetcher *f = xcalloc(1, sizeof *f);
    f->config = config;
    f->end = &f->first;
    f->client = http_client_open(loop, "meterline/" METERLINE_VERSION,
                                 (int)config->workers * CALLS_PER_WORKER, BODY_MAX_BYTES);
    metric_with(METRIC_OF_STRIPE_REQUESTS, "account_refused"); /* only what stood at 0 rises */
    stripe_limits_init(&f->limits, webhookd_rate_per_s(config), clock_monotonic_ms());
    uv_timer_init(loop, &f->timer);
    f->timer.data = f;
    return f;
}

/* Fetches that still wait are canceled last: their workers stay until they are answered. */
static void release(void *self)
{
    struct fetcher *f = self;
    struct err e;
    err_set(&e, ERR_CANCELED, "closed before Stripe was asked");
    while (f->first)
        end_fetch(dequeue(f), &e, NULL);
    free(f);
}

void fetcher_close(struct fetcher *f)
{
    closing_begin(&f->closing, f, release, NULL, NULL);
    closing_handle(&f->closing, &f->timer);
    http_client_close(f->client, closing_part_closed, closing_part(&f->closing));
    closing_end(&f->closing);
}
