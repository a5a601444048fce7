/* A tenant's own limits and prices, in place of its plan's.
 *
 * The happy path of a change: the tenant is locked, as by `meterctl quota set`; the limits are
 * checked against the catalog and written, each as it is given, and those that are not named are
 * gone. A trigger tells webhookd, which brings quotas and cache in line within a second. */
#include "api/admin/admin_routes.h"
#include "api/request.h"
#include "api/sql.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>

static const char *const CAPS[] = {"none", "soft", "hard", NULL};
static const char *const WINDOWS[] = {"period", "month", "day", NULL};

static const struct api_field PLAN_LIMIT[] = {
    {.name = "included", .type = API_DECIMAL, .nullable = true, .what = "null: unlimited"},
    {.name = "cap", .type = API_CHOICE, .choices = CAPS, .what = "what happens over it"},
    {.name = "window", .type = API_CHOICE, .choices = WINDOWS, .what = "what it counts over"},
    {.name = "unit_price",
     .type = API_DECIMAL,
     .nullable = true,
     .what = "of a unit over it, in minor units; null: none is sold"},
    {.name = "currency", .type = API_TEXT, .what = "of unit_price"},
    API_FIELDS_END};

static const struct api_field OWN_LIMIT[] = {
    {.name = "included", .type = API_DECIMAL, .nullable = true, .what = "null: the plan's"},
    {.name = "unlimited", .type = API_BOOL, .what = "whether there is no limit"},
    {.name = "cap",
     .type = API_CHOICE,
     .choices = CAPS,
     .nullable = true,
     .what = "null: the plan's"},
    {.name = "window",
     .type = API_CHOICE,
     .choices = WINDOWS,
     .nullable = true,
     .what = "null: the plan's"},
    {.name = "until", .type = API_TIME, .nullable = true, .what = "null: it stays"},
    {.name = "unit_price", .type = API_DECIMAL, .nullable = true, .what = "null: the plan's"},
    {.name = "currency", .type = API_TEXT, .nullable = true, .what = "of unit_price"},
    API_FIELDS_END};

static const struct api_field IN_FORCE[] = {
    {.name = "limit", .type = API_DECIMAL, .nullable = true, .what = "null: unlimited"},
    {.name = "cap", .type = API_CHOICE, .choices = CAPS, .what = "what happens over it"},
    {.name = "window", .type = API_CHOICE, .choices = WINDOWS, .what = "what it counts over"},
    {.name = "grace_until",
     .type = API_TIME,
     .nullable = true,
     .what = "until then more is let pass; null: no grace"},
    API_FIELDS_END};

static const struct api_field LIMIT[] = {
    {.name = "metric", .type = API_NAME, .what = "of the catalog"},
    {.name = "plan_limit",
     .type = API_OBJECT,
     .nullable = true,
     .fields = PLAN_LIMIT,
     .what = "null: its plan says nothing of this metric"},
    {.name = "own_limit",
     .type = API_OBJECT,
     .nullable = true,
     .fields = OWN_LIMIT,
     .what = "null: it has none"},
    {.name = "in_force",
     .type = API_OBJECT,
     .nullable = true,
     .fields = IN_FORCE,
     .what = "what follows from both, within a second of a change; null: there is no limit"},
    API_FIELDS_END};

static const struct api_field LIMITS[] = {
    {.name = "tenant", .type = API_TEXT, .what = "whose they are"},
    {.name = "plan", .type = API_NAME, .what = "its plan; free: without a subscription"},
    {.name = "limits", .type = API_LIST, .fields = LIMIT, .what = "a row for each metric"},
    API_FIELDS_END};

#define TENANT_PARAM                                                                               \
    {                                                                                              \
        .place = API_PATH, .name = "tenant", .type = API_TEXT, .min = 1, .max = 128,               \
        .what = "the tenant"                                                                       \
    }

static const struct api_param READ_PARAMS[] = {TENANT_PARAM, API_PARAMS_END};

static const struct api_param OWN_LIMIT_FIELDS[] = {
    {.place = API_BODY,
     .name = "metric",
     .type = API_NAME,
     .required = true,
     .what = "of the catalog"},
    {.place = API_BODY, .name = "included", .type = API_DECIMAL, .what = "in place of the plan's"},
    {.place = API_BODY, .name = "unlimited", .type = API_BOOL, .what = "no limit"},
    {.place = API_BODY,
     .name = "cap",
     .type = API_CHOICE,
     .choices = CAPS,
     .what = "in place of the plan's"},
    {.place = API_BODY,
     .name = "window",
     .type = API_CHOICE,
     .choices = WINDOWS,
     .what = "in place of the plan's"},
    {.place = API_BODY, .name = "until", .type = API_TIME, .what = "when the plan's holds again"},
    {.place = API_BODY,
     .name = "unit_price",
     .type = API_DECIMAL,
     .what = "of a unit over what is included, in minor units: up to 12 digits before the point"},
    {.place = API_BODY,
     .name = "currency",
     .type = API_TEXT,
     .min = 3,
     .max = 3,
     .what = "of unit_price, such as usd"},
    API_PARAMS_END};

