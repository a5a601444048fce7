/* docs/api.md. */
#include "api/openapi.h"
#include "api/route_table.h"

#include <inttypes.h>
#include <string.h>

static const char HEAD[] =
    "# The API\n"
    "\n"
    "Made from the tables of routes by `make docs`; `GET /api/openapi.json` says the same to "
    "programs.\n"
    "\n"
    "`meterline-api` serves JSON in UTF-8 on `API_LISTEN`, behind the proxy that has the "
    "certificate. Quantities are texts, since they\n"
    "are exact; amounts are `{\"amount_minor\", \"currency\"}`; times are RFC 3339 in UTC. What is "
    "wrong is told as\n"
    "`{\"error\": {\"code\", \"message\", \"param\"}}`, where `param` names the parameter at fault "
    "or is null.\n"
    "\n"
    "**Keys.** One for each service of yours that asks. It is shown once; what it may stands in\n"
    "[Security](security.md#keys-of-the-api), how to change it in "
    "[Operations](operations.md#rotate-keys-and-secrets).\n"
    "\n"
    "```sh\n"
    "KEY=$(meterctl keys create shop --role editor --tenant acme --expires 365d)\n"
    "A=http://127.0.0.1:8090/api/billing\n"
    "curl -sS --fail-with-body -H \"Authorization: Bearer $KEY\" "
    "\"$A/quotas/check?metric=api_calls&quantity=2\"\n"
    "```\n"
    "\n"
    "```text\n"
    "{…\"verdict\":\"allow\",…\n"
    "```\n"
    "\n"
    "```sh\n"
    "curl -sS --fail-with-body -H \"Authorization: Bearer $KEY\" -H 'Idempotency-Key: order-7' \\\n"
    "    -H 'Content-Type: application/json' -d '{\"metric\": \"api_calls\", \"quantity\": \"2\"}' "
    "$A/usage\n"
    "```\n"
    "\n"
    "```text\n"
    "{\"accepted\":1,\"rejected\":0,…\n"
    "```\n"
    "\n"
    "A *viewer* reads; an *editor* changes usage, subscriptions and payment methods too; an "
    "*admin* does all. A key that is bound to no\n"
    "tenant (made without `--tenant`) names one in `X-Tenant-Id`. What belongs to another tenant "
    "is "
    "404, as if it were not there. **No key is\n"
    "for a customer**, since an editor may also send negative quantities and take any coupon. A "
    "customer's browser gets a portal token\n"
    "(`pt_…`): a viewer of one tenant, for minutes. A key may make `API_RATE_PER_S` requests a "
    "second at each process; beyond them it is 429\n"
    "with `Retry-After`.\n"
    "\n"
    "**Repetitions.** Send each POST, PUT and DELETE with an `Idempotency-Key` of your own. Within "
    "24 hours the same request under the same\n"
    "key gets the same answer, marked `Idempotency-Replayed: true`, and is done once, whatever was "
    "lost in between. Another request under\n"
    "it, or the same one by another API key, is 409 `idempotency_key_reused`; one that is still "
    "being worked on is 409 "
    "`request_in_progress` with `Retry-After`. After 503\n"
    "nobody knows whether it was done: send it again under the same key.\n"
    "\n"
    "**Lists** take `limit` and `starting_after`, and answer `{\"data\": […], \"has_more\": …}`.\n"
    "\n"
    "**History.** Each change leaves a row in the tenant's history with the name of the key.\n";

static const char *const ROLES[] = {"everybody", "viewer", "editor", "admin"};

static const char *type_name(enum api_type type)
{
    static const char *const NAMES[] = {
        [API_TEXT] = "text",       [API_NAME] = "name",     [API_WHOLE] = "integer",
        [API_DECIMAL] = "decimal", [API_TIME] = "time",     [API_BOOL] = "boolean",
        [API_CHOICE] = "choice",   [API_OBJECT] = "object", [API_LIST] = "list",
        [API_MONEY] = "money",     [API_ANY] = "any"};
    return NAMES[type];
}

