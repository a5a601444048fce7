/* meterctl preview: the next invoice of a tenant, by our own computation, and Stripe's beside it.
 *
 * The happy path: one statement computes ours, a call asks Stripe for its own, a second statement
 * compares them. Failure modes: no key, or Stripe does not answer: ours alone, which says so. */
#include "common/currency.h"
#include "common/stripe/preview_ask.h"
#include "common/stripe/stripe_calls.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/submissions/stripe_run.h"
#include "ctl/terminal/table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEATS_MAX = 1000000 };

struct preview {
    const struct ctl_config *config;
    const char *tenant;
    json_t *change; /* {plan, seats, at, interval} */
    bool json;
    bool wide;
    /* Stripe's answer. */
    bool answered;
    char *invoice; /* NULL: see why */
    char *why;     /* NULL with an invoice; "": nothing is upcoming */
};

/* Asking Stripe. */

struct ask {
    struct preview *preview;
    struct stripe_calls *calls;
};

static void take_invoice(void *owner, const char *invoice, const char *why)
{
    struct ask *a = owner;
    a->preview->invoice = invoice ? xstrdup(invoice) : NULL;
    a->preview->why = why ? xstrdup(why) : NULL;
    stripe_calls_close(a->calls, NULL, NULL);
}

static void ask_stripe(struct preview *p, const json_t *ours)
{
    uv_loop_t loop;
    struct stripe_access access = stripe_run_access(p->config, p->config->reconcile_rate_per_s);
    struct ask a = {.preview = p};
    const char *why =
        !p->config->stripe_secret_key ? "STRIPE_SECRET_KEY is not set" : preview_no_question(ours);
    if (why) {
        p->why = xstrdup(why);
        return;
    }
    uv_loop_init(&loop);
    a.calls = stripe_calls_open(&loop, &access, 1);
    preview_ask(a.calls, json_object_get(ours, "request"), take_invoice, &a);
    uv_run(&loop, UV_RUN_DEFAULT);
    int open = uv_loop_close(&loop);
    assert(open == 0);
}

/* One JSON object from a statement. NULL with code: told, or (CTL_DONE) it was SQL NULL. */
static json_t *read_object(PGconn *conn, const char *sql, int n, const char *const *values,
                           int *code)
{
    struct err e;
    json_t *object = NULL;
    PGresult *r = db_query(conn, sql, n, values, &e);
    *code = CTL_DONE;
    if (!r) {
        *code = ctl_fail_err(CTL_FAILED, &e);
        return NULL;
    }
    const char *text = db_text(r, 0, 0);
    if (text) {
        object = json_loads(text, 0, NULL);
        if (!object)
            *code = ctl_fail(CTL_FAILED, "the preview has an amount that no 64 bits hold");
    }
    PQclear(r);
    return object;
}

static json_t *beside_stripe(PGconn *conn, struct preview *p, json_t *ours, int *code)
{
    ask_stripe(p, ours);
    if (!p->invoice && *p->why)
        return preview_alone(ours, p->why);
    char *text = json_dumps(ours, JSON_COMPACT);
    const char *values[] = {text, p->invoice};
    json_t *both = read_object(conn, SQL_COMPARE_PREVIEW, 2, values, code);
    free(text);
    json_decref(ours);
    return both;
}

/* For people. */

static json_t *amount_text(const json_t *money)
{
    struct buf out = {0};
    const json_t *amount = json_object_get(money, "amount_minor");
    if (!json_is_integer(amount))
        return json_null();
    currency_add_amount(&out, json_integer_value(amount),
                        json_string_value(json_object_get(money, "currency")));
    json_t *text = json_string(out.data);
    buf_done(&out);
    return text;
}

static const char *text_or(const json_t *object, const char *name, const char *other)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : other;
}

static json_t *what_of(const json_t *line)
{
    const char *metric = json_string_value(json_object_get(line, "metric"));
    const char *description = json_string_value(json_object_get(line, "description"));
    return json_string(description ? description : metric ? metric : text_or(line, "price", "-"));
}

static void print_lines(const json_t *preview, bool wide)
{
    static const struct table_column COLUMNS[] = {
        {"what", TABLE_NAME},   {"kind", TABLE_TEXT}, {"quantity", TABLE_NUMBER},
        {"amount", TABLE_TEXT}, {"from", TABLE_TEXT}, {"until", TABLE_TEXT},
        {NULL, TABLE_TEXT}};
    size_t i;
    const json_t *line;
    json_t *rows = json_array();
    json_array_foreach(json_object_get(preview, "lines"), i, line)
    {
        json_t *row = json_object();
        json_object_set_new(row, "what", what_of(line));
        json_object_set(row, "kind", json_object_get(line, "kind"));
        json_object_set(row, "quantity", json_object_get(line, "quantity"));
        json_object_set_new(row, "amount", amount_text(json_object_get(line, "amount")));
        json_object_set(row, "from", json_object_get(line, "period_start"));
        json_object_set(row, "until", json_object_get(line, "period_end"));
        json_array_append_new(rows, row);
    }
    table_print("lines", rows, COLUMNS, wide);
    json_decref(rows);
}

