/* Lines are not stored: an event has only the first ten, and a draft's change without one. So they
 * are read from Stripe, page by page; if it cannot be asked, the invoice comes without them and
 * says so. */
#include "api/invoices/invoice_routes.h"

#include "api/preview/preview_fields.h"
#include "api/request.h"
#include "api/sql.h"
#include "api/stripe/stripe_work.h"
#include "common/str.h"
#include "common/stripe/objects/stripe_event.h"

#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 5000, PATIENCE_MS = 5000 };

enum { INVOICE, CUSTOMER, CURRENCY }; /* columns of read_invoice.sql */

struct reading {
    json_t *invoice;
    char *currency;
    json_t *lines; /* Stripe's, so far */
};

static void reading_free(void *state)
{
    struct reading *x = state;
    json_decref(x->invoice);
    json_decref(x->lines);
    free(x->currency);
    free(x);
}

static void list_invoices(struct api_request *r)
{
    unsigned char limit[8];
    struct pg_statement s;
    pg_statement_init(&s, SQL_LIST_INVOICES);
    pg_add_text(&s, r->tenant);
    pg_add_text(&s, api_text(r, "starting_after"));
    pg_add_i64(&s, api_list_limit(r) + 1, limit);
    pg_add_text(&s, api_text(r, "status"));
    api_answer_list(r, &s);
}

/* One invoice. */

static void answer_without_lines(struct api_request *r, const char *why)
{
    const struct reading *x = r->state;
    json_object_set_new(x->invoice, "lines", json_null());
    json_object_set_new(x->invoice, "lines_missing", json_string(why));
    api_answer(r, json_incref(x->invoice));
}

static void take_shown(struct api_request *r, PGresult **results, int n)
{
    const struct reading *x = r->state;
    (void)n;
    json_object_set_new(x->invoice, "lines", json_loads(PQgetvalue(results[0], 0, 0), 0, NULL));
    json_object_set_new(x->invoice, "lines_missing", json_null());
    api_answer(r, json_incref(x->invoice));
}

static void show_lines(struct api_request *r)
{
    const struct reading *x = r->state;
    struct pg_statement s;
    char *text = json_dumps(x->lines, JSON_COMPACT);
    pg_statement_init(&s, SQL_SHOW_LINES);
    pg_add_text(&s, text);
    pg_add_text(&s, x->currency);
    api_sql(r, &s, 1, take_shown);
    free(text);
}

static void ask_lines(struct api_request *r);

static void take_lines(void *owner, const struct stripe_reply *reply)
{
    struct api_request *r = owner;
    const struct reading *x = r->state;
    const json_t *page =
        reply->outcome == STRIPE_DONE ? json_object_get(reply->object, "data") : NULL;
    if (!json_is_array(page)) {
        answer_without_lines(r, reply->error ? reply->error->text : "Stripe gave no list of lines");
        return;
    }
    json_array_extend(x->lines, (json_t *)page);
    bool more =
        json_is_true(json_object_get(reply->object, "has_more")) && json_array_size(page) > 0;
    if (more && json_array_size(x->lines) >= LINES_MAX)
        answer_without_lines(r, "the invoice has too many lines");
    else if (more)
        ask_lines(r);
    else
        show_lines(r);
}

static void ask_lines(struct api_request *r)
{
    const struct reading *x = r->state;
    size_t count = json_array_size(x->lines);
    const char *last = count ? stripe_text(json_array_get(x->lines, count - 1), "id") : NULL;
    struct buf path = {0};
    struct buf query = {0};
    const char *id = api_text(r, "invoice");
    buf_add_str(&path, "/v1/invoices/");
    buf_add_urlencoded(&path, id, strlen(id));
    buf_add_str(&path, "/lines");
    buf_add_str(&query, "limit=100");
    if (last) {
        buf_add_str(&query, "&starting_after=");
        buf_add_urlencoded(&query, last, strlen(last));
    }
    stripe_calls_send(
        stripe_work_open_calls(r->context->stripe),
        &(struct stripe_request){
            .method = "GET", .path = path.data, .form = query.data, .patience_ms = PATIENCE_MS},
        take_lines, r);
    buf_done(&path);
    buf_done(&query);
}

static void take_row(struct api_request *r, PGresult **results, int n)
{
    (void)n;
    if (PQntuples(results[0]) == 0) {
        api_fail_missing(r, "invoice");
        return;
    }
    struct reading *x = xcalloc(1, sizeof *x);
    x->invoice = json_loads(PQgetvalue(results[0], 0, INVOICE), 0, NULL);
    x->currency = xstrdup(PQgetvalue(results[0], 0, CURRENCY));
    x->lines = json_array();
    r->state = x;
    r->release = reading_free;
    if (stripe_work_open_calls(r->context->stripe))
        ask_lines(r);
    else
        answer_without_lines(r, "the API has no key of Stripe's");
}