static void add_choices(struct buf *out, const char *const *choices)
{
    for (const char *const *c = choices; *c; c++)
        buf_printf(out, "%s`%s`", c == choices ? "" : ", ", *c);
}

static void add_type(struct buf *out, const struct api_param *p)
{
    if (p->type == API_CHOICE)
        add_choices(out, p->choices);
    else
        buf_add_str(out, type_name(p->type));
    if (p->type == API_WHOLE || p->type == API_LIST)
        buf_printf(out, ", %" PRId64 " to %" PRId64, p->min, p->max);
    else if (p->type == API_TEXT)
        buf_printf(out, " of %" PRId64 " to %" PRId64 " bytes", p->min, p->max);
    if (p->fallback)
        buf_printf(out, "; default `%s`", p->fallback);
}

static void add_params(struct buf *out, const struct api_param *params, const char *within)
{
    static const char *const PLACES[] = {
        [API_PATH] = "path", [API_QUERY] = "query", [API_BODY] = "body", [API_HEADER] = "header"};
    for (const struct api_param *p = params; p && p->place != API_END; p++) {
        if (!*p->name)
            continue;
        buf_printf(out, "| `%s%s` | %s | ", within, p->name, PLACES[p->place]);
        add_type(out, p);
        buf_printf(out, " | %s%s |\n", p->required || p->place == API_PATH ? "required: " : "",
                   p->what ? p->what : "");
        if (p->fields) {
            struct buf inside = {0};
            buf_printf(&inside, "%s%s%s.", within, p->name, p->type == API_LIST ? "[]" : "");
            add_params(out, p->fields, inside.data);
            buf_done(&inside);
        }
    }
}

static void add_fields(struct buf *out, const struct api_field *fields, const char *within)
{
    for (const struct api_field *f = fields; f->name; f++) {
        if (*f->name) {
            buf_printf(out, "| `%s%s` | ", within, f->name);
            if (f->type == API_CHOICE)
                add_choices(out, f->choices);
            else
                buf_add_str(out, type_name(f->type));
            buf_printf(out, "%s%s | %s |\n", f->nullable ? ", or null" : "",
                       f->optional ? ", or left out" : "", f->what ? f->what : "");
        }
        if (f->fields) {
            struct buf inside = {0};
            buf_printf(&inside, "%s%s%s.", within, f->name, f->type == API_LIST ? "[]" : "");
            add_fields(out, f->fields, inside.data);
            buf_done(&inside);
        }
    }
}

static void add_route(struct buf *out, const struct api_route *r)
{
    int statuses[OPENAPI_STATUSES_MAX];
    buf_printf(out, "\n## `%s %s`\n\n%s%s%s Role: %s%s.\n", r->method, r->path, r->what,
               r->detail ? " " : "", r->detail ? r->detail : "", ROLES[r->role],
               r->scope == API_OF_FLEET && r->role != API_PUBLIC
                   ? ", with a key that is bound to no tenant"
                   : "");
    if (r->params) {
        buf_add_str(out, "\n| parameter | in | type | |\n|---|---|---|---|\n");
        add_params(out, r->params, "");
    }
    if (r->flags & API_IS_RAW) {
        buf_add_str(out, "\nThe body is of type ");
        add_choices(out, r->takes);
        buf_add_str(out, ".\n");
    }
    if (r->flags & API_IS_STREAM)
        buf_printf(out, "\nThe answer is of type `%s`.\n", r->gives);
    if (r->answer) {
        buf_printf(out, "\n| %s | type | |\n|---|---|---|\n",
                   r->flags & API_IS_LIST ? "each row of `data`" : "answer");
        add_fields(out, r->answer, "");
    }
    openapi_statuses(r, statuses);
    buf_add_str(out, "\nStatus:");
    for (int *s = statuses; *s; s++)
        buf_printf(out, "%s %d", s == statuses ? "" : ",", *s);
    buf_add_str(out, ".\n");
}

void openapi_add_reference(struct buf *out)
{
    buf_add_str(out, HEAD);
    for (const struct api_route *const *table = API_ROUTES; *table; table++)
        for (const struct api_route *r = *table; r->method; r++)
            add_route(out, r);
}
