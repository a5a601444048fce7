#include "api/usage/usage_routes.h"

#include "api/request.h"
#include "api/sql.h"

static const struct api_field USAGE_METRIC[] = {
    {.name = "metric", .type = API_NAME, .what = "of the catalog"},
    {.name = "unit", .type = API_TEXT, .what = "what one of it is"},
    {.name = "quantity", .type = API_DECIMAL, .what = "used in the period so far"},
    {.name = "updated_at",
     .type = API_TIME,
     .nullable = true,
     .what = "when it last rose; null: never"},
    API_FIELDS_END};

static const struct api_field USAGE[] = {
    {.name = "tenant", .type = API_TEXT, .what = "whose usage it is"},
    {.name = "period_start", .type = API_TIME, .what = "of the current billing period"},
    {.name = "period_end", .type = API_TIME, .what = "when it ends"},
    {.name = "metrics", .type = API_LIST, .fields = USAGE_METRIC, .what = "all of the catalog"},
    API_FIELDS_END};

static void read_usage(struct api_request *r)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_READ_USAGE);
    pg_add_text(&s, r->tenant);
    api_answer_row(r, &s);
}

static const struct api_field HISTORY[] = {
    {.name = "id", .type = API_TEXT, .what = "number of the row"},
    {.name = "kind", .type = API_TEXT, .what = "what happened, such as subscription_updated"},
    {.name = "object_id", .type = API_TEXT, .nullable = true, .what = "what it happened to"},
    {.name = "event_id",
     .type = API_TEXT,
     .nullable = true,
     .what = "Stripe's event that told of it"},
    {.name = "actor",
     .type = API_TEXT,
     .nullable = true,
     .what = "name of the key that did it; null: Stripe told"},
    {.name = "detail", .type = API_ANY, .what = "before and after"},
    {.name = "occurred_at", .type = API_TIME, .nullable = true, .what = "when it happened"},
    {.name = "recorded_at", .type = API_TIME, .what = "when it was noted"},
    API_FIELDS_END};

static const struct api_param HISTORY_PARAMS[] = {
    API_LIST_PARAMS,
    {.place = API_QUERY, .name = "kind", .type = API_NAME, .what = "only rows of this kind"},
    API_PARAMS_END};

static void list_history(struct api_request *r)
{
    unsigned char limit[8];
    struct pg_statement s;
    pg_statement_init(&s, SQL_LIST_HISTORY);
    pg_add_text(&s, r->tenant);
    pg_add_text(&s, api_text(r, "starting_after"));
    pg_add_i64(&s, api_list_limit(r) + 1, limit);
    pg_add_text(&s, api_text(r, "kind"));
    api_answer_list(r, &s);
}

const struct api_route USAGE_ROUTES[] = {
    {.method = "GET",
     .path = "/api/billing/usage",
     .what = "What the tenant has used in its current billing period.",
     .role = API_VIEWER,
     .answer = USAGE,
     .handle = read_usage},
    {.method = "GET",
     .path = "/api/billing/history",
     .what = "What changed in the tenant's billing, the newest first.",
     .role = API_VIEWER,
     .flags = API_IS_LIST,
     .params = HISTORY_PARAMS,
     .answer = HISTORY,
     .handle = list_history},
    {.method = NULL}};
