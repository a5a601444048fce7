/* What was used, what was submitted of it, and what changed: read from PostgreSQL. */
#include "api/request.h"
#include "api/sql.h"
#include "api/usage/usage_cache.h"
#include "api/usage/usage_handlers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WINDOWS_MAX = 12000, NUMBER_SIZE = 24 };

static const struct api_field USAGE_METRIC[] = {
    {.name = "metric", .type = API_NAME, .what = "of the catalog"},
    {.name = "unit", .type = API_TEXT, .what = "what one of it is"},
    {.name = "quantity", .type = API_DECIMAL, .what = "used in the period so far"},
    {.name = "updated_at",
     .type = API_TIME,
     .nullable = true,
     .what = "when it last rose; null: never"},
    API_FIELDS_END};

const struct api_field USAGE_FIELDS[] = {
    {.name = "tenant", .type = API_TEXT, .what = "whose usage it is"},
    {.name = "period_start", .type = API_TIME, .what = "of the current billing period"},
    {.name = "period_end", .type = API_TIME, .what = "when it ends"},
    {.name = "metrics", .type = API_LIST, .fields = USAGE_METRIC, .what = "all of the catalog"},
    API_FIELDS_END};

void usage_read(struct api_request *r)
{
    usage_cache_answer(r->context->usage, r);
}

/* Windows. */

static const char *const WINDOWS[] = {"total", "minute", "hour", "day", "month", NULL};

const struct api_param WINDOWS_PARAMS[] = {
    {.place = API_PATH, .name = "metric", .type = API_NAME, .what = "of the catalog"},
    {.place = API_QUERY,
     .name = "from",
     .type = API_TIME,
     .what = "first minute; the start of the billing period if it is left out"},
    {.place = API_QUERY,
     .name = "to",
     .type = API_TIME,
     .what = "behind the last minute; now if it is left out"},
    {.place = API_QUERY,
     .name = "window",
     .type = API_CHOICE,
     .choices = WINDOWS,
     .fallback = "day",
     .what =
         "how long each window is; days and months are those of the time zone, so that a day may "
         "have 23 or 25 hours"},
    {.place = API_QUERY,
     .name = "timezone",
     .type = API_TEXT,
     .min = 1,
     .max = 64,
     .fallback = "UTC",
     .what = "IANA name such as Europe/Berlin"},
    {.place = API_QUERY,
     .name = "group_by",
     .type = API_NAME,
     .what = "a dimension of the metric: a row for each value of it; one without it is the value "
             "\"\""},
    API_PARAMS_END};

static const struct api_field WINDOW[] = {
    {.name = "start", .type = API_TIME, .what = "of the window, or from if that is later"},
    {.name = "end", .type = API_TIME, .what = "of the window, or to if that is earlier"},
    {.name = "value", .type = API_TEXT, .nullable = true, .what = "of the dimension in group_by"},
    {.name = "events", .type = API_WHOLE, .what = "how many"},
    {.name = "quantity",
     .type = API_DECIMAL,
     .nullable = true,
     .what = "by the metric's aggregation; null: a greatest or last value of nothing"},
    API_FIELDS_END};

const struct api_field WINDOWS_FIELDS[] = {
    {.name = "tenant", .type = API_TEXT, .what = "whose usage it is"},
    {.name = "metric", .type = API_NAME, .what = "as asked"},
    {.name = "unit", .type = API_TEXT, .what = "what one of it is"},
    {.name = "aggregation", .type = API_TEXT, .what = "sum, count, max, last or unique"},
    {.name = "from", .type = API_TIME, .what = "first minute"},
    {.name = "to", .type = API_TIME, .what = "behind the last minute"},
    {.name = "window", .type = API_TEXT, .what = "as asked"},
    {.name = "timezone", .type = API_TEXT, .what = "as asked"},
    {.name = "group_by", .type = API_NAME, .nullable = true, .what = "as asked"},
    {.name = "windows",
     .type = API_LIST,
     .fields = WINDOW,
     .what = "each window, also those without usage; with group_by those that have it"},
    API_FIELDS_END};

/* UTC, or names with a slash: what else PostgreSQL would take (abbreviations, offsets) is no IANA
 * name, or has none of its rules. */
