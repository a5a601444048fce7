/* The happy path: one statement computes our own preview, Stripe is asked for its own, a second
 * statement compares them. Where Stripe cannot be asked, ours alone, which says so. */
#include "api/preview/preview_routes.h"

#include "api/preview/preview_fields.h"
#include "api/request.h"
#include "api/sql.h"
#include "api/stripe/stripe_work.h"
#include "common/stripe/preview_ask.h"

#include <stdlib.h>
#include <string.h>

enum { SEATS_MAX = 1000000 };

static void free_ours(void *ours)
{
    json_decref(ours);
}

static void answer_text(struct api_request *r, const PGresult *result)
{
    api_answer_text(r, PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0));
}

static void take_comparison(struct api_request *r, PGresult **results, int n)
{
    (void)n;
    answer_text(r, results[0]);
}

static void take_invoice(void *owner, const char *invoice, const char *why)
{
    struct api_request *r = owner;
    struct pg_statement s;
    if (!invoice && *why) {
        api_answer(r, preview_alone(json_incref(r->state), why));
        return;
    }
    char *ours = json_dumps(r->state, JSON_COMPACT);
    pg_statement_init(&s, SQL_COMPARE_PREVIEW);
    pg_add_text(&s, ours);
    pg_add_text(&s, invoice);
    api_sql(r, &s, 1, take_comparison);
    free(ours);
}

static void take_preview(struct api_request *r, PGresult **results, int n)
{
    (void)n;
    struct stripe_calls *calls = stripe_work_open_calls(r->context->stripe);
    if (PQgetisnull(results[0], 0, 0)) {
        api_fail(r, 404, "no_subscription", NULL, "the tenant has no subscription");
        return;
    }
    json_t *ours = json_loads(PQgetvalue(results[0], 0, 0), 0, NULL);
    const char *error = json_string_value(json_object_get(ours, "error"));
    r->state = ours;
    r->release = free_ours;
    if (!ours)
        api_fail(r, 409, "amount_too_large", NULL,
                 "the invoice has an amount that no 64 bits hold");
    else if (error)
        api_fail(r, 400, "plan_not_sold", "plan", "%s", error);
    else if (preview_no_question(ours))
        take_invoice(r, NULL, preview_no_question(ours));
    else if (!calls)
        take_invoice(r, NULL, "the API has no key of Stripe's");
    else
        preview_ask(calls, json_object_get(ours, "request"), take_invoice, r);
}

static void read_preview(struct api_request *r, json_t *change)
{
    struct pg_statement s;
    char *text = json_dumps(change, JSON_COMPACT);
    pg_statement_init(&s, SQL_PREVIEW_INVOICE);
    pg_add_text(&s, r->tenant);
    pg_add_text(&s, text);
    api_sql(r, &s, 1, take_preview);
    free(text);
    json_decref(change);
}

static void show_upcoming(struct api_request *r)
{
    read_preview(r, json_object());
}

static void preview_change(struct api_request *r)
{
    static const char *const TEXTS[] = {"plan", "at", "interval"};
    bool changes = api_given(r, "plan") || api_given(r, "seats");
    if (!changes && (api_given(r, "at") || api_given(r, "interval"))) {
        api_fail(r, 400, "missing_parameter", "plan", "at and interval need a plan or seats");
        return;
    }
    json_t *change = json_object();
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        if (api_given(r, TEXTS[i]))
            json_object_set_new(change, TEXTS[i], json_string(api_text(r, TEXTS[i])));
    if (api_given(r, "seats"))
        json_object_set_new(change, "seats", json_integer(api_whole(r, "seats")));
    read_preview(r, change);
}

static const char *const TIMES[] = {"now", "period_end", NULL};
static const char *const INTERVALS[] = {"month", "year", NULL};

static const struct api_param PARAMS[] = {
    {.place = API_BODY, .name = "plan", .type = API_NAME, .what = "the plan to change to"},
    {.place = API_BODY,
     .name = "seats",
     .type = API_WHOLE,
     .min = 1,
     .max = SEATS_MAX,
     .what = "how many seats there would be"},
    {.place = API_BODY,
     .name = "at",
     .type = API_CHOICE,
     .choices = TIMES,
     .what = "when; left out: what costs less waits for the period's end"},
    {.place = API_BODY,
     .name = "interval",
     .type = API_CHOICE,
     .choices = INTERVALS,
     .what = "paid by the month or year; left out: as now"},
    API_PARAMS_END};

const struct api_route PREVIEW_ROUTES[] = {
    {.method = "POST",
     .path = "/api/billing/subscription/preview",
     .what =
         "What the next invoice would be if the subscription changed, beside Stripe's own preview.",
     .detail =
         "Computed from what is stored here, to the last minor unit. Nothing is changed. Without "
         "a body: the next invoice as it is. What differs from Stripe's preview is named.",
     .role = API_VIEWER,
     .flags = API_ASKS_STRIPE | API_IS_NO_CHANGE,
     .params = PARAMS,
     .answer = PREVIEW_FIELDS,
     .statuses = {404, 409},
     .handle = preview_change},
    {.method = "GET",
     .path = "/api/billing/invoices/upcoming",
     .what = "The tenant's next invoice, line by line, beside Stripe's own preview.",
     .role = API_VIEWER,
     .flags = API_ASKS_STRIPE,
     .answer = PREVIEW_FIELDS,
     .statuses = {404, 409},
     .handle = show_upcoming},
    {.method = NULL}};