static const struct api_param WRITE_PARAMS[] = {
    TENANT_PARAM,
    {.place = API_BODY,
     .name = "limits",
     .type = API_LIST,
     .required = true,
     .min = 0,
     .max = 200,
     .fields = OWN_LIMIT_FIELDS,
     .what = "all own limits that the tenant has from now on; none: those of its plan hold"},
    {.place = API_BODY,
     .name = "new",
     .type = API_BOOL,
     .what = "the tenant is not known yet; else a name that nobody has is refused"},
    API_PARAMS_END};

static void add_read(struct pg_statement *s, const char *tenant)
{
    pg_statement_init(s, SQL_READ_TENANT_LIMITS);
    pg_add_text(s, tenant);
}

static void read_limits(struct api_request *r)
{
    struct pg_statement s;
    add_read(&s, api_text(r, "tenant"));
    api_answer_row(r, &s);
}

struct writing {
    json_t *before;
};

static void release(void *state)
{
    struct writing *w = state;
    json_decref(w->before);
    free(w);
}

static json_t *load_row(const PGresult *result)
{
    return PQntuples(result) > 0 ? json_loads(PQgetvalue(result, 0, 0), 0, NULL) : NULL;
}

static void take_written(struct api_request *r, PGresult **results, int n)
{
    const struct writing *w = r->state;
    json_t *after = load_row(results[n - 1]);
    if (!after) {
        api_fail_missing(r, "tenant");
        return;
    }
    api_note_tenant(r, api_text(r, "tenant"));
    api_note(r, api_text(r, "tenant"), json_incref(json_object_get(w->before, "limits")),
             json_incref(json_object_get(after, "limits")));
    api_answer(r, after);
}

enum { KIND, PARAM, MESSAGE }; /* columns of check_tenant_limits.sql */

static void take_checked(struct api_request *r, PGresult **results, int n)
{
    struct writing *w = r->state;
    const PGresult *fault = results[1];
    struct pg_statement s[2];
    (void)n;
    if (PQntuples(fault) > 0 && strcmp(PQgetvalue(fault, 0, KIND), "missing") == 0) {
        api_fail_missing(r, "tenant");
        return;
    }
    if (PQntuples(fault) > 0) {
        api_fail(r, 400, "bad_parameter", PQgetvalue(fault, 0, PARAM), "%s %s",
                 PQgetvalue(fault, 0, PARAM), PQgetvalue(fault, 0, MESSAGE));
        return;
    }
    w->before = load_row(results[2]);
    char *limits = json_dumps(api_json(r, "limits"), JSON_COMPACT);
    pg_statement_init(&s[0], SQL_WRITE_TENANT_LIMITS);
    pg_add_text(&s[0], api_text(r, "tenant"));
    pg_add_text(&s[0], limits);
    add_read(&s[1], api_text(r, "tenant"));
    api_change(r, s, 2, take_written);
    free(limits);
}

static void write_limits(struct api_request *r)
{
    struct pg_statement s[3];
    const char *tenant = api_text(r, "tenant");
    char *limits = json_dumps(api_json(r, "limits"), JSON_COMPACT);
    r->state = xcalloc(1, sizeof(struct writing));
    r->release = release;
    pg_statement_init(&s[0], SQL_LOCK_QUOTA);
    pg_add_text(&s[0], tenant);
    pg_statement_init(&s[1], SQL_CHECK_TENANT_LIMITS);
    pg_add_text(&s[1], tenant);
    pg_add_text(&s[1], limits);
    pg_add_text(&s[1], api_flag(r, "new") ? "true" : "false");
    add_read(&s[2], tenant);
    api_change(r, s, 3, take_checked);
    free(limits);
}

const struct api_route TENANT_LIMIT_ROUTES[] = {
    {.method = "GET",
     .path = "/api/admin/tenants/{tenant}/limits",
     .what = "A tenant's limits and prices: its plan's, its own, and those in force.",
     .role = API_ADMIN,
     .scope = API_OF_FLEET,
     .params = READ_PARAMS,
     .answer = LIMITS,
     .statuses = {404},
     .handle = read_limits},
    {.method = "PUT",
     .path = "/api/admin/tenants/{tenant}/limits",
     .what = "Sets all own limits and prices of a tenant.",
     .detail =
         "What a limit leaves out is the plan's. They hold at once, also lower ones, and reach "
         "the quota cache within a second.",
     .role = API_ADMIN,
     .scope = API_OF_FLEET,
     .history = "limits_changed",
     .params = WRITE_PARAMS,
     .answer = LIMITS,
     .statuses = {404},
     .handle = write_limits},
    {.method = NULL}};
