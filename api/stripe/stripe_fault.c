#include "api/stripe/stripe_fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void set(struct stripe_fault *out, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void set(struct stripe_fault *out, int status, const char *code, const char *format, ...)
{
    va_list args;
    out->status = status;
    (void)snprintf(out->code, sizeof out->code, "%s", code);
    va_start(args, format);
    (void)vsnprintf(out->message, sizeof out->message, format, args);
    va_end(args);
    str_make_utf8(out->message); /* it may have been cut within a character */
}

static bool is(const char *text, const char *word)
{
    return text && !strcmp(text, word);
}

static bool has(const char *text, const char *part)
{
    return text && strstr(text, part);
}

/* Stripe's parameters that come from the caller, and what they are called here. */
static const struct {
    const char *stripe;
    const char *ours;
} PARAMS[] = {
    {"email", "email"},
    {"name", "name"},
    {"description", "description"},
    {"phone", "phone"},
    {"payment_method", "payment_method"},
    {"payment_methods", "payment_method"},
    {"success_url", "success_url"},
    {"cancel_url", "cancel_url"},
    {"return_url", "return_url"},
    {"trial_period_days", "trial_days"},
    {"subscription_data[trial_period_days]", "trial_days"},
    {"items[0][quantity]", "seats"},
    {"line_items[0][quantity]", "seats"},
    {"discounts[0][coupon]", "coupon"},
    {"coupon", "coupon"},
    {"days_until_due", "days_until_due"},
    {"locale", "locale"},
};

static const char *our_param(const char *stripe)
{
    for (size_t i = 0; stripe && i < sizeof PARAMS / sizeof *PARAMS; i++)
        if (!strcmp(PARAMS[i].stripe, stripe))
            return PARAMS[i].ours;
    return NULL;
}

static const char *words(const struct stripe_reply *reply)
{
    return reply->message ? reply->message : "Stripe gives no reason";
}

static bool wants_payment_method(const struct stripe_reply *reply)
{
    return has(reply->message, "no attached payment source") ||
           has(reply->message, "default payment method");
}

static bool wants_authentication(const struct stripe_reply *reply)
{
    return is(reply->code, "authentication_required") ||
           is(reply->decline_code, "authentication_required") ||
           is(reply->code, "subscription_payment_intent_requires_action") ||
           is(reply->code, "invoice_payment_intent_requires_action");
}

static void set_declined(struct stripe_fault *out, const struct stripe_reply *reply)
{
    const char *code = reply->decline_code ? reply->decline_code
                       : reply->code       ? reply->code
                                           : "card_declined";
    set(out, 402, code, "The payment was declined (%.60s): %.250s", code, words(reply));
}

static void set_refused(struct stripe_fault *out, const struct stripe_reply *reply)
{
    out->param = our_param(reply->param);
    if (wants_authentication(reply))
        set(out, 402, "authentication_required",
            "The bank wants the customer to confirm the payment, which takes a checkout or the "
            "portal: %.200s",
            words(reply));
    else if (wants_payment_method(reply))
        set(out, 402, "payment_method_required",
            "The customer has no payment method to charge: attach one, or use a checkout");
    else if (reply->status == 402 || is(reply->type, "card_error"))
        set_declined(out, reply);
    else if (reply->status == 403)
        set(out, 502, "stripe_forbids",
            "Stripe's key of this installation may not do this: its operator must give it the "
            "permission");
    else if (is(reply->type, "idempotency_error"))
        set(out, 409, "idempotency_conflict",
            "Another request was made with this Idempotency-Key: use a new one");
    else if (out->param)
        set(out, 400, reply->code ? reply->code : "invalid", "%.300s", words(reply));
    else if (reply->status == 404 || is(reply->code, "resource_missing"))
        set(out, 409, "missing_at_stripe", "Stripe does not have it, or no longer: %.250s",
            words(reply));
    else
        set(out, 409, "refused_by_stripe", "Stripe refuses it: %.300s", words(reply));
}

static void set_away(struct stripe_fault *out, const struct stripe_reply *reply)
{
    out->retry_after_s = (reply->retry_after_ms + 999) / 1000;
    if (out->retry_after_s < 1)
        out->retry_after_s = 1;
    if (reply->status == 401)
        set(out, 502, "stripe_key_refused",
            "Stripe refuses the key of this installation: its operator must correct it");
    else if (reply->status == 429)
        set(out, 503, "stripe_busy", "Stripe takes no more calls for now: send it again later");
    else
        set(out, 503, "stripe_unavailable",
            "Stripe cannot be reached, and nothing was done: send it again later");
}

void stripe_fault_of(struct stripe_fault *out, const struct stripe_reply *reply)
{
    *out = (struct stripe_fault){0};
    if (reply->outcome == STRIPE_REFUSED)
        set_refused(out, reply);
    else if (reply->outcome == STRIPE_AWAY)
        set_away(out, reply);
    else
        set(out, 502, "stripe_no_answer",
            "Stripe gave no answer: repeat the request with the same Idempotency-Key to learn what "
            "became of it");
}
