#include "api/revenue/revenue_routes.h"

#include "api/request.h"
#include "api/sql.h"

#include <string.h>

static const struct api_field MOVED[] = {
    {.name = "before", .type = API_MONEY, .what = "recurring revenue a month at the time before"},
    {.name = "new", .type = API_MONEY, .what = "of customers who never paid before"},
    {.name = "reactivation", .type = API_MONEY, .what = "of customers who had left"},
    {.name = "expansion", .type = API_MONEY, .what = "what customers pay more"},
    {.name = "contraction", .type = API_MONEY, .what = "what customers pay less"},
    {.name = "churn", .type = API_MONEY, .what = "of customers who pay no longer"},
    {.name = "fx", .type = API_MONEY, .what = "what exchange rates changed"},
    {.name = "rounding",
     .type = API_MONEY,
     .what = "what rounding each of these leaves: before + new + reactivation + expansion - "
             "contraction - churn + fx + rounding = mrr"},
    {.name = "customers_before", .type = API_WHOLE, .what = "who paid at the time before"},
    {.name = "customers_won", .type = API_WHOLE, .what = "who pay since"},
    {.name = "customers_lost", .type = API_WHOLE, .what = "who pay no longer"},
    {.name = "logo_churn_percent",
     .type = API_DECIMAL,
     .nullable = true,
     .what = "customers lost, of those before; null where there were none"},
    {.name = "gross_churn_percent",
     .type = API_DECIMAL,
     .nullable = true,
     .what = "contraction and churn, of the revenue before"},
    {.name = "net_churn_percent",
     .type = API_DECIMAL,
     .nullable = true,
     .what = "the same less expansion"},
    {.name = "net_churn_reactivated_percent",
     .type = API_DECIMAL,
     .nullable = true,
     .what = "the same less reactivation, too"},
    {.name = "net_retention_percent",
     .type = API_DECIMAL,
     .nullable = true,
     .what = "what is left of the revenue before, with expansion"},
    API_FIELDS_END};

static const struct api_field REVENUE[] = {
    {.name = "at", .type = API_TIME, .what = "when"},
    {.name = "plan",
     .type = API_TEXT,
     .nullable = true,
     .what = "split by plan: which; null: none"},
    {.name = "currency", .type = API_TEXT, .what = "of the amounts"},
    {.name = "mrr", .type = API_MONEY, .what = "recurring revenue a month"},
    {.name = "arr", .type = API_MONEY, .what = "recurring revenue a year"},
    {.name = "customers", .type = API_WHOLE, .what = "those with recurring revenue"},
    {.name = "arpu",
     .type = API_MONEY,
     .nullable = true,
     .what = "MRR a customer; null where there are none"},
    {.name = "unpriced_subscriptions",
     .type = API_WHOLE,
     .what = "subscriptions that count for nothing, since a price is not known"},
    {.name = "moved",
     .type = API_OBJECT,
     .nullable = true,
     .fields = MOVED,
     .what = "what moved it since the time before; null in the first row of a series"},
    API_FIELDS_END};

static const struct api_field RECEIPT[] = {
    {.name = "payments", .type = API_WHOLE, .what = "how many"},
    {.name = "amount", .type = API_MONEY, .what = "their sum, less what was paid back of it"},
    API_FIELDS_END};

static const struct api_field METERED[] = {
    {.name = "subscriptions", .type = API_WHOLE, .what = "that used something"},
    {.name = "amount", .type = API_MONEY, .what = "what it cost, before discounts and tax"},
    API_FIELDS_END};

static const struct api_field NOW[] = {
    {.name = "at", .type = API_TIME, .what = "when"},
    {.name = "since", .type = API_TIME, .what = "30 days before"},
    {.name = "revenue",
     .type = API_LIST,
     .fields = REVENUE,
     .what = "one row, or one for each plan or currency; moved is since then"},
    {.name = "receipts",
     .type = API_LIST,
     .fields = RECEIPT,
     .what = "what was paid in these 30 days, by currency"},
    {.name = "metered",
     .type = API_LIST,
     .fields = METERED,
     .what = "usage of the last full period of each subscription, by currency; none of it is in "
             "the recurring revenue"},
    API_FIELDS_END};

