#include "api/openapi_schema.h"

#include <string.h>

#define NAME_PATTERN     "^[a-z0-9_]{1,64}$"
#define DECIMAL_PATTERN  "^-?[0-9]{1,18}(\\.[0-9]{1,9})?$"
#define POSITIVE_PATTERN "^[0-9]{1,18}(\\.[0-9]{1,9})?$"
#define NUMBER_PATTERN   "^-?[0-9]{1,29}(\\.[0-9]{1,12})?$"

static json_t *text(void)
{
    return json_pack("{s:s}", "type", "string");
}

static void set_text(json_t *schema, const char *name, const char *value)
{
    if (value)
        json_object_set_new(schema, name, json_string(value));
}

static void set_whole(json_t *schema, const char *name, int64_t value)
{
    json_object_set_new(schema, name, json_integer(value));
}

static json_t *money(void)
{
    return json_pack("{s:s,s:[s,s],s:b,s:{s:{s:s},s:{s:s,s:s}}}", "type", "object", "required",
                     "amount_minor", "currency", "additionalProperties", 0, "properties",
                     "amount_minor", "type", "integer", "currency", "type", "string", "pattern",
                     "^[a-z]{3}$");
}

/* "type": "string" becomes "type": ["string", "null"]. */
static void allow_null(json_t *schema)
{
    json_t *type = json_object_get(schema, "type");
    if (type)
        json_object_set_new(schema, "type", json_pack("[O,s]", type, "null"));
    json_t *choices = json_object_get(schema, "enum");
    if (choices)
        json_array_append_new(choices, json_null());
}

static void set_choices(json_t *schema, const char *const *choices)
{
    json_t *list = json_array();
    for (const char *const *c = choices; *c; c++)
        json_array_append_new(list, json_string(*c));
    json_object_set_new(schema, "enum", list);
}

static json_t *list_of(const struct api_param *p)
{
    json_t *items = *p->fields->name ? schema_of_params(p->fields) : schema_of_param(p->fields);
    json_t *schema = json_pack("{s:s,s:o}", "type", "array", "items", items);
    set_whole(schema, "minItems", p->min);
    set_whole(schema, "maxItems", p->max);
    return schema;
}

static json_t *bare_param(const struct api_param *p)
{
    json_t *schema = NULL;
    switch (p->type) {
    case API_WHOLE:
        schema = json_pack("{s:s}", "type", "integer");
        set_whole(schema, "minimum", p->min);
        set_whole(schema, "maximum", p->max);
        return schema;
    case API_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case API_OBJECT:
        return p->fields ? schema_of_params(p->fields) : json_pack("{s:s}", "type", "object");
    case API_LIST:
        return list_of(p);
    case API_MONEY:
        return money();
    case API_ANY:
        return json_object();
    case API_TEXT:
    case API_NAME:
    case API_DECIMAL:
    case API_TIME:
    case API_CHOICE:
        break;
    }
    schema = text();
    if (p->type == API_NAME)
        set_text(schema, "pattern", NAME_PATTERN);
    else if (p->type == API_DECIMAL)
        set_text(schema, "pattern", p->min == 0 ? POSITIVE_PATTERN : DECIMAL_PATTERN);
    else if (p->type == API_TIME)
        set_text(schema, "format", "date-time");
    else if (p->type == API_CHOICE)
        set_choices(schema, p->choices);
    if (p->type == API_TEXT) {
        /* Bytes: no text of so many characters has fewer. */
        set_whole(schema, "minLength", p->min > 0 ? 1 : 0);
        set_whole(schema, "maxLength", p->max);
    }
    return schema;
}

json_t *schema_of_param(const struct api_param *p)
{
    json_t *schema = bare_param(p);
    set_text(schema, "description", p->what);
    if (p->fallback && p->type == API_WHOLE)
        json_object_set_new(schema, "default", json_loads(p->fallback, JSON_DECODE_ANY, NULL));
    else if (p->fallback && p->type == API_BOOL)
        json_object_set_new(schema, "default", json_boolean(strcmp(p->fallback, "true") == 0));
    else
        set_text(schema, "default", p->fallback);
    if (p->nullable)
        allow_null(schema);
    return schema;
}

json_t *schema_of_params(const struct api_param *params)
{
    json_t *properties = json_object();
    json_t *required = json_array();
    for (const struct api_param *p = params; p && p->place != API_END; p++) {
        if (p->place != API_BODY)
            continue;
        json_object_set_new(properties, p->name, schema_of_param(p));
        if (p->required)
            json_array_append_new(required, json_string(p->name));
    }
    return json_pack("{s:s,s:b,s:o,s:o}", "type", "object", "additionalProperties", 0, "properties",
                     properties, "required", required);
}

static json_t *schema_of_field(const struct api_field *f);

static json_t *bare_field(const struct api_field *f)
{
    json_t *schema;
    switch (f->type) {
    case API_WHOLE:
        return json_pack("{s:s}", "type", "integer");
    case API_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case API_OBJECT:
        return f->fields ? schema_of_fields(f->fields) : json_pack("{s:s}", "type", "object");
    case API_LIST:
        return json_pack("{s:s,s:o}", "type", "array", "items",
                         *f->fields->name ? schema_of_fields(f->fields)
                                          : schema_of_field(f->fields));
    case API_MONEY:
        schema = money();
        json_object_set_new(json_object_get(json_object_get(schema, "properties"), "currency"),
                            "type", json_pack("[s,s]", "string", "null"));
        return schema;
    case API_ANY:
        return json_object();
    case API_TEXT:
    case API_NAME:
    case API_DECIMAL:
    case API_TIME:
    case API_CHOICE:
        break;
    }
    schema = text();
    if (f->type == API_DECIMAL)
        set_text(schema, "pattern", NUMBER_PATTERN);
    else if (f->type == API_TIME)
        set_text(schema, "format", "date-time");
    else if (f->type == API_CHOICE)
        set_choices(schema, f->choices);
    return schema;
}

static json_t *schema_of_field(const struct api_field *f)
{
    json_t *schema = bare_field(f);
    set_text(schema, "description", f->what);
    if (f->nullable)
        allow_null(schema);
    return schema;
}

json_t *schema_of_fields(const struct api_field *fields)
{
    json_t *properties = json_object();
    json_t *required = json_array();
    for (const struct api_field *f = fields; f->name; f++) {
        json_object_set_new(properties, f->name, schema_of_field(f));
        if (!f->optional)
            json_array_append_new(required, json_string(f->name));
    }
    return json_pack("{s:s,s:b,s:o,s:o}", "type", "object", "additionalProperties", 0, "properties",
                     properties, "required", required);
}
