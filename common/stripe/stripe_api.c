/* The happy path of a page: wait for the rate, GET, hand out its items, then ask for the page
 * behind the last item's id while has_more is set (docs.stripe.com/api/pagination). The failure
 * modes: a failure that may pass is tried again after a wait, TRIES times a page; refusals by the
 * rate limit are counted apart, up to LIMITED_TRIES. Anything else ends the list.
 *
 *      RESTING --list--> WAITING --timer--> ASKING --last page--> RESTING
 *                           ^                 |
 *                           +-- next page, ---+
 *                               or again          */
#include "common/stripe/stripe_api.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/http/http_client.h"
#include "common/json_exact.h"
#include "common/machine.h"
#include "common/metric_table.h"
#include "common/str.h"
#include "common/stripe/stripe_answer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 5000,
    TIMEOUT_MS = 30000,
    MAX_BODY_BYTES = 1 << 20,
    TRIES = 4,
    LIMITED_TRIES = 20, /* a minute and more, while others use up the account's rate */
    RETRY_FIRST_MS = 500,
    RETRY_MAX_MS = 5000,
    LONGEST_RETRY_AFTER_MS = 60000
};
enum api_state { RESTING, WAITING, ASKING };

static const struct machine API = {"stripe_api",
                                   {[RESTING] = {"resting", TO(WAITING)},
                                    [WAITING] = {"waiting", TO(ASKING) | TO(RESTING)},
                                    [ASKING] = {"asking", TO(WAITING) | TO(RESTING)}}};

struct stripe_api {
    const struct stripe_access *access;
    struct http_client *client;
    uv_timer_t timer;
    enum api_state state;
    struct stripe_limits own;
    struct stripe_limits *limits; /* the access', or own */
    char *path;
    char *query;
    const char *version;
    char *after; /* the last item's id; NULL: the first page */
    char *words; /* see stripe_api_words */
    int tries;   /* of this page that failed … */
    int limited; /* … and that the rate limit refused */
    struct backoff backoff;
    stripe_item_fn on_item;
    stripe_done_fn done;
    void *owner;
    void (*closed)(void *owner);
    void *closed_owner;
};

struct stripe_api *stripe_api_open(uv_loop_t *loop, const struct stripe_access *access)
{
    struct stripe_api *a = xcalloc(1, sizeof *a);
    a->access = access;
    a->client = http_client_open(loop, "meterline/" METERLINE_VERSION, 1, MAX_BODY_BYTES);
    a->backoff = BACKOFF(RETRY_FIRST_MS, RETRY_MAX_MS);
    stripe_limits_init(&a->own, access->rate_per_s, clock_monotonic_ms());
    a->limits = access->limits ? access->limits : &a->own;
    uv_timer_init(loop, &a->timer);
    a->timer.data = a;
    return a;
}

static void forget_list(struct stripe_api *a)
{
    free(a->path);
    free(a->query);
    free(a->after);
    a->path = a->query = a->after = NULL;
    machine_go(&API, a->state, RESTING);
}

static void end_list(struct stripe_api *a, const struct err *error)
{
    forget_list(a);
    metric_count(METRIC_OF_STRIPE_REQUESTS, error ? "list_failed" : "listed");
    a->done(a->owner, error);
}

static char *make_url(const struct stripe_api *a)
{
    struct buf url = {0};
    size_t base = strlen(a->access->base);
    while (base > 0 && a->access->base[base - 1] == '/')
        base--;
    buf_add(&url, a->access->base, base);
    buf_printf(&url, "%s?%s%slimit=100", a->path, a->query, *a->query ? "&" : "");
    if (a->after) {
        buf_add_str(&url, "&starting_after=");
        buf_add_urlencoded(&url, a->after, strlen(a->after));
    }
    return buf_take(&url);
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer);

static void on_timer(uv_timer_t *timer)
{
    struct stripe_api *a = timer->data;
    machine_go(&API, a->state, ASKING);
    char *authorization = xasprintf("Bearer %s", *a->access->key);
    const struct http_header headers[] = {
        {"Authorization", authorization}, {"Stripe-Version", a->version}, {NULL, NULL}};
    char *url = make_url(a);
    const struct http_call call = {.method = "GET",
                                   .url = url,
                                   .headers = headers,
                                   .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                   .timeout_ms = TIMEOUT_MS};
    http_send(a->client, &call, on_answer, a);
    free(url);
    free(authorization);
}

/* Waits for the rate, and at least wait_ms. The call is counted at once, so that callers who share
 * the limits come one after the other. */
