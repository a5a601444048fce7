/* Pages of Stripe's that a customer is sent to: a checkout, and the portal. */
#include "api/billing/billing_routes.h"
#include "api/billing/steps.h"
#include "api/billing/stripe_versions.h"
#include "api/billing/subscription_view.h"
#include "common/stripe/objects/stripe_event.h"

#include <stdlib.h>
#include <string.h>

static int64_t seats_of(const struct job *j)
{
    return api_given(j->r, "seats") ? api_whole(j->r, "seats") : 1;
}

static const char *interval_of(const struct job *j)
{
    const char *own = stripe_text(json_object_get(j->state, "plan"), "interval");
    const char *asked = api_text(j->r, "interval");
    return asked ? asked : own ? own : "month";
}

static void add_items(struct stripe_form *f, const struct offer *offer, int64_t seats)
{
    stripe_form_text(f, offer->fee.id, "line_items[0][price]");
    stripe_form_i64(f, seats, "line_items[0][quantity]");
    for (int i = 0; i < offer->usage_n; i++) /* a quantity of usage is refused */
        stripe_form_text(f, offer->usage[i].id, "line_items[%d][price]", i + 1);
}

/* What the customer is offered: a session of other terms is another session. */
static void add_terms(struct stripe_form *f, const struct job *j)
{
    const struct api_request *r = j->r;
    int64_t trial = steps_trial_days(j);
    stripe_form_text(f, api_text(r, "success_url"), "success_url");
    stripe_form_text(f, api_text(r, "cancel_url"), "cancel_url");
    stripe_form_text(f, api_text(r, "coupon"), "discounts[0][coupon]");
    if (api_flag(r, "allow_promotion_codes"))
        stripe_form_bool(f, true, "allow_promotion_codes");
    if (trial > 0)
        stripe_form_i64(f, trial, "subscription_data[trial_period_days]");
    stripe_form_text(f, stripe_text(j->state, "tax_rate"),
                     "subscription_data[default_tax_rates][0]");
}

/* Its digest is in the session's metadata: the same again is the same session. */
static void digest_terms(struct job *j, const struct offer *offer)
{
    char digest[OPERATION_DIGEST_SIZE];
    struct stripe_form f = {0};
    stripe_form_text(&f, j->plan, "plan");
    add_items(&f, offer, seats_of(j));
    add_terms(&f, j);
    const char *const texts[] = {stripe_form_body(&f)};
    operation_digest(texts, 1, digest);
    stripe_form_done(&f);
    json_decref(j->kept);
    j->kept = json_string(digest);
}

static bool is_same(const struct job *j, const json_t *session)
{
    const char *offer = stripe_text(json_object_get(session, "metadata"), "meterline_offer");
    return offer && !strcmp(offer, json_string_value(j->kept)) && stripe_text(session, "url");
}

static void answer_session(struct job *j, const json_t *session, bool is_new)
{
    const char *id = stripe_text(session, "id");
    json_t *body = json_pack("{s:s?, s:s?, s:s, s:s, s:I, s:b}", "id", id, "url",
                             stripe_text(session, "url"), "plan", j->plan, "interval",
                             interval_of(j), "seats", (json_int_t)seats_of(j), "reused", !is_new);
    view_set_time(body, "expires_at", stripe_integer(session, "expires_at", 0));
    api_note(j->r, id, NULL,
             json_pack("{s:s, s:s, s:I, s:b}", "plan", j->plan, "interval", interval_of(j), "seats",
                       (json_int_t)seats_of(j), "reused", !is_new));
    job_answer(j, is_new ? 201 : 200, body);
}

static void take_session(struct job *j, json_t *session)
{
    answer_session(j, session, true);
}

static void add_data(struct stripe_form *f, const struct job *j, const char *version)
{
    stripe_form_text(f, j->tenant, "client_reference_id");
    stripe_form_text(f, j->tenant, "metadata[tenant]");
    stripe_form_text(f, json_string_value(j->kept), "metadata[meterline_offer]");
    stripe_form_text(f, j->tenant, "subscription_data[metadata][tenant]");
    stripe_form_text(f, j->plan, "subscription_data[metadata][plan]");
    if (stripe_knows_billing_mode(version))
        stripe_form_text(f, "flexible", "subscription_data[billing_mode][type]");
}

static void make_session(struct job *j)
{
    struct stripe_form f = {0};
    struct offer offer;
    if (steps_read_offer(j, api_text(j->r, "interval"), &offer))
        return;
    stripe_form_text(&f, "subscription", "mode");
    stripe_form_text(&f, j->customer, "customer");
    add_items(&f, &offer, seats_of(j));
    add_terms(&f, j);
    add_data(&f, j, j->r->context->config->stripe_api_version);
    job_post(j, "create_checkout", "/v1/checkout/sessions", &f, true, take_session);
}

static void look_at_live(struct job *j)
{
    if (json_array_size(j->live) > 0)
        steps_fail_live(j);
    else if (j->checkout)
        answer_session(j, j->checkout, false);
    else
        make_session(j);
}

/* Only now: a checkout may have been paid until it was ended. */
static void take_checkouts(struct job *j)
{
    steps_list_live(j, look_at_live);
}

static void take_prices(struct job *j)
{
    struct offer offer;
    if (steps_read_offer(j, api_text(j->r, "interval"), &offer))
        return;
    digest_terms(j, &offer);
    steps_expire_checkouts(j, is_same, take_checkouts);
}