static void print_sums(const json_t *preview, bool wide)
{
    static const char *const SUMS[] = {"subtotal", "discount", "tax", "total"};
    static const struct table_column COLUMNS[] = {{"sum", TABLE_TEXT},
                                                  {"ours", TABLE_TEXT},
                                                  {"stripe", TABLE_TEXT},
                                                  {"difference", TABLE_TEXT},
                                                  {NULL, TABLE_TEXT}};
    json_t *rows = json_array();
    for (size_t i = 0; i < sizeof SUMS / sizeof *SUMS; i++) {
        json_t *row = json_object();
        json_object_set_new(row, "sum", json_string(SUMS[i]));
        json_object_set_new(row, "ours", amount_text(json_object_get(preview, SUMS[i])));
        json_object_set_new(
            row, "stripe",
            amount_text(json_object_get(json_object_get(preview, "stripe"), SUMS[i])));
        json_object_set_new(
            row, "difference",
            amount_text(json_object_get(json_object_get(preview, "difference"), SUMS[i])));
        json_array_append_new(rows, row);
    }
    table_print("sums", rows, COLUMNS, wide);
    json_decref(rows);
}

static void print_differences(const json_t *preview, bool wide)
{
    static const struct table_column COLUMNS[] = {
        {"what", TABLE_NAME},   {"reason", TABLE_TEXT},         {"ours", TABLE_TEXT},
        {"stripe", TABLE_TEXT}, {"our_quantity", TABLE_NUMBER}, {"stripe_quantity", TABLE_NUMBER},
        {NULL, TABLE_TEXT}};
    size_t i;
    const json_t *line;
    json_t *rows = json_array();
    json_array_foreach(json_object_get(json_object_get(preview, "difference"), "lines"), i, line)
    {
        json_t *row = json_deep_copy(line);
        json_object_set_new(row, "what", what_of(line));
        json_object_set_new(row, "ours", amount_text(json_object_get(line, "ours")));
        json_object_set_new(row, "stripe", amount_text(json_object_get(line, "stripe")));
        json_array_append_new(rows, row);
    }
    table_print("what differs from Stripe's own preview", rows, COLUMNS, wide);
    json_decref(rows);
}

static void print_notes(const json_t *preview)
{
    size_t i;
    const json_t *unknown;
    const json_t *stripe = json_object_get(preview, "stripe");
    json_array_foreach(json_object_get(preview, "unknown"), i, unknown)
    {
        fprintf(stderr, "note: not computed: %s %s\n", text_or(unknown, "what", ""),
                text_or(unknown, "id", ""));
    }
    if (!json_is_true(json_object_get(stripe, "asked")))
        fprintf(stderr, "note: ours alone, not compared with Stripe's: %s\n",
                text_or(stripe, "why", ""));
    else if (!json_is_true(json_object_get(stripe, "upcoming")))
        fprintf(stderr, "note: Stripe says that no invoice is upcoming\n");
}

static void print_preview(const json_t *preview, bool wide)
{
    if (!json_is_true(json_object_get(preview, "upcoming")))
        printf("nothing will be invoiced: %s\n",
               !strcmp(text_or(preview, "reason", ""), "ends")     ? "the subscription ends"
               : !strcmp(text_or(preview, "reason", ""), "paused") ? "the subscription is paused"
                                                                   : "it has no lines");
    else
        printf("%s, invoice of %s%s\n\n", text_or(preview, "subscription", ""),
               text_or(preview, "invoice_at", ""),
               json_is_true(json_object_get(preview, "at_once")) ? ", at once" : "");
    print_lines(preview, wide);
    print_sums(preview, wide);
    print_differences(preview, wide);
    print_notes(preview);
}

static int show(PGconn *conn, void *owner)
{
    struct preview *p = owner;
    int code = names_check(conn, p->tenant, NULL, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    char *change = json_dumps(p->change, JSON_COMPACT);
    const char *values[] = {p->tenant, change};
    json_t *preview = read_object(conn, SQL_PREVIEW_INVOICE, 2, values, &code);
    free(change);
    if (!preview)
        return code != CTL_DONE ? code : ctl_fail(CTL_FAILED, "%s has no subscription", p->tenant);
    const char *error = json_string_value(json_object_get(preview, "error"));
    if (error)
        code = ctl_fail(CTL_FAILED, "%s", error);
    else
        preview = beside_stripe(conn, p, preview, &code);
    if (code == CTL_DONE && p->json)
        report_print_json(preview);
    else if (code == CTL_DONE)
        print_preview(preview, p->wide);
    json_decref(preview);
    return code;
}

static int check_word(const char *name, const char *text, const char *one, const char *other)
{
    if (!text || !strcmp(text, one) || !strcmp(text, other))
        return 0;
    return ctl_fail(-1, "%s is %s or %s, not \"%s\"", name, one, other, text);
}

int preview_run(const struct ctl_config *config, int argc, char **argv)
{
    struct preview p = {.config = config};
    const char *plan = NULL, *seats = NULL, *at = NULL, *interval = NULL;
    int64_t count = 0;
    const struct args_option options[] = {
        {"--plan", &plan, NULL},   {"--seats", &seats, NULL},
        {"--at", &at, NULL},       {"--interval", &interval, NULL},
        {"--json", NULL, &p.json}, {"--wide", NULL, &p.wide},
        {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 1, 1) < 0 ||
        args_whole("--seats", seats, 1, SEATS_MAX, &count) ||
        check_word("--at", at, "now", "period_end") ||
        check_word("--interval", interval, "month", "year"))
        return CTL_USAGE;
    if ((at || interval) && !plan && !seats)
        return ctl_fail(CTL_USAGE, "--at and --interval need --plan or --seats");
    if (config->stripe_secret_key &&
        conf_refuse_live_key(config->stripe_secret_key, config->stripe_live) > 0)
        return CTL_USAGE;
    p.tenant = argv[0];
    p.change = json_pack("{s:s*, s:s*, s:s*}", "plan", plan, "at", at, "interval", interval);
    if (count > 0)
        json_object_set_new(p.change, "seats", json_integer(count));
    int code = ctl_with_database(config, CTL_FAILED, show, &p);
    json_decref(p.change);
    free(p.invoice);
    free(p.why);
    return code;
}
