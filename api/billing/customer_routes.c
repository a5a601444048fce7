/* A tenant's customer at Stripe, and how it pays. */
#include "api/billing/billing_routes.h"
#include "api/billing/steps.h"
#include "api/billing/subscription_view.h"
#include "api/sql.h"
#include "common/stripe/objects/stripe_event.h"

#include <stdlib.h>
#include <string.h>

static const char *const TEXTS[] = {"email", "name", "description", "phone"};
enum { TEXTS_N = 4 };

static bool add_texts(struct stripe_form *f, const struct api_request *r)
{
    bool any = false;
    for (int i = 0; i < TEXTS_N; i++) {
        stripe_form_text(f, api_text(r, TEXTS[i]), "%s", TEXTS[i]);
        any |= api_text(r, TEXTS[i]) != NULL;
    }
    return any;
}

/* Making, or finding. */

static void finish(struct job *j, json_t *customer, bool is_new)
{
    const char *id = stripe_text(customer, "id");
    free(j->customer);
    j->customer = xstrdup(id);
    job_hint(j, "customer", id);
    api_note(j->r, id, NULL,
             json_pack("{s:s*, s:b}", "email", stripe_text(customer, "email"), "created", is_new));
    job_finish(j, is_new ? 201 : 200, SQL_SHOW_CUSTOMER, NULL, customer_view(j->tenant, customer),
               NULL);
}

static void take_created(struct job *j, json_t *customer)
{
    finish(j, customer, true);
}

static void take_found(struct job *j, json_t *customer)
{
    finish(j, customer, job_made(j, "create_customer") != NULL);
}

static void create(struct job *j)
{
    struct stripe_form f = {0};
    stripe_form_text(&f, j->tenant, "metadata[tenant]");
    (void)add_texts(&f, j->r);
    job_post(j, "create_customer", "/v1/customers", &f, true, take_created);
}

/* It is there: what the request says of it becomes true. */
static void update(struct job *j)
{
    struct stripe_form f = {0};
    char *path = xasprintf("/v1/customers/%s", j->customer);
    if (add_texts(&f, j->r) && !job_made(j, "create_customer"))
        job_post(j, "update_customer", path, &f, false, take_found);
    else
        job_get(j, path, NULL, take_found);
    stripe_form_done(&f);
    free(path);
}

static void begin_customer(struct job *j)
{
    steps_use_customer(j, update, create);
}

static void post_customer(struct api_request *r)
{
    job_start(r, NULL, begin_customer);
}

static void get_customer(struct api_request *r)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_SHOW_CUSTOMER);
    pg_add_text(&s, r->tenant);
    api_answer_row(r, &s);
}

/* Payment methods. */

/* Only what may be shown: never a number. */
static json_t *view_method(const json_t *method)
{
    const json_t *card = json_object_get(method, "card");
    return json_pack("{s:s?, s:s?, s:s?, s:s?, s:O?, s:O?}", "id", stripe_text(method, "id"),
                     "type", stripe_text(method, "type"), "brand", stripe_text(card, "brand"),
                     "last4", stripe_text(card, "last4"), "exp_month",
                     json_object_get(card, "exp_month"), "exp_year",
                     json_object_get(card, "exp_year"));
}

static void finish_method(struct job *j, json_t *paid)
{
    json_t *body = json_incref(j->kept);
    json_object_set_new(body, "paid_invoice", paid);
    api_note(j->r, j->customer, NULL, json_deep_copy(json_object_get(body, "payment_method")));
    job_hint(j, "customer", j->customer);
    job_answer(j, 200, body);
}

static void take_paid(struct job *j, json_t *invoice)
{
    job_hint(j, "invoice", stripe_text(invoice, "id"));
    if (j->subscription)
        job_hint(j, "customer.subscription", stripe_text(j->subscription, "id"));
    finish_method(j, json_pack("{s:s?, s:s?, s:n}", "id", stripe_text(invoice, "id"), "status",
                               stripe_text(invoice, "status"), "error"));
}

/* The method is attached and the default all the same. */
static void take_unpaid(struct job *j)
{
    const char *id = stripe_reference(j->subscription, "latest_invoice");
    job_hint(j, "invoice", id);
    finish_method(
        j, json_pack("{s:s?, s:s, s:s}", "id", id, "status", "open", "error", j->fault.code));
}

static void pay_latest(struct job *j, json_t *invoice)
{
    struct stripe_form f = {0};
    const char *status = stripe_text(invoice, "status");
    const char *id = stripe_text(invoice, "id");
    if (!status || strcmp(status, "open") != 0) {
        finish_method(j, json_null());
        return;
    }
    char *path = xasprintf("/v1/invoices/%s/pay", id);
    j->refused = take_unpaid;
    job_post(j, "pay_invoice", path, &f, false, take_paid);
    free(path);
}

static void look_at_latest(struct job *j)
{
    const char *id = stripe_reference(j->subscription, "latest_invoice");
    if (!api_flag(j->r, "pay_open_invoice") || !stripe_is_id(id)) {
        finish_method(j, json_null());
        return;
    }
    char *path = xasprintf("/v1/invoices/%s", id);
    job_get(j, path, NULL, pay_latest);
    free(path);
}

static void take_subscription(struct job *j, json_t *subscription)
{
    (void)subscription;
    look_at_latest(j);
}

