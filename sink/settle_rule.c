/* From the end of one try to what becomes of the submission. The facts are from Stripe's pages
 * api/errors, api/idempotent_requests and rate-limits, and from its clients' retry rules. */
#include "sink/settle_rule.h"

#include "common/str.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { RETRY_AFTER_MAX_S = 3600 };

#define EXISTS_PREFIX "An event already exists with identifier"

/* What we read of an error's body. type NULL: not an error of Stripe's own. */
struct stripe_error {
    json_t *root;
    const char *type;
    const char *code;
    const char *message;
};

static struct stripe_error read_error(const struct settle_try *t)
{
    struct stripe_error e = {.root = json_loadb(t->body, t->body_length, 0, NULL)};
    const json_t *error = json_object_get(e.root, "error");
    e.type = json_string_value(json_object_get(error, "type"));
    e.code = json_string_value(json_object_get(error, "code"));
    e.message = json_string_value(json_object_get(error, "message"));
    return e;
}

static bool is_code(const struct stripe_error *e, const char *code)
{
    return e->code && !strcmp(e->code, code);
}

static bool says_exists(const struct stripe_error *e)
{
    return e->message && !strncmp(e->message, EXISTS_PREFIX, strlen(EXISTS_PREFIX));
}

static bool header_is(const char *header, const char *value)
{
    return header && !strcasecmp(header, value);
}

/* Seconds; the form with a date is not Stripe's, and is left aside. */
static int64_t read_retry_after_ms(const char *header)
{
    int64_t seconds;
    if (!header || str_to_i64(header, strlen(header), &seconds) || seconds < 0)
        return 0;
    return (seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S) * 1000;
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
    if (t->transport->is_receipt(t->body, t->body_length, t->identifier)) {
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
    out->slow_down = !is_code(e, "lock_timeout") &&
                     !header_is(t->limited_reason, "endpoint-concurrency") &&
                     !header_is(t->limited_reason, "resource-specific");
}

/* A page by something in between stops us as well, but it does not tell what Stripe saw. */
static void judge_account(const struct stripe_error *e, struct settle_outcome *out)
{
    settle(out, SETTLE_RETRY, "account_refused");
    out->unsent = e->type != NULL;
    out->peer = SETTLE_PEER_REFUSES;
}

/* A server's error may have come after the work was done. If Stripe says that trying again is no
 * use, only its summaries can tell. */
static void judge_server(const struct settle_try *t, struct settle_outcome *out)
{
    bool stop = header_is(t->should_retry, "false");
    settle(out, stop ? SETTLE_IN_DOUBT : SETTLE_RETRY, "server_error");
}

/* 409: an earlier call with this key is still being worked on. */
static void judge_conflict(const struct settle_try *t, struct settle_outcome *out)
{
    settle(out, SETTLE_RETRY, "conflict");
    if (header_is(t->should_retry, "false"))
        out->state = t->sent_before ? SETTLE_IN_DOUBT : SETTLE_FAILED;
}

static void judge_client(const struct settle_try *t, const struct stripe_error *e,
                         struct settle_outcome *out)
{
    if (t->status == 400 && says_exists(e)) {
        /* If it was our first try, somebody else sent it: an earlier life of this database. */
        settle(out, t->sent_before ? SETTLE_SENT : SETTLE_IN_DOUBT, "already_exists");
    } else if (!strcmp(e->type, "idempotency_error")) {
        /* The key was used for other bytes: the same earlier life. */
        settle(out, SETTLE_IN_DOUBT, "key_reused");
    } else if (header_is(t->should_retry, "true") || is_code(e, "timestamp_in_future")) {
        /* A minute a little ahead of Stripe's clock mends itself. */
        settle(out, SETTLE_RETRY, "refused_for_now");
        out->unsent = true;
    } else {
        settle(out, SETTLE_FAILED, "refused");
        out->unsent = true;
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
        judge_account(e, out);
    } else if (!e->type || t->status < 400) {
        /* A redirect or a page by something in between; Stripe itself may have seen nothing. */
        settle(out, SETTLE_RETRY, "strange_answer");
        out->peer = SETTLE_PEER_UNSURE;
    } else if (t->status == 409) {
        judge_conflict(t, out);
    } else {
        judge_client(t, e, out);
    }
}

static void describe(const struct settle_try *t, const struct stripe_error *e, struct err *out)
{
    if (e->message)
        err_set(out, ERR_REFUSED, "HTTP %d %s: %s", t->status, e->code ? e->code : "", e->message);
    else
        err_set(out, ERR_REFUSED, "HTTP %d without Stripe's error", t->status);
    out->code = t->status;
}

void settle_rule_judge(const struct settle_try *t, struct settle_outcome *out)
{
    *out = (struct settle_outcome){.peer = SETTLE_PEER_WORKS};
    if (t->error) {
        judge_no_answer(t->error, out);
        return;
    }
    out->retry_after_ms = read_retry_after_ms(t->retry_after);
    if (t->status >= 200 && t->status < 300) {
        judge_success(t, out);
        return;
    }
    struct stripe_error e = read_error(t);
    judge_error(t, &e, out);
    if (out->state != SETTLE_SENT)
        describe(t, &e, &out->error);
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
    }
    return NULL;
}
