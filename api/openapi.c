#include "api/openapi.h"

#include "api/openapi_schema.h"
#include "api/request.h"
#include "common/contract.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const ROLES[] = {"nobody in particular", "viewer", "editor", "admin"};

static bool is_change(const struct api_route *r)
{
    return strcmp(r->method, "GET") != 0;
}

static bool takes_body(const struct api_route *r)
{
    for (const struct api_param *p = r->params; p && p->place != API_END; p++)
        if (p->place == API_BODY)
            return true;
    return (r->flags & API_IS_RAW) != 0;
}

static void add_status(int out[OPENAPI_STATUSES_MAX], int status)
{
    int i = 0;
    while (out[i] && out[i] < status)
        i++;
    if (out[i] == status)
        return;
    assert(out[OPENAPI_STATUSES_MAX - 2] == 0);
    for (int k = OPENAPI_STATUSES_MAX - 2; k > i; k--)
        out[k] = out[k - 1];
    out[i] = status;
}

void openapi_statuses(const struct api_route *route, int out[OPENAPI_STATUSES_MAX])
{
    memset(out, 0, sizeof(int[OPENAPI_STATUSES_MAX]));
    add_status(out, 200);
    add_status(out, 400);
    for (size_t i = 0; i < sizeof route->statuses / sizeof *route->statuses; i++)
        if (route->statuses[i])
            add_status(out, route->statuses[i]);
    if (route->role != API_PUBLIC) {
        add_status(out, 401);
        add_status(out, 403);
        add_status(out, 429);
        add_status(out, 503);
    }
    if (is_change(route))
        add_status(out, 409);
    add_status(out, 413);
    if (takes_body(route))
        add_status(out, 415);
    if (route->flags & API_ASKS_STRIPE) {
        add_status(out, 402);
        add_status(out, 502);
    }
}

static const char *meaning_of(int status)
{
    switch (status) {
    case 400:
        return "A parameter is unknown, missing, given twice or wrong; param names it.";
    case 401:
        return "There is no such key, or it has expired or was revoked.";
    case 402:
        return "The payment did not go through.";
    case 403:
        return "The key may not do this, or not for this tenant.";
    case 404:
        return "There is no such thing, or it is another tenant's.";
    case 409:
        return "It does not fit what is there now, or the Idempotency-Key was used for something "
               "else.";
    case 413:
        return "The body is too large.";
    case 415:
        return "The Content-Type is not one that is taken here.";
    case 429:
        return "The key has made too many requests; Retry-After says when to go on.";
    case 502:
        return "Stripe refused, or gave no answer that can be used.";
    case 503:
        return "It cannot be done now; send it again later, a change under the same "
               "Idempotency-Key.";
    default:
        return "Done.";
    }
}

/* One operation of the document. */

static json_t *parameter_of(const struct api_param *p)
{
    static const char *const PLACES[] = {
        [API_PATH] = "path", [API_QUERY] = "query", [API_HEADER] = "header"};
    json_t *schema = schema_of_param(p);
    return json_pack("{s:s,s:s,s:b,s:s,s:o}", "name", p->name, "in", PLACES[p->place], "required",
                     p->required || p->place == API_PATH, "description", p->what, "schema", schema);
}

static json_t *header_of(const char *name, const char *what, int64_t most, bool is_required)
{
    return json_pack("{s:s,s:s,s:b,s:s,s:{s:s,s:i,s:I}}", "name", name, "in", "header", "required",
                     is_required, "description", what, "schema", "type", "string", "minLength", 1,
                     "maxLength", (json_int_t)most);
}

static json_t *parameters_of(const struct api_route *r)
{
    json_t *list = json_array();
    for (const struct api_param *p = r->params; p && p->place != API_END; p++)
        if (p->place != API_BODY)
            json_array_append_new(list, parameter_of(p));
    if (r->scope == API_OF_TENANT && r->role != API_PUBLIC)
        json_array_append_new(list, header_of("X-Tenant-Id",
                                              "The tenant; needed where the key is bound to none.",
                                              TENANT_MAX_BYTES, false));
    if (is_change(r))
        json_array_append_new(
            list,
            header_of("Idempotency-Key",
                      "A request under the same key within 24 hours gets the same answer, and "
                      "is done once.",
                      255, false));
    return list;
}

static json_t *body_of(const struct api_route *r)
{
    json_t *content = json_object();
    if (r->flags & API_IS_RAW) {
        for (const char *const *t = r->takes; *t; t++)
            json_object_set_new(content, *t, json_pack("{s:{}}", "schema"));
        return json_pack("{s:b,s:o}", "required", 1, "content", content);
    }
    bool is_required = false;
    for (const struct api_param *p = r->params; p && p->place != API_END; p++)
        is_required = is_required || (p->place == API_BODY && p->required);
    json_object_set_new(content, "application/json",
                        json_pack("{s:o}", "schema", schema_of_params(r->params)));
    return json_pack("{s:b,s:o}", "required", is_required, "content", content);
}

