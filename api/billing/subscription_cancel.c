/* The end of a subscription: with its period, or now. Now means that Stripe bills what was used so
 * far: what is in the stream is counted first, and the sink submits it, since usage that comes
 * after the end finds no period; then the subscription ends with a last invoice, which is paid at
 * once, because Stripe no longer collects by itself (docs.stripe.com/billing/subscriptions/cancel).
 *
 * Each step may be repeated: that it ends the subscription is noted before, so that a repetition
 * goes on with the last invoice. What ended in another way is not touched. */
#include "api/billing/billing_routes.h"
#include "api/billing/steps.h"
#include "api/billing/subscription_view.h"
#include "api/sql.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/stripe/objects/stripe_event.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 300, STREAM_SIZE = 40 };

/* The last invoice. */

static void finish(struct job *j)
{
    const char *id = stripe_text(j->subscription, "id");
    const char *invoice = stripe_text(j->kept, "id");
    json_t *shown = json_null();
    job_hint(j, "customer.subscription", id);
    if (invoice) {
        job_hint(j, "invoice", invoice);
        shown = json_pack("{s:s, s:s?, s:{s:I, s:s?}, s:s?}", "id", invoice, "status",
                          stripe_text(j->kept, "status"), "amount", "amount_minor",
                          (json_int_t)stripe_integer(j->kept, "total", 0), "currency",
                          stripe_text(j->kept, "currency"), "error",
                          *j->fault.code ? j->fault.code : NULL);
    }
    api_note(j->r, id, NULL, subscription_summary(j->subscription, j->known));
    job_finish(j, 200, SQL_SHOW_SUBSCRIPTION, id,
               subscription_view(j->tenant, j->subscription, j->known),
               json_pack("{s:s, s:o}", "change", "now", "last_invoice", shown));
}

static void keep(struct job *j, json_t *invoice)
{
    json_decref(j->kept);
    j->kept = json_incref(invoice);
}

static void take_collected(struct job *j, json_t *invoice)
{
    keep(j, invoice);
    j->fault = (struct stripe_fault){0};
    finish(j);
}

/* Paid, or sent to whoever pays by invoice: Stripe does neither any more. */
static void collect(struct job *j)
{
    struct stripe_form f = {0};
    const char *status = stripe_text(j->kept, "status");
    const char *method = stripe_text(j->kept, "collection_method");
    bool is_sent = method && !strcmp(method, "send_invoice");
    if (!status || strcmp(status, "open") != 0) {
        finish(j);
        return;
    }
    char *path =
        xasprintf("/v1/invoices/%s/%s", stripe_text(j->kept, "id"), is_sent ? "send" : "pay");
    j->refused = finish; /* it stays open, and the subscription has ended all the same */
    job_post(j, is_sent ? "send_last_invoice" : "pay_last_invoice", path, &f, false,
             take_collected);
    free(path);
}

static void take_finalized(struct job *j, json_t *invoice)
{
    keep(j, invoice);
    collect(j);
}

static void take_invoice(struct job *j, json_t *invoice)
{
    struct stripe_form f = {0};
    const char *status = stripe_text(invoice, "status");
    keep(j, invoice);
    if (!status || strcmp(status, "draft") != 0) {
        collect(j);
        return;
    }
    char *path = xasprintf("/v1/invoices/%s/finalize", stripe_text(invoice, "id"));
    stripe_form_bool(&f, false, "auto_advance");
    j->refused = finish;
    job_post(j, "finalize_last_invoice", path, &f, false, take_finalized);
    free(path);
}

static void settle_last_invoice(struct job *j)
{
    const char *id = stripe_reference(j->subscription, "latest_invoice");
    if (!stripe_is_id(id)) {
        finish(j);
        return;
    }
    char *path = xasprintf("/v1/invoices/%s", id);
    job_get(j, path, NULL, take_invoice);
    free(path);
}

/* Ending. */

static void take_read(struct job *j, json_t *subscription)
{
    json_decref(j->subscription);
    j->subscription = json_incref(subscription);
    settle_last_invoice(j);
}

/* Gone meanwhile: as it is now. */
static void take_ended(struct job *j, json_t *subscription)
{
    stage_crash_point("after_stripe");
    if (subscription) {
        take_read(j, subscription);
        return;
    }
    char *path = xasprintf("/v1/subscriptions/%s", stripe_text(j->subscription, "id"));
    job_get(j, path, NULL, take_read);
    free(path);
}

/* Unused time is not given back (prorate). */
static void send_end(struct api_request *r)
{
    struct job *j = job_of(r);
    struct stripe_form f = {0};
    char *path = xasprintf("/v1/subscriptions/%s", stripe_text(j->subscription, "id"));
    stripe_form_bool(&f, true, "invoice_now");
    stripe_form_bool(&f, false, "prorate");
    j->missing_is_fine = true;
    job_delete(j, path, &f, take_ended);
    free(path);
}

