/* The facts are from Stripe's pages api/errors, api/idempotent_requests and rate-limits, and from
 * its clients' retry rules. */
#include "sink/send/settle_rule.h"

#include "common/stripe/stripe_limits.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EXISTS_PREFIX      "An event already exists with identifier"
#define UNKNOWN_URL_PREFIX "Unrecognized request URL"

/* What we read of an error's body. type NULL: not an error of Stripe's own. */
struct stripe_error {
    json_t *root;
    const char *type;
    const char *code;
    const char *param;
    const char *message;
};

static struct stripe_error read_error(const struct settle_try *t)
{
    struct stripe_error e = {.root = json_loadb(t->body, t->body_length, 0, NULL)};
    const json_t *error = json_object_get(e.root, "error");
    e.type = json_string_value(json_object_get(error, "type"));
    e.code = json_string_value(json_object_get(error, "code"));
    e.param = json_string_value(json_object_get(error, "param"));
    e.message = json_string_value(json_object_get(error, "message"));
    return e;
}

static bool is_code(const struct stripe_error *e, const char *code)
{
    return e->code && !strcmp(e->code, code);
}

static bool begins_with(const struct stripe_error *e, const char *prefix)
{
    return e->message && !strncmp(e->message, prefix, strlen(prefix));
}

/* A minute a little ahead of Stripe's clock is taken a little later. Meter events have a code for
 * it, usage records only words. */
static bool is_early(const struct stripe_error *e)
{
    bool is_time = e->param && !strcmp(e->param, "timestamp");
    return is_code(e, "timestamp_in_future") ||
           (is_time && e->message && strstr(e->message, "in the future"));
}

static bool is_too_late(const struct settle_try *t, const struct stripe_error *e)
{
    return is_code(e, "timestamp_too_far_in_past") ||
           (t->transport->is_too_late && e->message && t->transport->is_too_late(e->message));
}

static bool header_is(const char *header, const char *value)
{
    return header && !strcasecmp(header, value);
}

static void settle(struct settle_outcome *out, enum settle_state state, const char *label)
{
    out->state = state;
    out->label = label;
}

static void judge_no_answer(const struct err *error, struct settle_outcome *out)
{
    settle(out, SETTLE_RETRY, err_kind_name(error->kind));
    out->error = *error;
    out->unsent = error->kind == ERR_CONNECT || error->kind == ERR_TLS || error->kind == ERR_INPUT;
    out->peer = out->unsent ? SETTLE_PEER_AWAY : SETTLE_PEER_UNSURE;
}

static void judge_success(const struct settle_try *t, struct settle_outcome *out)
{
    if (t->transport->is_receipt(t->body, t->body_length, t->usage)) {
        settle(out, SETTLE_SENT, "sent");
        return;
    }
    settle(out, SETTLE_RETRY, "strange_answer");
    out->peer = SETTLE_PEER_UNSURE;
    err_set(&out->error, ERR_REFUSED, "HTTP %d, but not Stripe's receipt", t->status);
}

/* The limiter comes before the idempotency layer: the call was not executed. A limit on one
 * customer and meter, or a lock that was taken, says nothing of the account's rate. */
static void judge_limited(const struct settle_try *t, const struct stripe_error *e,
                          struct settle_outcome *out)
{
    settle(out, SETTLE_RETRY, "rate_limited");
    out->unsent = true;
    out->slow_down = stripe_limit_is_the_accounts(t->limited_reason, e->code);
}

/* A page by something in between stops us as well, but it does not tell what Stripe saw. A session
 * that has passed says nothing of the account. */
static void judge_account(const struct settle_try *t, const struct stripe_error *e,
                          struct settle_outcome *out)
{
    if (t->transport->by_token && (is_code(e, "billing_meter_event_session_expired") ||
                                   (e->type && !strcmp(e->type, "temporary_session_expired")))) {
        settle(out, SETTLE_RETRY, "session_expired");
        out->unsent = true;
        return;
    }
    settle(out, SETTLE_RETRY, "account_refused");
    out->unsent = e->type != NULL;
    out->peer = SETTLE_PEER_REFUSES;
}

/* A server's error may have come after the work was done. If Stripe says that trying again is no
 * use, or has stored it for this key and would give it again until the key is forgotten, only its
 * summaries can tell (docs.stripe.com/api/idempotent_requests: "including 500 errors"). A stored
 * answer to our first try was made for this database before it was restored. */
static void judge_server(const struct settle_try *t, struct settle_outcome *out)
{
    bool stored = header_is(t->replayed, "true");
    bool stop = stored || header_is(t->should_retry, "false");
    settle(out, stop ? SETTLE_IN_DOUBT : SETTLE_RETRY, stored ? "stored_error" : "server_error");
    out->known = stored && !t->sent_before && !t->repeated;
}

/* 409: another call with this key is still being worked on. If Stripe says that trying again is no
 * use, that call may yet be done. On our first try it was made before this database was restored,
 * or something in between sent ours twice. */
static void judge_conflict(const struct settle_try *t, const struct stripe_error *e,
                           struct settle_outcome *out)
{
    bool stop = header_is(t->should_retry, "false");
    settle(out, stop ? SETTLE_IN_DOUBT : SETTLE_RETRY, "conflict");
    out->known = stop && !t->sent_before && is_code(e, "idempotency_key_in_use");
}