static json_t *answer_of(const struct api_route *r)
{
    if (r->flags & API_IS_STREAM)
        return json_pack("{s:{s:{s:s}}}", r->gives, "schema", "type", "string");
    json_t *schema = r->answer ? schema_of_fields(r->answer) : json_object();
    if (r->flags & API_IS_LIST)
        schema = json_pack("{s:s,s:[s,s],s:b,s:{s:{s:s,s:o},s:{s:s}}}", "type", "object",
                           "required", "data", "has_more", "additionalProperties", 0, "properties",
                           "data", "type", "array", "items", schema, "has_more", "type", "boolean");
    return json_pack("{s:{s:o}}", "application/json", "schema", schema);
}

static json_t *answers_of(const struct api_route *r)
{
    int statuses[OPENAPI_STATUSES_MAX];
    json_t *all = json_object();
    openapi_statuses(r, statuses);
    for (int *s = statuses; *s; s++) {
        char name[8];
        snprintf(name, sizeof name, "%d", *s);
        json_t *content = *s < 400 ? answer_of(r)
                                   : json_pack("{s:{s:{s:s}}}", "application/json", "schema",
                                               "$ref", "#/components/schemas/Error");
        json_object_set_new(
            all, name, json_pack("{s:s,s:o}", "description", meaning_of(*s), "content", content));
    }
    return all;
}

static json_t *operation_of(const struct api_route *r)
{
    struct buf id = {0};
    struct buf what = {0};
    buf_add_str(&id, r->method);
    for (const char *c = r->path; *c; c++)
        buf_add_char(&id, strchr("/{}.", *c) ? '_' : *c);
    buf_printf(&what, "%s%s%s Role: %s.", r->what, r->detail ? " " : "", r->detail ? r->detail : "",
               ROLES[r->role]);
    json_t *o =
        json_pack("{s:s,s:s,s:s,s:o,s:o,s:s}", "operationId", id.data, "summary", r->what,
                  "description", what.data, "parameters", parameters_of(r), "responses",
                  answers_of(r), "x-role", r->role == API_PUBLIC ? "public" : ROLES[r->role]);
    assert(o);
    if (takes_body(r))
        json_object_set_new(o, "requestBody", body_of(r));
    if (r->role == API_PUBLIC)
        json_object_set_new(o, "security", json_array());
    buf_done(&id);
    buf_done(&what);
    return o;
}

static json_t *error_schema(void)
{
    return json_pack("{s:s,s:[s],s:b,s:{s:{s:s,s:[s,s,s],s:b,s:{s:{s:s},s:{s:s},s:{s:[s,s]}}}}}",
                     "type", "object", "required", "error", "additionalProperties", 0, "properties",
                     "error", "type", "object", "required", "code", "message", "param",
                     "additionalProperties", 0, "properties", "code", "type", "string", "message",
                     "type", "string", "param", "type", "string", "null");
}

json_t *openapi_document(const struct api_route *const *tables)
{
    json_t *paths = json_object();
    for (const struct api_route *const *table = tables; *table; table++)
        for (const struct api_route *r = *table; r->method; r++) {
            char method[8];
            json_t *path = json_object_get(paths, r->path);
            if (!path) {
                path = json_object();
                json_object_set_new(paths, r->path, path);
            }
            snprintf(method, sizeof method, "%s", r->method);
            for (char *c = method; *c; c++)
                *c = (char)(*c | 0x20);
            json_object_set_new(path, method, operation_of(r));
        }
    json_t *document = json_pack(
        "{s:s,s:{s:s,s:s,s:s},s:[{s:[]}],s:{s:{s:{s:s,s:s}},s:{s:o}},s:o}", "openapi", "3.1.0",
        "info", "title", "meterline", "version", METERLINE_VERSION, "description",
        "Customers, plans, usage, invoices and revenue. Quantities are texts, amounts are in minor "
        "units, times are RFC 3339 in UTC.",
        "security", "key", "components", "securitySchemes", "key", "type", "http", "scheme",
        "bearer", "schemas", "Error", error_schema(), "paths", paths);
    assert(document);
    return document;
}

/* Served. */

static char *document_text;

static void serve_document(struct api_request *r)
{
    if (!document_text) {
        json_t *document = openapi_document(r->context->routes);
        document_text = json_dumps(document, JSON_COMPACT);
        json_decref(document);
    }
    api_answer_text(r, document_text, strlen(document_text));
}

void openapi_done(void)
{
    free(document_text);
    document_text = NULL;
}

const struct api_route DOCUMENT_ROUTES[] = {{.method = "GET",
                                             .path = "/api/openapi.json",
                                             .what = "This document.",
                                             .role = API_PUBLIC,
                                             .scope = API_OF_FLEET,
                                             .handle = serve_document},
                                            {.method = NULL}};