static const struct api_field SERIES[] = {
    {.name = "revenue",
     .type = API_LIST,
     .fields = REVENUE,
     .what = "by time, and by plan or currency where it is split"},
    API_FIELDS_END};

static const char *const PARTS[] = {"plan", "currency", NULL};
static const char *const STEPS[] = {"day", "week", "month", NULL};

#define CURRENCY_PARAM                                                                             \
    {.place = API_QUERY,                                                                           \
     .name = "currency",                                                                           \
     .type = API_NAME,                                                                             \
     .what = "of sums, such as usd; the one that exchange rates lead to if it is left out"},       \
    {                                                                                              \
        .place = API_QUERY, .name = "by", .type = API_CHOICE, .choices = PARTS,                    \
        .what = "a row for each plan, or for each currency in itself"                              \
    }

static const struct api_param NOW_PARAMS[] = {
    {.place = API_QUERY, .name = "at", .type = API_TIME, .what = "when; now if it is left out"},
    CURRENCY_PARAM,
    API_PARAMS_END};

static const struct api_param SERIES_PARAMS[] = {
    {.place = API_QUERY, .name = "from", .type = API_TIME, .required = true, .what = "begin"},
    {.place = API_QUERY, .name = "to", .type = API_TIME, .what = "end; now if it is left out"},
    {.place = API_QUERY,
     .name = "step",
     .type = API_CHOICE,
     .choices = STEPS,
     .fallback = "day",
     .what = "how far apart; at most 1000 of them"},
    CURRENCY_PARAM,
    API_PARAMS_END};

static void take_revenue(struct api_request *r, PGresult **results, int n)
{
    enum { ANSWER, FAULT, PARAM };
    (void)n;
    if (PQgetisnull(results[0], 0, FAULT))
        api_answer_text(r, PQgetvalue(results[0], 0, ANSWER),
                        (size_t)PQgetlength(results[0], 0, ANSWER));
    else
        api_fail(r, 400, "bad_parameter", PQgetvalue(results[0], 0, PARAM), "%s",
                 PQgetvalue(results[0], 0, FAULT));
}

/* A name that is no currency's would come back in every amount. */
static bool has_bad_currency(struct api_request *r)
{
    const char *currency = api_text(r, "currency");
    if (!currency || (strlen(currency) == 3 && strspn(currency, "abcdefghijklmnopqrstuvwxyz") == 3))
        return false;
    api_fail(r, 400, "bad_parameter", "currency", "currency must be three letters such as usd");
    return true;
}

static void read_revenue(struct api_request *r)
{
    struct pg_statement s;
    if (has_bad_currency(r))
        return;
    pg_statement_init(&s, SQL_READ_REVENUE);
    pg_add_text(&s, api_text(r, "at"));
    pg_add_text(&s, api_text(r, "currency"));
    pg_add_text(&s, api_text(r, "by"));
    api_sql(r, &s, 1, take_revenue);
}

static void read_series(struct api_request *r)
{
    struct pg_statement s;
    if (has_bad_currency(r))
        return;
    pg_statement_init(&s, SQL_READ_REVENUE_SERIES);
    pg_add_text(&s, api_text(r, "from"));
    pg_add_text(&s, api_text(r, "to"));
    pg_add_text(&s, api_text(r, "step"));
    pg_add_text(&s, api_text(r, "currency"));
    pg_add_text(&s, api_text(r, "by"));
    api_sql(r, &s, 1, take_revenue);
}

const struct api_route REVENUE_ROUTES[] = {
    {.method = "GET",
     .path = "/api/admin/revenue",
     .what = "Recurring revenue, customers and churn of all tenants at a time.",
     .detail = "It is worked out from what is kept, so any past time can be asked for. "
               "docs/revenue.md tells the rules.",
     .role = API_ADMIN,
     .scope = API_OF_FLEET,
     .params = NOW_PARAMS,
     .answer = NOW,
     .handle = read_revenue},
    {.method = "GET",
     .path = "/api/admin/revenue/series",
     .what = "Recurring revenue by day, week or month, and what moved it.",
     .role = API_ADMIN,
     .scope = API_OF_FLEET,
     .params = SERIES_PARAMS,
     .answer = SERIES,
     .handle = read_series},
    {.method = NULL}};