static void end_now(struct job *j)
{
    json_t *ending = json_pack("{s:s}", "ending", stripe_text(j->subscription, "id"));
    api_save_progress(j->r, ending, send_end);
}

/* Settling. */

static void stream_of(const struct api_request *r, char stream[STREAM_SIZE])
{
    int64_t shards = r->context->shards;
    if (shards > 1)
        (void)snprintf(stream, STREAM_SIZE, STREAM_SHARD_KEY,
                       (int)(str_crc16(r->tenant, strlen(r->tenant)) % shards));
    else
        (void)snprintf(stream, STREAM_SIZE, "%s", STREAM_KEY);
}

static void run_look(struct job *j);

/* What does not pass by itself is not waited for. */
static bool passes(const char *reason)
{
    return !strcmp(reason, "counting") || !strcmp(reason, "waiting") || !strcmp(reason, "ahead") ||
           !strcmp(reason, "pending") || !strcmp(reason, "sending") || !strcmp(reason, "in_doubt");
}

static void fail_unsettled(struct job *j, const PGresult *rows)
{
    struct buf why = {0};
    for (int i = 0; i < PQntuples(rows) && i < 5; i++)
        buf_printf(&why, "%s%s of %s (%s)", i ? ", " : "", PQgetvalue(rows, i, 2),
                   PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1));
    job_fail(j, 409, "usage_not_settled", NULL,
             "Stripe does not have all yet that this tenant has used: %s. Nothing was ended. Send "
             "it again later, or see `meterctl submissions`",
             why.data);
    buf_done(&why);
}

static void take_unsettled(struct api_request *r, PGresult **results, int n)
{
    struct job *j = job_of(r);
    const PGresult *rows = results[n - 1];
    bool is_stuck = clock_monotonic_ms() >= j->until_ms;
    for (int i = 0; i < PQntuples(rows); i++)
        is_stuck |= !passes(PQgetvalue(rows, i, 1));
    if (PQntuples(rows) == 0)
        end_now(j);
    else if (is_stuck)
        fail_unsettled(j, rows);
    else
        job_pause(j, LOOK_MS, run_look);
}

/* The sink is asked each time: what has been counted since its last look is to be claimed too. */
static void run_look(struct job *j)
{
    struct pg_statement s[2];
    char stream[STREAM_SIZE];
    stream_of(j->r, stream);
    pg_statement_init(&s[0], SQL_ASK_SETTLING);
    pg_add_text(&s[0], j->tenant);
    pg_statement_init(&s[1], SQL_READ_UNSETTLED);
    pg_add_text(&s[1], j->tenant);
    pg_add_text(&s[1], stream);
    pg_add_text(&s[1], j->newest_entry);
    api_sql(j->r, s, 2, take_unsettled);
}

/* What was emitted before this request. An entry that was trimmed has been counted. */
static void take_newest(void *owner, const struct err *error, void *result)
{
    struct job *j = owner;
    const redisReply *reply = result;
    if (error) {
        api_fail_err(j->r, error);
        return;
    }
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
        reply->element[0]->type == REDIS_REPLY_ARRAY && reply->element[0]->elements > 0 &&
        reply->element[0]->element[0]->str)
        j->newest_entry = xstrdup(reply->element[0]->element[0]->str);
    run_look(j);
}

static void ask_settling(struct job *j)
{
    char stream[STREAM_SIZE];
    const char *argv[] = {"XREVRANGE", stream, "+", "-", "COUNT", "1"};
    j->until_ms = clock_monotonic_ms() + api_whole(j->r, "settle_s") * 1000;
    stream_of(j->r, stream);
    redis_router_command(j->r->context->redis, stream, strlen(stream), API_DEADLINE_MS, take_newest,
                         j, 6, argv, NULL);
}

static bool is_now(const struct job *j)
{
    return !strcmp(api_text(j->r, "at"), "now");
}

static void take_live(struct job *j)
{
    (is_now(j) ? ask_settling : subscription_end_with_period)(j);
}

static bool stands(const struct job *j, const char *id)
{
    size_t i;
    const json_t *subscription;
    json_array_foreach(j->live, i, subscription)
    {
        if (!strcmp(stripe_text(subscription, "id"), id))
            return true;
    }
    return false;
}

/* One that an earlier try of this request ended needs no second end. */
static void look_at_live(struct job *j)
{
    const char *ending = stripe_text(j->r->progress, "ending");
    if (!ending || stands(j, ending)) {
        steps_pick_live(j, take_live);
        return;
    }
    char *path = xasprintf("/v1/subscriptions/%s", ending);
    job_get(j, path, NULL, take_read);
    free(path);
}

static void take_customer(struct job *j)
{
    steps_list_live(j, look_at_live);
}

static void begin(struct job *j)
{
    steps_need_customer(j, take_customer);
}

void subscription_cancel(struct api_request *r)
{
    job_start(r, NULL, begin);
}