static void read_invoice(struct api_request *r)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_READ_INVOICE);
    pg_add_text(&s, r->tenant);
    pg_add_text(&s, api_text(r, "invoice"));
    api_sql(r, &s, 1, take_row);
}

/* The routes. */

static const char *const STATUSES[] = {"draft", "open", "paid", "uncollectible", "void", NULL};

#define INVOICE_FIELDS                                                                             \
    {.name = "id", .type = API_TEXT, .what = "the invoice at Stripe"},                             \
        {.name = "number",                                                                         \
         .type = API_TEXT,                                                                         \
         .nullable = true,                                                                         \
         .what = "null while it is a draft"},                                                      \
        {.name = "status", .type = API_TEXT, .what = "draft, open, paid, uncollectible or void"},  \
        {.name = "subscription", .type = API_TEXT, .nullable = true, .what = "that it bills"},     \
        {.name = "billing_reason",                                                                 \
         .type = API_TEXT,                                                                         \
         .nullable = true,                                                                         \
         .what = "such as subscription_cycle"},                                                    \
        {.name = "collection_method",                                                              \
         .type = API_TEXT,                                                                         \
         .nullable = true,                                                                         \
         .what = "charge_automatically or send_invoice"},                                          \
        {.name = "subtotal", .type = API_MONEY, .nullable = true, .what = "of all lines"},         \
        {.name = "tax", .type = API_MONEY, .nullable = true, .what = "all taxes"},                 \
        {.name = "total", .type = API_MONEY, .nullable = true, .what = "what it comes to"},        \
        {.name = "amount_due", .type = API_MONEY, .what = "what is to be paid"},                   \
        {.name = "amount_paid", .type = API_MONEY, .what = "what was paid"},                       \
        {.name = "amount_remaining",                                                               \
         .type = API_MONEY,                                                                        \
         .nullable = true,                                                                         \
         .what = "what is left to pay"},                                                           \
        {.name = "attempt_count",                                                                  \
         .type = API_WHOLE,                                                                        \
         .nullable = true,                                                                         \
         .what = "how often a payment was tried"},                                                 \
        {.name = "next_payment_attempt",                                                           \
         .type = API_TIME,                                                                         \
         .nullable = true,                                                                         \
         .what = "when it is tried again"},                                                        \
        {.name = "due_at",                                                                         \
         .type = API_TIME,                                                                         \
         .nullable = true,                                                                         \
         .what = "until when it is to be paid"},                                                   \
        {.name = "created_at", .type = API_TIME, .nullable = true, .what = "when it was made"},    \
        {.name = "period_start",                                                                   \
         .type = API_TIME,                                                                         \
         .nullable = true,                                                                         \
         .what = "the period that is over"},                                                       \
        {.name = "period_end", .type = API_TIME, .nullable = true, .what = "when it ended"},       \
        {.name = "finalized_at",                                                                   \
         .type = API_TIME,                                                                         \
         .nullable = true,                                                                         \
         .what = "from then on it stays as it is"},                                                \
        {.name = "paid_at", .type = API_TIME, .nullable = true, .what = "when it was paid"},       \
    {                                                                                              \
        .name = "has_pdf", .type = API_BOOL, .what = "whether there is a PDF of it"                \
    }

static const struct api_field LISTED[] = {INVOICE_FIELDS, API_FIELDS_END};

static const struct api_field READ[] = {
    INVOICE_FIELDS,
    {.name = "lines",
     .type = API_LIST,
     .nullable = true,
     .fields = STRIPE_LINE_FIELDS,
     .what = "as Stripe has them; null: see lines_missing"},
    {.name = "lines_missing", .type = API_TEXT, .nullable = true, .what = "why there are none"},
    API_FIELDS_END};

static const struct api_param LIST_PARAMS[] = {API_LIST_PARAMS,
                                               {.place = API_QUERY,
                                                .name = "status",
                                                .type = API_CHOICE,
                                                .choices = STATUSES,
                                                .what = "only those of this status"},
                                               API_PARAMS_END};

static const struct api_param READ_PARAMS[] = {{.place = API_PATH,
                                                .name = "invoice",
                                                .type = API_TEXT,
                                                .required = true,
                                                .min = 1,
                                                .max = 255,
                                                .what = "its id at Stripe"},
                                               API_PARAMS_END};

const struct api_route INVOICE_ROUTES[] = {{.method = "GET",
                                            .path = "/api/billing/invoices",
                                            .what = "The tenant's invoices, the newest first.",
                                            .role = API_VIEWER,
                                            .flags = API_IS_LIST,
                                            .params = LIST_PARAMS,
                                            .answer = LISTED,
                                            .handle = list_invoices},
                                           {.method = "GET",
                                            .path = "/api/billing/invoices/{invoice}",
                                            .what = "One invoice with its lines.",
                                            .role = API_VIEWER,
                                            .flags = API_ASKS_STRIPE,
                                            .params = READ_PARAMS,
                                            .answer = READ,
                                            .statuses = {404},
                                            .handle = read_invoice},
                                           {.method = NULL}};
