/* Lists of all tenants: subscriptions, customers, keys. */
#include "api/admin/admin_routes.h"
#include "api/request.h"
#include "api/sql.h"

static const char *const STATUSES[] = {"incomplete", "incomplete_expired", "trialing", "active",
                                       "past_due",   "canceled",           "unpaid",   "paused",
                                       NULL};
static const char *const INTERVALS[] = {"day", "week", "month", "year", NULL};

static const struct api_field SUBSCRIPTION[] = {
    {.name = "id", .type = API_TEXT, .what = "Stripe's id of the subscription"},
    {.name = "tenant", .type = API_TEXT, .what = "whose it is"},
    {.name = "customer", .type = API_TEXT, .what = "Stripe's id of the customer"},
    {.name = "plan", .type = API_NAME, .nullable = true, .what = "null: none of the catalog's"},
    {.name = "status", .type = API_TEXT, .what = "as Stripe says it"},
    {.name = "quantity", .type = API_WHOLE, .what = "how often the plan was bought; seats"},
    {.name = "currency", .type = API_TEXT, .nullable = true, .what = "three letters"},
    {.name = "interval", .type = API_CHOICE, .choices = INTERVALS, .what = "of its billing"},
    {.name = "current_period_start", .type = API_TIME, .what = "of its billing period"},
    {.name = "current_period_end", .type = API_TIME, .what = "when that ends"},
    {.name = "started_at", .type = API_TIME, .what = "when it began"},
    {.name = "trial_end", .type = API_TIME, .nullable = true, .what = "null: without a trial"},
    {.name = "cancel_at",
     .type = API_TIME,
     .nullable = true,
     .what = "when it will end; null: that is not planned"},
    {.name = "ended_at", .type = API_TIME, .nullable = true, .what = "null: it has not ended"},
    {.name = "past_due_since", .type = API_TIME, .nullable = true, .what = "null: it is not"},
    API_FIELDS_END};

static const struct api_param SUBSCRIPTION_PARAMS[] = {
    API_LIST_PARAMS,
    {.place = API_QUERY,
     .name = "status",
     .type = API_CHOICE,
     .choices = STATUSES,
     .what = "only those in this state"},
    {.place = API_QUERY, .name = "plan", .type = API_NAME, .what = "only those of this plan"},
    {.place = API_QUERY,
     .name = "tenant",
     .type = API_TEXT,
     .min = 1,
     .max = 128,
     .what = "only those of this tenant"},
    API_PARAMS_END};

static void begin_list(const struct api_request *r, struct pg_statement *s, const char *sql,
                       unsigned char limit[8])
{
    pg_statement_init(s, sql);
    pg_add_text(s, api_text(r, "starting_after"));
    pg_add_i64(s, api_list_limit(r) + 1, limit);
}

static void list_subscriptions(struct api_request *r)
{
    unsigned char limit[8];
    struct pg_statement s;
    begin_list(r, &s, SQL_LIST_ALL_SUBSCRIPTIONS, limit);
    pg_add_text(&s, api_text(r, "status"));
    pg_add_text(&s, api_text(r, "plan"));
    pg_add_text(&s, api_text(r, "tenant"));
    api_answer_list(r, &s);
}

static const char *const CUSTOMER_STATES[] = {"billed", "contested", "deleted", NULL};

static const struct api_field CUSTOMER[] = {
    {.name = "id", .type = API_TEXT, .what = "Stripe's id of the customer"},
    {.name = "tenant", .type = API_TEXT, .what = "who is billed by it"},
    {.name = "email", .type = API_TEXT, .nullable = true, .what = "null: Stripe has none"},
    {.name = "state",
     .type = API_CHOICE,
     .choices = CUSTOMER_STATES,
     .what = "contested: two customers claim the tenant, and a person has to decide"},
    {.name = "subscriptions", .type = API_WHOLE, .what = "that stand"},
    {.name = "updated_at", .type = API_TIME, .what = "when it was last heard of"},
    API_FIELDS_END};

static const struct api_param CUSTOMER_PARAMS[] = {API_LIST_PARAMS,
                                                   {.place = API_QUERY,
                                                    .name = "state",
                                                    .type = API_CHOICE,
                                                    .choices = CUSTOMER_STATES,
                                                    .what = "only those in this state"},
                                                   API_PARAMS_END};

static void list_customers(struct api_request *r)
{
    unsigned char limit[8];
    struct pg_statement s;
    begin_list(r, &s, SQL_LIST_ALL_CUSTOMERS, limit);
    pg_add_text(&s, api_text(r, "state"));
    api_answer_list(r, &s);
}

static const char *const ROLES[] = {"viewer", "editor", "admin", NULL};
static const char *const KEY_STATES[] = {"valid", "expired", "revoked", NULL};

static const struct api_field KEY[] = {
    {.name = "id", .type = API_TEXT, .what = "names the key without telling it"},
    {.name = "name", .type = API_TEXT, .what = "what people call it"},
    {.name = "role", .type = API_CHOICE, .choices = ROLES, .what = "what it may do"},
    {.name = "tenant", .type = API_TEXT, .nullable = true, .what = "null: it may name any"},
    {.name = "state", .type = API_CHOICE, .choices = KEY_STATES, .what = "whether it is taken"},
    {.name = "created_at", .type = API_TIME, .what = "when it was made"},
    {.name = "created_by", .type = API_TEXT, .what = "who made it"},
    {.name = "expires_at", .type = API_TIME, .nullable = true, .what = "null: never"},
    {.name = "revoked_at", .type = API_TIME, .nullable = true, .what = "null: it was not"},
    API_FIELDS_END};

static const struct api_param KEY_PARAMS[] = {API_LIST_PARAMS,
                                              {.place = API_QUERY,
                                               .name = "state",
                                               .type = API_CHOICE,
                                               .choices = KEY_STATES,
                                               .what = "only those in this state"},
                                              API_PARAMS_END};

static void list_keys(struct api_request *r)
{
    unsigned char limit[8];
    struct pg_statement s;
    begin_list(r, &s, SQL_LIST_ALL_KEYS, limit);
    pg_add_text(&s, api_text(r, "state"));
    api_answer_list(r, &s);
}

const struct api_route ADMIN_LIST_ROUTES[] = {
    {.method = "GET",
     .path = "/api/admin/subscriptions",
     .what = "Subscriptions of all tenants, the newest first.",
     .role = API_ADMIN,
     .scope = API_OF_FLEET,
     .flags = API_IS_LIST,
     .params = SUBSCRIPTION_PARAMS,
     .answer = SUBSCRIPTION,
     .handle = list_subscriptions},
    {.method = "GET",
     .path = "/api/admin/customers",
     .what = "The customers at Stripe by which tenants are billed, by their ids.",
     .role = API_ADMIN,
     .scope = API_OF_FLEET,
     .flags = API_IS_LIST,
     .params = CUSTOMER_PARAMS,
     .answer = CUSTOMER,
     .handle = list_customers},
    {.method = "GET",
     .path = "/api/admin/keys",
     .what = "Keys of this API, the newest first; not what they are, which nobody knows.",
     .detail = "`meterctl keys create` and `revoke` make and end them.",
     .role = API_ADMIN,
     .scope = API_OF_FLEET,
     .flags = API_IS_LIST,
     .params = KEY_PARAMS,
     .answer = KEY,
     .handle = list_keys},
    {.method = NULL}};
