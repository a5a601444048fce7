#include "common/stripe/stripe_answer.h"

#include "common/str.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { UNAUTHORIZED = 401, FORBIDDEN = 403, NOT_FOUND = 404, TOO_MANY_REQUESTS = 429 };

/* The text if it can be shown, else otherwise. What stands in an answer may be anything. */
static const char *shown(const char *text, const char *otherwise)
{
    size_t length = text ? strlen(text) : 0;
    bool fine = length > 0 && !str_has_control(text, length) && str_is_utf8(text, length);
    return fine ? text : otherwise;
}

const char *stripe_answer_text(const json_t *object, const char *key)
{
    return shown(json_string_value(json_object_get(object, key)), NULL);
}

const char *stripe_answer_outcome(int status, bool is_fine)
{
    return status == NOT_FOUND           ? "not_found"
           : status == TOO_MANY_REQUESTS ? "rate_limited"
           : status == UNAUTHORIZED      ? "account_refused"
           : status == FORBIDDEN         ? "forbidden"
           : !is_fine                    ? "refused"
                                         : "ok";
}

bool stripe_answer_is_transient(int status)
{
    return status == 200 || status == 409 || status == TOO_MANY_REQUESTS || status >= 500;
}

bool stripe_answer_may_repeat(const struct http_answer *answer)
{
    const char *should = http_answer_header(answer, "Stripe-Should-Retry");
    if (should && !strcasecmp(should, "true"))
        return true;
    if (should && !strcasecmp(should, "false"))
        return false;
    return stripe_answer_is_transient(answer->status);
}

static json_t *read_error(const struct http_answer *answer, const json_t **error)
{
    json_t *body = json_loadb(answer->body, answer->body_length, 0, NULL);
    *error = json_object_get(body, "error");
    return body;
}

void stripe_answer_error(const struct http_answer *answer, struct err *e)
{
    const json_t *error;
    int status = answer->status;
    json_t *body = read_error(answer, &error);
    const char *message = json_string_value(json_object_get(error, "message"));
    err_set(e, ERR_REFUSED, "Stripe answered %d (%.60s): %.90s", status,
            shown(http_answer_header(answer, "Request-Id"), "without an id"),
            shown(message, "no message"));
    e->code = status;
    e->retry = status == 408 || status == 409 || status == TOO_MANY_REQUESTS || status >= 500;
    json_decref(body);
}

char *stripe_answer_words(const struct http_answer *answer)
{
    const json_t *error;
    json_t *body = read_error(answer, &error);
    const char *message = stripe_answer_text(error, "message");
    char *words = message ? xstrdup(message) : NULL;
    json_decref(body);
    return words;
}

bool stripe_answer_is_limited(const struct http_answer *answer, struct stripe_limits *limits,
                              const struct err *error)
{
    const json_t *body_error;
    if (answer->status != TOO_MANY_REQUESTS)
        return false;
    json_t *body = read_error(answer, &body_error);
    const char *code = json_string_value(json_object_get(body_error, "code"));
    bool is_accounts = stripe_limit_is_the_accounts(
        http_answer_header(answer, "Stripe-Rate-Limited-Reason"), code);
    if (is_accounts)
        stripe_limits_refused(
            limits, stripe_retry_after_ms(http_answer_header(answer, "Retry-After")), error);
    json_decref(body);
    return is_accounts;
}
