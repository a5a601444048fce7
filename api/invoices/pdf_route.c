/* An invoice's PDF, for the invoice's own tenant.
 *
 * The happy path: the row says that the tenant has it; Stripe is asked for the invoice, since its
 * links expire; the customer is compared; the PDF is fetched and passed on as it comes. Failure
 * modes: until the first byte each has an answer of its own. After it, the connection is cut, so
 * that nobody takes half a document for a whole one. */
#include "api/invoices/invoice_routes.h"
#include "api/invoices/pdf_fetch.h"
#include "api/request.h"
#include "api/sql.h"
#include "api/stripe/stripe_fault.h"
#include "api/stripe/stripe_work.h"
#include "common/str.h"
#include "common/stripe/objects/stripe_event.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 5000, TIMEOUT_MS = 60000, AHEAD_BYTES = 256 << 10 };

enum { INVOICE, CUSTOMER, CURRENCY, NAME }; /* columns of read_invoice.sql */

struct pdf {
    struct api_request *request;
    char *customer;
    char *name;
    struct pdf_fetch *fetch; /* NULL: not begun, or over */
    size_t ahead;            /* bytes that were written since the client wanted more */
    bool paused;
    bool begun; /* the first byte has gone out */
    bool gone;  /* the client had left by then */
};

static void pdf_free(void *state)
{
    struct pdf *p = state;
    free(p->customer);
    free(p->name);
    free(p);
}

/* Passing it on. */

static void on_wanted(void *owner)
{
    struct pdf *p = owner;
    p->ahead = 0;
    if (!p->paused)
        return;
    p->paused = false;
    pdf_fetch_resume(p->fetch);
}

static void on_gone(void *owner)
{
    struct pdf *p = owner;
    if (p->fetch)
        pdf_fetch_cancel(p->fetch);
    api_stream_gone(p->request);
}

static void begin(struct pdf *p)
{
    char *disposition = xasprintf("attachment; filename=\"%s.pdf\"", p->name);
    api_header(p->request, "Content-Disposition", disposition);
    free(disposition);
    p->begun = true;
    p->gone = api_stream_begin(p->request, (struct http_pieces){.on_wanted = on_wanted,
                                                                .on_gone = on_gone,
                                                                .owner = p}) != 0;
}

static enum http_taken on_data(void *owner, const char *data, size_t length)
{
    struct pdf *p = owner;
    if (!p->begun)
        begin(p);
    if (p->gone)
        return HTTP_STOPPED;
    p->paused = p->ahead >= AHEAD_BYTES;
    if (p->paused)
        return HTTP_PAUSED;
    p->ahead += length;
    api_stream_write(p->request, data, length);
    return HTTP_TAKEN;
}

static void on_done(void *owner, const struct err *error)
{
    struct pdf *p = owner;
    p->fetch = NULL;
    if (p->gone)
        api_stream_gone(p->request);
    else if (p->begun)
        api_stream_end(p->request, !error);
    else
        api_fail(p->request, 502, "pdf_unavailable", NULL, "the PDF could not be fetched: %s",
                 error->text);
}

static void fetch(struct pdf *p, const char *url)
{
    struct err e;
    const struct context *context = p->request->context;
    const struct pdf_rules rules = {.allow_loopback = context->config->allow_local_pdf,
                                    .max_bytes = (size_t)context->config->pdf_max_kb << 10,
                                    .timeout_ms = TIMEOUT_MS};
    p->fetch =
        pdf_fetch_start(context->files, url, &rules,
                        (struct pdf_events){.on_data = on_data, .done = on_done, .owner = p}, &e);
    if (!p->fetch)
        api_fail(p->request, 502, "pdf_unavailable", NULL, "the PDF could not be fetched: %s",
                 e.text);
}

/* Whose is it, and where? */

static void fail_stripe(struct api_request *r, const struct stripe_reply *reply)
{
    struct stripe_fault fault;
    char seconds[24];
    stripe_fault_of(&fault, reply);
    (void)snprintf(seconds, sizeof seconds, "%" PRId64, fault.retry_after_s);
    if (fault.retry_after_s > 0)
        api_header(r, "Retry-After", seconds);
    api_fail(r, fault.status, fault.code, fault.param, "%s", fault.message);
}

static void take_invoice(void *owner, const struct stripe_reply *reply)
{
    struct pdf *p = owner;
    struct api_request *r = p->request;
    if (reply->outcome == STRIPE_REFUSED && reply->status == 404) {
        api_fail_missing(r, "invoice");
        return;
    }
    if (reply->outcome != STRIPE_DONE) {
        fail_stripe(r, reply);
        return;
    }
    const char *customer = stripe_reference(reply->object, "customer");
    const char *url = stripe_text(reply->object, "invoice_pdf");
    if (!customer || strcmp(customer, p->customer) != 0)
        api_fail_missing(r, "invoice");
    else if (!url)
        api_fail(r, 409, "no_pdf", "invoice", "the invoice has no PDF: it is not final yet");
    else
        fetch(p, url);
}

static void ask(struct pdf *p)
{
    const char *id = api_text(p->request, "invoice");
    struct buf path = {0};
    buf_add_str(&path, "/v1/invoices/");
    buf_add_urlencoded(&path, id, strlen(id));
    stripe_calls_send(
        stripe_work_open_calls(p->request->context->stripe),
        &(struct stripe_request){.method = "GET", .path = path.data, .patience_ms = PATIENCE_MS},
        take_invoice, p);
    buf_done(&path);
}

/* A file's name, whatever is in an invoice's number. */
static char *file_name(const char *text)
{
    char *name = xstrdup(text);
    for (char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("._-", *at))
            *at = '_';
    return name;
}

static void take_row(struct api_request *r, PGresult **results, int n)
{
    (void)n;
    if (PQntuples(results[0]) == 0) {
        api_fail_missing(r, "invoice");
        return;
    }
    struct pdf *p = xcalloc(1, sizeof *p);
    p->request = r;
    p->customer = xstrdup(PQgetvalue(results[0], 0, CUSTOMER));
    p->name = file_name(PQgetvalue(results[0], 0, NAME));
    r->state = p;
    r->release = pdf_free;
    if (stripe_work_open_calls(r->context->stripe))
        ask(p);
    else
        api_fail(r, 503, "stripe_not_set_up", NULL, "the API has no key of Stripe's");
}

static void read_pdf(struct api_request *r)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_READ_INVOICE);
    pg_add_text(&s, r->tenant);
    pg_add_text(&s, api_text(r, "invoice"));
    api_sql(r, &s, 1, take_row);
}

static const struct api_param PARAMS[] = {{.place = API_PATH,
                                           .name = "invoice",
                                           .type = API_TEXT,
                                           .required = true,
                                           .min = 1,
                                           .max = 255,
                                           .what = "its id at Stripe"},
                                          API_PARAMS_END};

const struct api_route PDF_ROUTES[] = {
    {.method = "GET",
     .path = "/api/billing/invoices/{invoice}/pdf",
     .what = "An invoice's PDF, passed on from Stripe.",
     .detail = "Only of an invoice of the tenant's own. Stripe's link to it is not told, since "
               "whoever has it can read the invoice.",
     .role = API_VIEWER,
     .flags = API_IS_STREAM | API_ASKS_STRIPE,
     .params = PARAMS,
     .gives = "application/pdf",
     .statuses = {404, 409},
     .handle = read_pdf},
    {.method = NULL}};
