/* POST /v2/billing/meter_event_session (docs.stripe.com/api/v2/billing-meter-stream/session), at
 * the API's own host with our key.
 *
 *      NONE --open--> OPENING --token--> HELD --ends soon, or refused--> NONE
 *       ^                |
 *       +--- refused ----+
 *
 * How long a token lives is the difference between two of Stripe's times. We count it on the
 * monotonic clock, from before we asked for the token, so that our wall clock may be wrong. */
#include "sink/transport/stream_token.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"
#include "sink/report.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_TIMEOUT_MS = 5000, MARGIN_MS = 60000, LIFE_MAX_S = 86400, TOKEN_MAX = 4096 };

struct stream_token {
    struct http_client *client;
    const struct config *config;
    stream_token_fn done;
    void *owner;
    bool opening;
    int64_t asked_ms;     /* monotonic */
    int64_t use_until_ms; /* monotonic */
    char *header;         /* NULL: none */
};

struct grant {
    json_t *root;
    const char *token; /* of root */
    int64_t life_s;
};

/* A token goes into a header, so that it may hold no blanks and no control characters. Returns
 * false if it is no session of Stripe's. */
static bool read_grant(const char *body, size_t length, struct grant *g)
{
    g->root = json_loadb(body, length, 0, NULL);
    const char *created = json_string_value(json_object_get(g->root, "created"));
    const char *expires = json_string_value(json_object_get(g->root, "expires_at"));
    g->token = json_string_value(json_object_get(g->root, "authentication_token"));
    if (!transport_text_is(g->root, "object", "v2.billing.meter_event_session") || !g->token ||
        !created || !expires)
        return false;
    struct err e;
    int64_t from_s = clock_parse_rfc3339_s(created);
    int64_t to_s = clock_parse_rfc3339_s(expires);
    g->life_s = to_s - from_s;
    size_t bytes = strlen(g->token);
    return from_s >= 0 && g->life_s > 0 && g->life_s <= LIFE_MAX_S && bytes > 0 &&
           bytes <= TOKEN_MAX && conf_check_token(g->token, &e) == 0;
}

static bool is_session(const char *body, size_t length, const struct usage *usage)
{
    struct grant g;
    (void)usage;
    bool is = read_grant(body, length, &g);
    json_decref(g.root);
    return is;
}

static const struct transport SESSION = {
    .path = "/v2/billing/meter_event_session",
    .content_type = "application/json",
    .is_receipt = is_session,
};

struct stream_token *stream_token_new(struct http_client *client, const struct config *config,
                                      stream_token_fn done, void *owner)
{
    struct stream_token *t = xcalloc(1, sizeof *t);
    *t = (struct stream_token){.client = client, .config = config, .done = done, .owner = owner};
    return t;
}

void stream_token_free(struct stream_token *t)
{
    free(t->header);
    free(t);
}

const char *stream_token_header(const struct stream_token *t)
{
    return t->header && clock_monotonic_ms() < t->use_until_ms ? t->header : NULL;
}

void stream_token_forget(struct stream_token *t, const char *header)
{
    if (!t->header || strcmp(t->header, header) != 0)
        return;
    free(t->header);
    t->header = NULL;
}

static void keep(struct stream_token *t, const struct http_answer *answer)
{
    struct grant g;
    bool is = read_grant(answer->body, answer->body_length, &g);
    if (is) {
        free(t->header);
        t->header = xasprintf("Bearer %s", g.token);
        int64_t margin_ms = g.life_s * 500 < MARGIN_MS ? g.life_s * 500 : MARGIN_MS;
        t->use_until_ms = t->asked_ms + g.life_s * 1000 - margin_ms;
        log_info(stripe_session_opened, LOG_I64("life_s", g.life_s));
    }
    json_decref(g.root);
}

/* Whatever went wrong here, no submission was on its way. */
static void fail(struct stream_token *t, struct settle_outcome *o)
{
    o->state = SETTLE_RETRY;
    o->unsent = true;
    o->of_one = o->known = false;
    o->label = "no_session";
    err_wrap(&o->error, "open a meter event session");
    t->done(t->owner, o);
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct stream_token *t = owner;
    struct settle_outcome o;
    struct settle_try try = {.transport = &SESSION, .error = error};
    t->opening = false;
    if (answer) {
        settle_try_read(&try, answer);
        report_answer("session", answer->elapsed_ms, answer->server_date_ms);
    }
    settle_rule_judge(&try, &o);
    if (!answer || o.state != SETTLE_SENT) {
        report_call(o.label);
        fail(t, &o);
        return;
    }
    report_call("session_opened");
    keep(t, answer);
    t->done(t->owner, NULL);
}

/* The key of this request is fresh each time: with an earlier one Stripe would give the earlier
 * session again. */
void stream_token_open(struct stream_token *t)
{
    char key[UUID_TEXT_SIZE];
    struct http_header headers[TRANSPORT_HEADERS];
    if (t->opening)
        return;
    t->opening = true;
    t->asked_ms = clock_monotonic_ms();
    uuid_v7(clock_unix_ms(), key);
    char *authorization = xasprintf("Bearer %s", t->config->stripe_secret_key);
    transport_headers(&SESSION, authorization, t->config->stripe_api_version, key, headers);
    char *url = config_url(t->config->stripe_api_base, SESSION.path);
    const struct http_call call = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .body = "{}",
        .body_length = 2,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = (uint64_t)t->config->timeout_ms,
    };
    http_send(t->client, &call, on_answer, t);
    free(url);
    free(authorization);
}