/* A subscription that has a method of its own is not paid by the customer's default. */
static void set_on_subscription(struct job *j)
{
    struct stripe_form f = {0};
    json_t *subscription = json_array_get(j->live, 0);
    if (!subscription) {
        finish_method(j, json_null());
        return;
    }
    json_decref(j->subscription);
    j->subscription = json_incref(subscription);
    if (!stripe_reference(subscription, "default_payment_method")) {
        look_at_latest(j);
        return;
    }
    char *path = xasprintf("/v1/subscriptions/%s", stripe_text(subscription, "id"));
    /* Of a test card's name, attaching makes a method with an id of its own. */
    stripe_form_text(&f, stripe_text(json_object_get(j->kept, "payment_method"), "id"),
                     "default_payment_method");
    job_post(j, "set_subscription_payment_method", path, &f, false, take_subscription);
    free(path);
}

static void take_default(struct job *j, json_t *customer)
{
    (void)customer;
    steps_list_live(j, set_on_subscription);
}

static void take_attached(struct job *j, json_t *method)
{
    struct stripe_form f = {0};
    char *path = xasprintf("/v1/customers/%s", j->customer);
    json_decref(j->kept);
    j->kept =
        json_pack("{s:s, s:o}", "customer", j->customer, "payment_method", view_method(method));
    stripe_form_text(&f, stripe_text(method, "id"), "invoice_settings[default_payment_method]");
    job_post(j, "set_default_payment_method", path, &f, false, take_default);
    free(path);
}

static void attach(struct job *j)
{
    struct stripe_form f = {0};
    char *path = xasprintf("/v1/payment_methods/%s/attach", api_text(j->r, "payment_method"));
    stripe_form_text(&f, j->customer, "customer");
    job_post(j, "attach_payment_method", path, &f, false, take_attached);
    free(path);
}

static void begin_method(struct job *j)
{
    steps_need_customer(j, attach);
}

static void post_payment_method(struct api_request *r)
{
    if (!stripe_is_id(api_text(r, "payment_method")))
        api_fail(r, 400, "invalid", "payment_method",
                 "It is the id of a payment method that Stripe.js or a checkout has made: pm_…");
    else
        job_start(r, NULL, begin_method);
}

static const struct api_param CUSTOMER_PARAMS[] = {
    {.place = API_BODY,
     .name = "email",
     .type = API_TEXT,
     .min = 3,
     .max = 254,
     .what = "where invoices go"},
    {.place = API_BODY, .name = "name", .type = API_TEXT, .min = 1, .max = 200, .what = "its name"},
    {.place = API_BODY,
     .name = "description",
     .type = API_TEXT,
     .min = 1,
     .max = 300,
     .what = "for people"},
    {.place = API_BODY, .name = "phone", .type = API_TEXT, .min = 3, .max = 20, .what = "a number"},
    API_PARAMS_END};

static const struct api_param METHOD_PARAMS[] = {
    {.place = API_BODY,
     .name = "payment_method",
     .type = API_TEXT,
     .required = true,
     .min = 1,
     .max = 255,
     .what =
         "its id at Stripe (pm_…), as Stripe.js makes it: card numbers never pass through here"},
    {.place = API_BODY,
     .name = "pay_open_invoice",
     .type = API_BOOL,
     .fallback = "false",
     .what = "pay the subscription's latest invoice by it, if that is open"},
    API_PARAMS_END};

static const struct api_field METHOD[] = {
    {.name = "id", .type = API_TEXT, .what = "at Stripe"},
    {.name = "type", .type = API_TEXT, .nullable = true, .what = "such as card"},
    {.name = "brand", .type = API_TEXT, .nullable = true, .what = "such as visa"},
    {.name = "last4", .type = API_TEXT, .nullable = true, .what = "the last four digits"},
    {.name = "exp_month", .type = API_WHOLE, .nullable = true, .what = "until when it holds"},
    {.name = "exp_year", .type = API_WHOLE, .nullable = true, .what = "until when it holds"},
    API_FIELDS_END};
static const struct api_field PAID[] = {
    {.name = "id", .type = API_TEXT, .nullable = true, .what = "the invoice at Stripe"},
    {.name = "status", .type = API_TEXT, .nullable = true, .what = "paid, or open"},
    {.name = "error",
     .type = API_TEXT,
     .nullable = true,
     .what = "why it was not paid: the bank's decline code"},
    API_FIELDS_END};
static const struct api_field METHOD_ANSWER[] = {
    {.name = "customer", .type = API_TEXT, .what = "the customer at Stripe"},
    {.name = "payment_method", .type = API_OBJECT, .fields = METHOD, .what = "the new default"},
    {.name = "paid_invoice",
     .type = API_OBJECT,
     .nullable = true,
     .fields = PAID,
     .what = "what became of an open invoice; null: none was tried"},
    API_FIELDS_END};

const struct api_route CUSTOMER_ROUTES[] = {
    {.method = "POST",
     .path = "/api/billing/customer",
     .what = "Makes the tenant's customer at Stripe, or finds the one it has (200).",
     .detail = "What is given of its data becomes true for one that was found, too.",
     .role = API_EDITOR,
     .flags = API_ASKS_STRIPE | API_IS_RESUMED,
     .history = "customer_requested",
     .params = CUSTOMER_PARAMS,
     .answer = CUSTOMER_FIELDS,
     .statuses = {201, 409, 503},
     .handle = post_customer},
    {.method = "GET",
     .path = "/api/billing/customer",
     .what = "The tenant's customer at Stripe.",
     .role = API_VIEWER,
     .answer = CUSTOMER_FIELDS,
     .statuses = {404},
     .handle = get_customer},
    {.method = "POST",
     .path = "/api/billing/customer/payment_method",
     .what = "Attaches a payment method, and makes it the default, of the subscription too.",
     .role = API_EDITOR,
     .flags = API_ASKS_STRIPE | API_IS_RESUMED,
     .history = "payment_method_requested",
     .params = METHOD_PARAMS,
     .answer = METHOD_ANSWER,
     .statuses = {409, 503},
     .handle = post_payment_method},
    {.method = NULL}};
