/* GET {STRIPE_API_BASE}/{path}/{id}.
 *
 * The happy path: 200 and an object. Failure modes: 404 is an answer; everything else (no
 * connection, a rate limit, an error of Stripe's, a key that is refused, a body that is no JSON) is
 * to be tried again. Stripe lost and back is logged here, once. */
#include "webhookd/fetch.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/str.h"
#include "webhookd/stripe_event.h"
#include "webhookd/webhookd.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_TIMEOUT_MS = 3000, TIMEOUT_MS = 10000 };

struct fetch {
    fetch_done_fn done;
    void *owner;
};

/* Of the process: Stripe is one peer, however many workers ask it. */
static struct log_repeat stripe;

static void count(const char *outcome)
{
    metric_count("meterline_stripe_requests_total", outcome, "Requests to Stripe by outcome.");
}

static void report_lost(const struct err *error, const struct http_answer *answer)
{
    uint64_t held;
    count(answer ? "refused" : "failed");
    if (error->kind == ERR_CANCELED || !log_repeat_failed(&stripe, clock_monotonic_ms(), &held))
        return;
    const char *request_id = answer ? http_answer_header(answer, "Request-Id") : NULL;
    log_warn("peer_lost", LOG_STR("peer", "stripe"), LOG_U64("held_back", held),
             LOG_STR("request_id", request_id), LOG_ERR(error));
}

static void report_back(const char *outcome)
{
    count(outcome);
    if (log_repeat_recovered(&stripe))
        log_info("peer_back", LOG_STR("peer", "stripe"));
}

static json_t *read_object(const struct http_answer *answer, struct err *e)
{
    json_error_t why;
    if (answer->status != 200) {
        err_set(e, ERR_REFUSED, "Stripe answered %d", answer->status);
        e->code = answer->status;
        return NULL;
    }
    json_t *object = json_loadb(answer->body, answer->body_length, 0, &why);
    if (!json_is_object(object))
        err_set(e, ERR_INPUT, "Stripe's answer is not a JSON object");
    return object;
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct fetch fetch = *(struct fetch *)owner;
    struct err e = {0};
    free(owner);
    if (answer && answer->status == 404) {
        report_back("not_found");
        fetch.done(fetch.owner, NULL, NULL);
        return;
    }
    json_t *object = answer ? read_object(answer, &e) : NULL;
    if (error)
        e = *error;
    if (e.kind == ERR_NONE)
        report_back("ok");
    else
        report_lost(&e, answer);
    fetch.done(fetch.owner, e.kind == ERR_NONE ? NULL : &e, object);
    json_decref(object);
}

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

void fetch_object(struct webhookd *d, const char *path, const char *id, fetch_done_fn done,
                  void *owner)
{
    assert(d->http && stripe_is_id(id));
    struct fetch *fetch = xcalloc(1, sizeof *fetch);
    *fetch = (struct fetch){done, owner};
    char *url = make_url(&d->config, path, id);
    char *key = xasprintf("Bearer %s", d->config.stripe_secret_key);
    const struct http_header headers[] = {
        {"Authorization", key}, {"Stripe-Version", d->config.stripe_api_version}, {NULL, NULL}};
    const struct http_call call = {.method = "GET",
                                   .url = url,
                                   .headers = headers,
                                   .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                   .timeout_ms = TIMEOUT_MS};
    http_send(d->http, &call, on_answer, fetch);
    free(key);
    free(url);
}
