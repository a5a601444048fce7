/* The table of a subscription's routes; what they do is in subscription_create.c, _change.c and
 * _cancel.c. */
#include "api/billing/billing_routes.h"
#include "api/billing/subscription_view.h"
#include "api/sql.h"

static void get_subscription(struct api_request *r)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_SHOW_SUBSCRIPTION);
    pg_add_text(&s, r->tenant);
    pg_add_text(&s, NULL);
    api_answer_row(r, &s);
}

static const char *const INTERVALS[] = {"month", "year", NULL};
static const char *const WHENS[] = {"now", "period_end", NULL};
static const char *const PRORATIONS[] = {"create_prorations", "always_invoice", "none", NULL};

#define INTERVAL_PARAM                                                                             \
    {                                                                                              \
        .place = API_BODY, .name = "interval", .type = API_CHOICE, .choices = INTERVALS,           \
        .what = "of the fee: month or year"                                                        \
    }
#define SEATS_PARAM                                                                                \
    {                                                                                              \
        .place = API_BODY, .name = "seats", .type = API_WHOLE, .min = 1, .max = 1000000,           \
        .what = "quantity of the fee"                                                              \
    }

#define WHICH_PARAM(where)                                                                         \
    {                                                                                              \
        .place = where, .name = "subscription", .type = API_TEXT, .min = 1, .max = 255,            \
        .what = "its id at Stripe, if the tenant has several"                                      \
    }

static const struct api_param CREATE_PARAMS[] = {
    {.place = API_BODY,
     .name = "plan",
     .type = API_NAME,
     .required = true,
     .what = "of the catalog"},
    INTERVAL_PARAM,
    SEATS_PARAM,
    {.place = API_BODY,
     .name = "trial_days",
     .type = API_WHOLE,
     .min = 0,
     .max = 730,
     .what = "a trial; the plan's own for a tenant's first subscription if it is left out"},
    {.place = API_BODY,
     .name = "coupon",
     .type = API_TEXT,
     .min = 1,
     .max = 200,
     .what = "a coupon at Stripe"},
    {.place = API_BODY,
     .name = "days_until_due",
     .type = API_WHOLE,
     .min = 1,
     .max = 365,
     .what = "invoices are sent, and due after so many days; left out, the default payment method "
             "is charged"},
    {.place = API_BODY,
     .name = "additional",
     .type = API_BOOL,
     .fallback = "false",
     .what = "make it though one stands already"},
    API_PARAMS_END};

static const struct api_param CHANGE_PARAMS[] = {
    WHICH_PARAM(API_BODY),
    {.place = API_BODY, .name = "plan", .type = API_NAME, .what = "that it is to have"},
    INTERVAL_PARAM,
    SEATS_PARAM,
    {.place = API_BODY,
     .name = "at",
     .type = API_CHOICE,
     .choices = WHENS,
     .what = "left out: what costs more at once, what costs less at the period's end"},
    {.place = API_BODY,
     .name = "proration",
     .type = API_CHOICE,
     .choices = PRORATIONS,
     .what = "of a change at once: on the next invoice (create_prorations, if it is left out), on "
             "one of its own (always_invoice), or none"},
    {.place = API_BODY,
     .name = "cancel_at_period_end",
     .type = API_BOOL,
     .what = "true: it ends with its period; false: it does not"},
    {.place = API_BODY,
     .name = "resume",
     .type = API_BOOL,
     .fallback = "false",
     .what = "true: one that is paused goes on"},
    API_PARAMS_END};

static const struct api_param CANCEL_PARAMS[] = {
    WHICH_PARAM(API_QUERY),
    {.place = API_QUERY,
     .name = "at",
     .type = API_CHOICE,
     .choices = (const char *const[]){"period_end", "now", NULL},
     .fallback = "period_end",
     .what = "with its period, or now, with a last invoice of what was used"},
    {.place = API_QUERY,
     .name = "settle_s",
     .type = API_WHOLE,
     .min = 0,
     .max = 60,
     .fallback = "60",
     .what = "of one that ends now: how long Stripe may take to get what was used, in seconds"},
    API_PARAMS_END};

const struct api_route SUBSCRIPTION_ROUTES[] = {
    {.method = "POST",
     .path = "/api/billing/subscription",
     .what = "A subscription to a plan, with all that the plan bills.",
     .detail =
         "A tenant has one: with another that stands it is 409. Who is charged by card pays at "
         "once; a payment that is declined is 402, and there is no subscription. A tenant "
         "without a customer at Stripe gets one.",
     .role = API_EDITOR,
     .flags = API_ASKS_STRIPE | API_IS_RESUMED,
     .history = "subscription_requested",
     .params = CREATE_PARAMS,
     .answer = SUBSCRIPTION_FIELDS,
     .statuses = {201, 409, 503},
     .handle = subscription_create},
    {.method = "GET",
     .path = "/api/billing/subscription",
     .what = "The subscription that decides the tenant's plan, or else the one that ended last.",
     .role = API_VIEWER,
     .answer = SUBSCRIPTION_FIELDS,
     .statuses = {404},
     .handle = get_subscription},
    {.method = "PUT",
     .path = "/api/billing/subscription",
     .what =
         "Another plan, interval or number of seats; its end with the period, or no end; going on "
         "after a pause.",
     .detail =
         "All items change in one call. What costs more changes at once, what costs less at the "
         "period's end, by a schedule; the plan that it has undoes a schedule.",
     .role = API_EDITOR,
     .flags = API_ASKS_STRIPE | API_IS_RESUMED,
     .history = "subscription_change_requested",
     .params = CHANGE_PARAMS,
     .answer = SUBSCRIPTION_FIELDS,
     .statuses = {409, 503},
     .handle = subscription_change},
    {.method = "DELETE",
     .path = "/api/billing/subscription",
     .what =
         "Ends the subscription: with its period, or now, with a last invoice of what was used.",
     .detail =
         "Now, it ends once Stripe has all that was used; if that takes too long it is 409, and "
         "nothing has ended. Time that was paid for is not given back. The last invoice is paid "
         "at once, or sent to who pays by invoice.",
     .role = API_EDITOR,
     .flags = API_ASKS_STRIPE | API_IS_RESUMED,
     .history = "subscription_end_requested",
     .params = CANCEL_PARAMS,
     .answer = SUBSCRIPTION_FIELDS,
     .statuses = {409, 503},
     .handle = subscription_cancel},
    {.method = NULL}};