/* A meter that is missing or archived, or takes other keys, is no fault of the submission: all of
 * them would fail for it, until a person sets the meter right (see meter_watch.h). */
static bool is_meters_fault(const struct stripe_error *e)
{
    return (e->param && !strcmp(e->param, "event_name")) || is_code(e, "no_meter") ||
           is_code(e, "archived_meter") || is_code(e, "meter_event_no_customer_defined") ||
           is_code(e, "meter_event_value_not_found");
}

/* Stripe did nothing, and says why. A wrong address is not the submission's fault: all of them
 * would fail for it. */
static void judge_refusal(const struct settle_try *t, const struct stripe_error *e,
                          struct settle_outcome *out)
{
    out->unsent = true;
    if (header_is(t->should_retry, "true") || is_early(e)) {
        settle(out, SETTLE_RETRY, "refused_for_now");
        return;
    }
    if (t->status == 404 && begins_with(e, UNKNOWN_URL_PREFIX)) {
        settle(out, SETTLE_RETRY, "unknown_url");
        return;
    }
    if (is_meters_fault(e)) {
        settle(out, SETTLE_RETRY, "meter_refused");
        out->meter = out->of_one = true;
        return;
    }
    out->of_one = true;
    if (t->status == 400 && is_too_late(t, e))
        settle(out, SETTLE_LATE, "too_late");
    else
        settle(out, SETTLE_FAILED, "refused");
    /* A try with the key of an earlier one is refused only if that one was not taken. A batch may
     * have had others beside it then, and so another key: who gave its quantity back, or carried it
     * over, might bill it twice. */
    if (t->sent_before && t->transport->batch_max > 1)
        out->state = SETTLE_IN_DOUBT;
}

static void judge_client(const struct settle_try *t, const struct stripe_error *e,
                         struct settle_outcome *out)
{
    if (t->status == 400 && begins_with(e, EXISTS_PREFIX)) {
        /* On our first try it was sent before this database was restored. */
        settle(out, t->sent_before ? SETTLE_SENT : SETTLE_IN_DOUBT, "already_exists");
        out->known = !t->sent_before;
        out->of_one = true;
    } else if (!strcmp(e->type, "idempotency_error")) {
        /* The key was used for other bytes, before this database was restored. */
        settle(out, SETTLE_IN_DOUBT, "key_reused");
        out->known = true;
    } else {
        judge_refusal(t, e, out);
        /* The same answer to every try with this key, since Stripe first executed one. */
        out->key_spent = out->state == SETTLE_RETRY && header_is(t->replayed, "true");
    }
}

static void judge_error(const struct settle_try *t, const struct stripe_error *e,
                        struct settle_outcome *out)
{
    if (t->status == 429) {
        judge_limited(t, e, out);
    } else if (t->status >= 500) {
        judge_server(t, out);
    } else if (t->status == 401 || t->status == 403) {
        judge_account(t, e, out);
    } else if (!e->type || t->status < 400) {
        /* A redirect or a page by something in between; Stripe itself may have seen nothing. */
        settle(out, SETTLE_RETRY, "strange_answer");
        out->peer = SETTLE_PEER_UNSURE;
    } else if (t->status == 409) {
        judge_conflict(t, e, out);
    } else {
        judge_client(t, e, out);
    }
}

static void describe(const struct settle_try *t, const struct stripe_error *e, bool key_spent,
                     struct err *out)
{
    const char *what = t->limited_reason ? t->limited_reason : e->code;
    if (e->message)
        err_set(out, ERR_REFUSED, "HTTP %d %s: %s", t->status, what ? what : "", e->message);
    else
        err_set(out, ERR_REFUSED, "HTTP %d without Stripe's error", t->status);
    if (key_spent)
        err_wrap(out, "kept by Stripe for this key, the next try has another");
    out->code = t->status;
}

void settle_try_read(struct settle_try *t, const struct http_answer *answer)
{
    t->status = answer->status;
    t->body = answer->body;
    t->body_length = answer->body_length;
    t->should_retry = http_answer_header(answer, "Stripe-Should-Retry");
    t->retry_after = http_answer_header(answer, "Retry-After");
    t->limited_reason = http_answer_header(answer, "Stripe-Rate-Limited-Reason");
    t->replayed = http_answer_header(answer, "Idempotent-Replayed");
}

void settle_rule_judge(const struct settle_try *t, struct settle_outcome *out)
{
    *out = (struct settle_outcome){.peer = SETTLE_PEER_WORKS};
    if (t->error) {
        judge_no_answer(t->error, out);
        return;
    }
    out->retry_after_ms = stripe_retry_after_ms(t->retry_after);
    if (t->status >= 200 && t->status < 300) {
        judge_success(t, out);
        return;
    }
    struct stripe_error e = read_error(t);
    judge_error(t, &e, out);
    if (out->state != SETTLE_SENT)
        describe(t, &e, out->key_spent, &out->error);
    json_decref(e.root);
}

const char *settle_state_name(enum settle_state state)
{
    switch (state) {
    case SETTLE_SENT:
        return "sent";
    case SETTLE_RETRY:
        return "pending";
    case SETTLE_IN_DOUBT:
        return "in_doubt";
    case SETTLE_FAILED:
        return "failed";
    case SETTLE_LATE:
        return "late";
    }
    return NULL;
}