static bool may_be_zone(const char *text)
{
    static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char OTHERS[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789+-/";
    size_t first = strspn(text, LETTERS);
    if (strcmp(text, "UTC") == 0)
        return true;
    return first > 1 && text[first] == '/' && text[first + 1] && !text[strspn(text, OTHERS)];
}

static void take_windows(struct api_request *r, PGresult **results, int n)
{
    (void)n;
    if (PQntuples(results[0]) == 0) {
        api_fail_missing(r, "metric");
    } else if (PQgetisnull(results[0], 0, 1)) {
        api_answer_text(r, PQgetvalue(results[0], 0, 0), (size_t)PQgetlength(results[0], 0, 0));
    } else {
        const char *param = PQgetvalue(results[0], 0, 1);
        api_fail(r, 400, "bad_parameter", param, "%s",
                 strcmp(param, "to") == 0       ? "to must be later than from"
                 : strcmp(param, "window") == 0 ? "there would be more than 12000 windows"
                                                : "group_by is no dimension of this metric");
    }
}

void usage_read_windows(struct api_request *r)
{
    struct pg_statement s;
    char most[NUMBER_SIZE];
    if (!may_be_zone(api_text(r, "timezone"))) {
        api_fail(r, 400, "bad_parameter", "timezone",
                 "timezone must be an IANA name such as Europe/Berlin");
        return;
    }
    snprintf(most, sizeof most, "%d", WINDOWS_MAX);
    pg_statement_init(&s, SQL_READ_WINDOWS);
    pg_add_text(&s, r->tenant);
    pg_add_text(&s, api_text(r, "metric"));
    pg_add_text(&s, api_text(r, "from"));
    pg_add_text(&s, api_text(r, "to"));
    pg_add_text(&s, api_text(r, "window"));
    pg_add_text(&s, api_text(r, "timezone"));
    pg_add_text(&s, api_text(r, "group_by"));
    pg_add_text(&s, most);
    api_blame(r, "timezone"); /* all else was checked */
    api_sql(r, &s, 1, take_windows);
}

/* Submissions. */

static const char *const STATES[] = {"pending",  "sending", "sent", "held", "failed",
                                     "in_doubt", "void",    "late", NULL};

const struct api_param SUBMISSIONS_PARAMS[] = {
    API_LIST_PARAMS,
    {.place = API_QUERY, .name = "metric", .type = API_NAME, .what = "only of this metric"},
    {.place = API_QUERY,
     .name = "state",
     .type = API_CHOICE,
     .choices = STATES,
     .what = "only in this state"},
    API_PARAMS_END};

const struct api_field SUBMISSIONS_FIELDS[] = {
    {.name = "id", .type = API_TEXT, .what = "the identifier that Stripe knows it by"},
    {.name = "metric", .type = API_NAME, .what = "of the catalog"},
    {.name = "state", .type = API_CHOICE, .choices = STATES, .what = "what became of it"},
    {.name = "quantity", .type = API_DECIMAL, .what = "how much"},
    {.name = "period_start", .type = API_TIME, .what = "of the billing period"},
    {.name = "usage_at", .type = API_TIME, .what = "the time that Stripe is told"},
    {.name = "transport", .type = API_TEXT, .what = "by which of Stripe's calls"},
    {.name = "attempts", .type = API_WHOLE, .what = "how often it was sent"},
    {.name = "created_at", .type = API_TIME, .what = "when it was claimed"},
    {.name = "sent_at", .type = API_TIME, .nullable = true, .what = "when Stripe took it"},
    {.name = "last_error",
     .type = API_TEXT,
     .nullable = true,
     .what = "why the last attempt failed; null for a portal token"},
    API_FIELDS_END};

static void start_list(struct pg_statement *s, struct api_request *r, const char *sql,
                       char limit[NUMBER_SIZE])
{
    snprintf(limit, NUMBER_SIZE, "%" PRId64, api_list_limit(r) + 1);
    pg_statement_init(s, sql);
    pg_add_text(s, r->tenant);
    pg_add_text(s, api_text(r, "starting_after"));
    pg_add_text(s, limit);
}

void usage_list_submissions(struct api_request *r)
{
    struct pg_statement s;
    char limit[NUMBER_SIZE];
    start_list(&s, r, SQL_LIST_SUBMISSIONS, limit);
    pg_add_text(&s, api_text(r, "metric"));
    pg_add_text(&s, api_text(r, "state"));
    pg_add_text(&s, r->caller.is_portal ? "true" : "false");
    api_answer_list(r, &s);
}

/* History. */

const struct api_param HISTORY_PARAMS[] = {
    API_LIST_PARAMS,
    {.place = API_QUERY, .name = "kind", .type = API_NAME, .what = "only rows of this kind"},
    API_PARAMS_END};

const struct api_field HISTORY_FIELDS[] = {
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
     .what = "name of the key that did it; null: Stripe told, or a portal token asks"},
    {.name = "detail", .type = API_ANY, .what = "before and after"},
    {.name = "occurred_at", .type = API_TIME, .nullable = true, .what = "when it happened"},
    {.name = "recorded_at", .type = API_TIME, .what = "when it was noted"},
    API_FIELDS_END};

void usage_list_history(struct api_request *r)
{
    struct pg_statement s;
    char limit[NUMBER_SIZE];
    start_list(&s, r, SQL_LIST_HISTORY, limit);
    pg_add_text(&s, api_text(r, "kind"));
    pg_add_text(&s, r->caller.is_portal ? "true" : "false");
    api_answer_list(r, &s);
}