static void ask_after(struct stripe_api *a, uint64_t wait_ms)
{
    int64_t rate_ms = stripe_limits_wait_ms(a->limits, clock_monotonic_ms());
    stripe_limits_take(a->limits, 1);
    if (rate_ms > (int64_t)wait_ms)
        wait_ms = (uint64_t)rate_ms;
    machine_go(&API, a->state, WAITING);
    uv_update_time(a->timer.loop);
    uv_timer_start(&a->timer, on_timer, wait_ms, 0);
}

/* Returns the list, the caller's, or NULL with e. */
static json_t *read_page(const struct http_answer *answer, struct err *e)
{
    if (answer->status != 200) {
        stripe_answer_error(answer, e);
        return NULL;
    }
    json_t *body = json_exact_load(answer->body, answer->body_length);
    if (json_is_array(json_object_get(body, "data")))
        return body;
    err_set(e, ERR_INPUT, "Stripe's answer is no list");
    e->code = answer->status;
    e->retry = true;
    json_decref(body);
    return NULL;
}

static uint64_t retry_wait_ms(struct stripe_api *a, const struct http_answer *answer)
{
    int64_t wish_ms =
        stripe_retry_after_ms(answer ? http_answer_header(answer, "Retry-After") : NULL);
    uint64_t wait_ms = backoff_next_ms(&a->backoff, backoff_random());
    if (wish_ms > LONGEST_RETRY_AFTER_MS)
        wish_ms = LONGEST_RETRY_AFTER_MS;
    return (uint64_t)wish_ms > wait_ms ? (uint64_t)wish_ms : wait_ms;
}

static void take_failure(struct stripe_api *a, const struct err *e,
                         const struct http_answer *answer)
{
    bool limited = answer && stripe_answer_is_limited(answer, a->limits, e);
    int *tries = limited ? &a->limited : &a->tries;
    if (e->retry && ++*tries < (limited ? LIMITED_TRIES : TRIES))
        ask_after(a, retry_wait_ms(a, answer));
    else
        end_list(a, e);
}

static void take_page(struct stripe_api *a, json_t *page)
{
    json_t *items = json_object_get(page, "data");
    size_t n = json_array_size(items);
    const char *last =
        json_string_value(json_object_get(n > 0 ? json_array_get(items, n - 1) : NULL, "id"));
    bool more = json_is_true(json_object_get(page, "has_more")) && last;
    a->tries = a->limited = 0;
    backoff_reset(&a->backoff);
    for (size_t i = 0; i < n; i++)
        a->on_item(a->owner, json_array_get(items, i));
    if (!more) {
        end_list(a, NULL);
        return;
    }
    free(a->after);
    a->after = xstrdup(last);
    ask_after(a, 0);
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct stripe_api *a = owner;
    struct err e = {0};
    json_t *page = answer ? read_page(answer, &e) : NULL;
    if (answer)
        metric_observe(metric_with(METRIC_OF_STRIPE_SECONDS, "list"), answer->elapsed_ms);
    free(a->words);
    a->words = answer && answer->status != 200 ? stripe_answer_words(answer) : NULL;
    if (page)
        take_page(a, page);
    else if (error && error->kind == ERR_CANCELED)
        end_list(a, error);
    else
        take_failure(a, error ? error : &e, answer);
    json_decref(page);
}

void stripe_api_list(struct stripe_api *a, const char *path, const char *query, const char *version,
                     stripe_item_fn on_item, stripe_done_fn done, void *owner)
{
    assert(a->state == RESTING);
    a->path = xstrdup(path);
    a->query = xstrdup(query);
    a->version = version ? version : a->access->version;
    a->tries = a->limited = 0;
    backoff_reset(&a->backoff);
    a->on_item = on_item;
    a->done = done;
    a->owner = owner;
    ask_after(a, 0);
}

bool stripe_api_refused_this(const struct err *error)
{
    int status = error->code;
    return error->kind == ERR_REFUSED && !error->retry && status >= 400 && status != 401 &&
           status != 403;
}

static void on_client_closed(void *owner)
{
    struct stripe_api *a = owner;
    void (*closed)(void *) = a->closed;
    void *closed_owner = a->closed_owner;
    free(a->words);
    free(a);
    closed(closed_owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct stripe_api *a = handle->data;
    struct err e;
    if (a->state == WAITING) {
        err_set(&e, ERR_CANCELED, "closed while waiting to ask Stripe");
        end_list(a, &e);
    }
    http_client_close(a->client, on_client_closed, a);
}

void stripe_api_close(struct stripe_api *a, void (*closed)(void *owner), void *owner)
{
    a->closed = closed;
    a->closed_owner = owner;
    uv_close((uv_handle_t *)&a->timer, on_timer_closed);
}

const char *stripe_api_words(const struct stripe_api *a)
{
    return a->words;
}