static void take_customer(struct job *j)
{
    steps_fetch_prices(j, api_text(j->r, "interval"), take_prices);
}

static void begin_checkout(struct job *j)
{
    steps_find_customer(j, take_customer);
}

static bool check_url(struct api_request *r, const char *name)
{
    if (!api_text(r, name) || steps_is_url(api_text(r, name)))
        return true;
    api_fail(r, 400, "invalid", name, "It must be an address that begins with https://");
    return false;
}

static void post_checkout(struct api_request *r)
{
    if (!check_url(r, "success_url") || !check_url(r, "cancel_url"))
        return;
    if (api_flag(r, "allow_promotion_codes") && api_text(r, "coupon"))
        api_fail(r, 400, "invalid", "coupon", "Either a coupon, or allow_promotion_codes");
    else
        job_start(r, api_text(r, "plan"), begin_checkout);
}

/* The portal. */

static void take_portal(struct job *j, json_t *session)
{
    job_answer(j, 201, json_pack("{s:s?}", "url", stripe_text(session, "url")));
}

static void make_portal(struct job *j)
{
    struct stripe_form f = {0};
    stripe_form_text(&f, j->customer, "customer");
    stripe_form_text(&f, api_text(j->r, "return_url"), "return_url");
    stripe_form_text(&f, stripe_text(j->state, "portal"), "configuration");
    stripe_form_text(&f, api_text(j->r, "locale"), "locale");
    api_note(j->r, j->customer, NULL, json_object());
    job_post(j, "create_portal", "/v1/billing_portal/sessions", &f, false, take_portal);
}

static void begin_portal(struct job *j)
{
    steps_need_customer(j, make_portal);
}

static void post_portal(struct api_request *r)
{
    if (check_url(r, "return_url"))
        job_start(r, NULL, begin_portal);
}

static const char *const INTERVALS[] = {"month", "year", NULL};

static const struct api_param CHECKOUT_PARAMS[] = {
    {.place = API_BODY,
     .name = "plan",
     .type = API_NAME,
     .required = true,
     .what = "of the catalog"},
    {.place = API_BODY,
     .name = "interval",
     .type = API_CHOICE,
     .choices = INTERVALS,
     .what = "of the fee; the plan's own if it is left out"},
    {.place = API_BODY,
     .name = "seats",
     .type = API_WHOLE,
     .min = 1,
     .max = 1000000,
     .what = "quantity of the fee; 1 if it is left out"},
    {.place = API_BODY,
     .name = "success_url",
     .type = API_TEXT,
     .required = true,
     .min = 8,
     .max = 2000,
     .what = "where the customer is sent after paying; may hold {CHECKOUT_SESSION_ID}"},
    {.place = API_BODY,
     .name = "cancel_url",
     .type = API_TEXT,
     .min = 8,
     .max = 2000,
     .what = "where the way back leads"},
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
     .name = "allow_promotion_codes",
     .type = API_BOOL,
     .fallback = "false",
     .what = "the customer may enter a code"},
    API_PARAMS_END};

static const struct api_field CHECKOUT_ANSWER[] = {
    {.name = "id", .type = API_TEXT, .what = "the session at Stripe"},
    {.name = "url", .type = API_TEXT, .nullable = true, .what = "where to send the customer"},
    {.name = "plan", .type = API_NAME, .what = "what is bought"},
    {.name = "interval", .type = API_TEXT, .what = "of the fee"},
    {.name = "seats", .type = API_WHOLE, .what = "quantity of the fee"},
    {.name = "expires_at", .type = API_TIME, .nullable = true, .what = "until when it can be paid"},
    {.name = "reused", .type = API_BOOL, .what = "it was open already"},
    API_FIELDS_END};

static const struct api_param PORTAL_PARAMS[] = {{.place = API_BODY,
                                                  .name = "return_url",
                                                  .type = API_TEXT,
                                                  .min = 8,
                                                  .max = 2000,
                                                  .what = "where the way back leads"},
                                                 {.place = API_BODY,
                                                  .name = "locale",
                                                  .type = API_TEXT,
                                                  .min = 2,
                                                  .max = 10,
                                                  .what = "the portal's language, such as de"},
                                                 API_PARAMS_END};

static const struct api_field PORTAL_ANSWER[] = {
    {.name = "url", .type = API_TEXT, .what = "where to send the customer; it holds for minutes"},
    API_FIELDS_END};

const struct api_route CHECKOUT_ROUTES[] = {
    {.method = "POST",
     .path = "/api/billing/checkout/session",
     .what = "A page of Stripe's where the customer subscribes to a plan and pays.",
     .detail =
         "A tenant has one open checkout: asked for the same again, it is that one (200); one "
         "for something else ends the first. A tenant with a subscription gets 409.",
     .role = API_EDITOR,
     .flags = API_ASKS_STRIPE | API_IS_RESUMED,
     .history = "checkout_requested",
     .params = CHECKOUT_PARAMS,
     .answer = CHECKOUT_ANSWER,
     .statuses = {201, 409, 503},
     .handle = post_checkout},
    {.method = "POST",
     .path = "/api/billing/portal/session",
     .what = "Stripe's portal: the customer's cards, invoices, and the end of a subscription.",
     .role = API_EDITOR,
     .flags = API_ASKS_STRIPE | API_IS_RESUMED,
     .history = "portal_requested",
     .params = PORTAL_PARAMS,
     .answer = PORTAL_ANSWER,
     .statuses = {201, 409, 503},
     .handle = post_portal},
    {.method = NULL}};
