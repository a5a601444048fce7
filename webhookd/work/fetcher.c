/* GET {STRIPE_API_BASE}/{path}/{id}.
 *
 *      WAITING (in the queue) --the rate allows it--> IN FLIGHT --> done
 *         ^                                               |
 *         +---------------- 429, PATIENCE_MS -------------+
 *
 * The happy path: 200 and an object. Failure modes: 404 is an answer; a 429 lowers the rate, and
 * the call goes out again; everything else (no connection, an error of Stripe's, a key that is
 * refused, a body that is no JSON) is the caller's to try again. Stripe lost and back is logged
 * here. */
#include "webhookd/work/fetcher.h"

#include "common/clock.h"
#include "common/contract.h"
#include "common/http/http_client.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "common/str.h"
#include "common/stripe/stripe_answer.h"
#include "common/stripe/stripe_limits.h"
#include "webhookd/config.h"
#include "webhookd/receive/stripe_event.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 3000,
    TIMEOUT_MS = 10000,
    BODY_MAX_BYTES = 4 << 20,
    PATIENCE_MS = 20000, /* with 429s: whoever asks holds locks meanwhile */
    PAUSE_MS = 3000,
    UNAUTHORIZED = 401,
    FORBIDDEN = 403,
    TOO_MANY_REQUESTS = 429,
    FLAP_MS = 60000
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
    /* Stripe is one peer, however many workers ask it. One that comes and goes is told of once a
     * minute as well. */
    struct log_causes losses;
    int64_t told_ms; /* of the last loss; monotonic */
    uint64_t untold; /* losses since */
    struct err loss; /* of the last call; ERR_NONE: it was answered */
    int open_parts;  /* the timer, the client */
    bool closing;
};

static void count(const char *outcome)
{
    metric_count(METRIC_OF_STRIPE_REQUESTS, outcome);
}

static void report_lost(struct fetcher *f, const struct err *error)
{
    uint64_t held;
    int64_t now_ms = clock_monotonic_ms();
    if (error->kind == ERR_CANCELED)
        return;
    f->loss = *error;
    if (!f->losses.repeat.failing && f->told_ms && now_ms - f->told_ms < FLAP_MS) {
        f->untold++;
        return;
    }
    if (!log_cause_failed(&f->losses, error->text, now_ms, &held))
        return;
    log_warn(peer_lost, LOG_STR("peer", "stripe"), LOG_U64("held_back", held + f->untold),
             LOG_ERR(error));
    f->told_ms = now_ms;
    f->untold = 0;
}

static void report_answer(struct fetcher *f, const char *outcome)
{
    count(outcome);
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
    if (!f->first || f->closing)
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
    bool refused = f->loss.code == UNAUTHORIZED || f->loss.code == FORBIDDEN;
    if (refused)
        buf_printf(why, "stripe: refuses our key (%d)", f->loss.code);
    else
        buf_add_str(why, "stripe: not reachable, or answers with errors");
    buf_add_str(why, ": events are kept, and worked when it serves us\n");
}

/* Answers. */

static json_t *read_object(const struct http_answer *answer, struct err *e)
{
    json_error_t why;
    if (answer->status != 200) {
        stripe_answer_error(answer, e);
        return NULL;
    }
    json_t *object = json_loadb(answer->body, answer->body_length, 0, &why);
    if (!json_is_object(object))
        err_set(e, ERR_INPUT, "Stripe's answer is not a JSON object");
    return object;
}

/* True: the call goes out once more. */
static bool is_repeated(struct fetch *fetch, const struct http_answer *answer, const struct err *e)
{
    struct fetcher *f = fetch->fetcher;
    if (!stripe_answer_is_limited(answer, &f->limits, e))
        return false;
    int64_t now_ms = clock_monotonic_ms();
    int64_t next_ms = now_ms + stripe_limits_wait_ms(&f->limits, now_ms);
    if (f->closing || next_ms - fetch->begun_ms > PATIENCE_MS)
        return false;
    report_answer(f, "rate_limited");
    enqueue(fetch);
    send_all(f);
    return true;
}

static void fail(struct fetch *fetch, const struct err *e, const struct http_answer *answer)
{
    if (answer && e->code == TOO_MANY_REQUESTS) {
        report_answer(fetch->fetcher, "rate_limited");
    } else {
        count(answer ? "refused" : "failed");
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
    if (answer->status == 404) {
        report_answer(fetch->fetcher, "not_found");
        end_fetch(fetch, NULL, NULL);
        return;
    }
    json_t *object = read_object(answer, &e);
    if (e.kind == ERR_NONE) {
        report_answer(fetch->fetcher, "ok");
        end_fetch(fetch, NULL, object);
    } else if (!is_repeated(fetch, answer, &e)) {
        fail(fetch, &e, answer);
    }
    json_decref(object);
}

/* Asking. */

static char *make_url(const struct config *c, const char *path, const char *id)
{
    struct buf url = {0};
    size_t length = strlen(c->stripe_api_base);
    while (length > 0 && c->stripe_api_base[length - 1] == '/')
        length--;
    buf_add(&url, c->stripe_api_base, length);
    buf_printf(&url, "/%s/", path);
    buf_add_urlencoded(&url, id, strlen(id));
    return buf_take(&url);
}

void fetch_object(struct fetcher *f, const char *path, const char *id, fetch_done_fn done,
                  void *owner)
{
    assert(stripe_is_id(id) && !f->closing);
    struct fetch *fetch = xcalloc(1, sizeof *fetch);
    *fetch = (struct fetch){.fetcher = f,
                            .url = make_url(f->config, path, id),
                            .begun_ms = clock_monotonic_ms(),
                            .done = done,
                            .owner = owner};
    enqueue(fetch);
    send_all(f);
}

/* Opening and closing. */

struct fetcher *fetcher_open(uv_loop_t *loop, const struct config *config)
{
    struct fetcher *f = xcalloc(1, sizeof *f);
    f->config = config;
    f->end = &f->first;
    f->client = http_client_open(loop, "meterline/" METERLINE_VERSION, (int)config->workers,
                                 BODY_MAX_BYTES);
    stripe_limits_init(&f->limits, webhookd_rate_per_s(config), clock_monotonic_ms());
    uv_timer_init(loop, &f->timer);
    f->timer.data = f;
    f->open_parts = 2;
    return f;
}

static void part_closed(struct fetcher *f)
{
    if (--f->open_parts == 0)
        free(f);
}

static void on_client_closed(void *owner)
{
    part_closed(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct fetcher *f = handle->data;
    struct err e;
    err_set(&e, ERR_CANCELED, "closed while waiting to ask Stripe");
    while (f->first)
        end_fetch(dequeue(f), &e, NULL);
    part_closed(f);
}

void fetcher_close(struct fetcher *f)
{
    f->closing = true;
    http_client_close(f->client, on_client_closed, f);
    uv_close((uv_handle_t *)&f->timer, on_timer_closed);
}
