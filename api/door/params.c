#include "api/door/params.h"

#include "common/dec.h"
#include "common/str.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int params_set_fault(struct params_fault *f, int status, const char *code, const char *param,
                     const char *format, ...)
{
    va_list list;
    f->status = status;
    f->code = code;
    snprintf(f->param, sizeof f->param, "%s", param ? param : "");
    str_make_utf8(f->param);
    va_start(list, format);
    vsnprintf(f->message, sizeof f->message, format, list);
    va_end(list);
    str_make_utf8(f->message);
    return -1;
}

static int refuse(struct params_fault *f, const char *param, const char *why)
{
    return params_set_fault(f, 400, "bad_parameter", param, "%s %s", param, why);
}

int params_count(const struct api_route *route)
{
    int n = 0;
    for (const struct api_param *p = route->params; p && p->place != API_END; p++)
        n++;
    return n;
}

/* Texts. */

static bool has_digits(const char *text, int n)
{
    for (int i = 0; i < n; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

static int two(const char *text)
{
    return (text[0] - '0') * 10 + text[1] - '0';
}

static bool is_day(int year, int month, int day)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leaps = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return year >= 1970 && month >= 1 && month <= 12 && day >= 1 &&
           day <= DAYS[month - 1] + (leaps && month == 2);
}

static bool is_zone(const char *text)
{
    if (strcmp(text, "Z") == 0)
        return true;
    return (text[0] == '+' || text[0] == '-') && strlen(text) == 6 && has_digits(text + 1, 2) &&
           text[3] == ':' && has_digits(text + 4, 2) && two(text + 1) <= 14 && two(text + 4) <= 59;
}

/* Whether it is a year of four digits in UTC, too, where the answer shows it. zone: Z or +01:00. */
static bool is_in_range(const char *text, const char *zone)
{
    enum { MINUTES_OF_DAY = 1440 };
    int minute = two(text + 11) * 60 + two(text + 14);
    int offset = *zone == 'Z' ? 0 : two(zone + 1) * 60 + two(zone + 4);
    int utc = *zone == '-' ? minute + offset : minute - offset;
    return !(strncmp(text, "9999-12-31", 10) == 0 && utc >= MINUTES_OF_DAY) &&
           !(strncmp(text, "1970-01-01", 10) == 0 && utc < 0);
}

/* 2026-11-30T12:00:00[.123456](Z|+01:00) */
bool params_is_time(const char *text)
{
    enum { ZONE_AT = 19 };
    if (strlen(text) < ZONE_AT + 1 || !has_digits(text, 4) || text[4] != '-' ||
        !has_digits(text + 5, 2) || text[7] != '-' || !has_digits(text + 8, 2) || text[10] != 'T' ||
        !has_digits(text + 11, 2) || text[13] != ':' || !has_digits(text + 14, 2) ||
        text[16] != ':' || !has_digits(text + 17, 2))
        return false;
    if (!is_day(two(text) * 100 + two(text + 2), two(text + 5), two(text + 8)) ||
        two(text + 11) > 23 || two(text + 14) > 59 || two(text + 17) > 59)
        return false;
    const char *zone = text + ZONE_AT;
    if (*zone == '.') {
        size_t digits = strspn(zone + 1, "0123456789");
        if (digits < 1 || digits > 6)
            return false;
        zone += 1 + digits;
    }
    return is_zone(zone) && is_in_range(text, zone);
}

static int check_choice(const struct api_param *p, const char *name, const char *text,
                        struct params_fault *f)
{
    struct buf all = {0};
    for (const char *const *c = p->choices; *c; c++) {
        if (strcmp(text, *c) == 0) {
            buf_done(&all);
            return 0;
        }
        buf_printf(&all, "%s%s", all.length ? ", " : "", *c);
    }
    params_set_fault(f, 400, "bad_parameter", name, "%s must be one of %s", name, all.data);
    buf_done(&all);
    return -1;
}

static int check_text(const struct api_param *p, const char *name, const char *text,
                      struct params_fault *f)
{
    size_t length = strlen(text);
    struct dec quantity;
    switch (p->type) {
    case API_NAME:
        return str_is_name(text, length) ? 0 : refuse(f, name, "must be [a-z0-9_]{1,64}");
    case API_DECIMAL:
        if (dec_parse_quantity(text, length, &quantity))
            return refuse(f, name, "must be a decimal: up to 18 digits before the point, 9 behind");
        if (p->min == 0 && dec_cmp(quantity, DEC_ZERO) < 0)
            return refuse(f, name, "must not be negative");
        return 0;
    case API_TIME:
        return params_is_time(text)
                   ? 0
                   : refuse(f, name, "must be a time such as 2026-11-30T12:00:00Z");
    case API_CHOICE:
        return check_choice(p, name, text, f);
    default:
        break;
    }
    if (!str_is_utf8(text, length) || str_has_control(text, length))
        return refuse(f, name, "must be UTF-8 without control characters");
    if ((int64_t)length < p->min || (int64_t)length > p->max)
        return params_set_fault(f, 400, "bad_parameter", name,
                                "%s must have %" PRId64 " to %" PRId64 " bytes", name, p->min,
                                p->max);
    return 0;
}

static int check_whole(const struct api_param *p, const char *name, int64_t n,
                       struct params_fault *f)
{
    if (n >= p->min && n <= p->max)
        return 0;
    return params_set_fault(f, 400, "bad_parameter", name, "%s must be %" PRId64 " to %" PRId64,
                            name, p->min, p->max);
}

/* Of a path, a query or a header. */
static int take_text(const struct api_param *p, const char *text, struct api_value *v,
                     struct params_fault *f)
{
    v->given = true;
    v->text = text;
    if (p->type == API_WHOLE) {
        if (str_to_i64(text, strlen(text), &v->whole))
            return refuse(f, p->name, "must be a whole number");
        return check_whole(p, p->name, v->whole, f);
    }
    if (p->type == API_BOOL) {
        v->whole = strcmp(text, "true") == 0;
        return v->whole || strcmp(text, "false") == 0 ? 0
                                                      : refuse(f, p->name, "must be true or false");
    }
    return check_text(p, p->name, text, f);
}

/* The body. name: with all that it is within. */

static int check_json(const struct api_param *p, const char *name, json_t *json,
                      struct params_fault *f);

static const struct api_param *find_field(const struct api_param *fields, const char *name)
{
    for (const struct api_param *p = fields; p && p->place != API_END; p++)
        if (p->place == API_BODY && strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

static void join(char out[128], const char *within, const char *name)
{
    snprintf(out, 128, "%s%s%s", within, *within ? "." : "", name);
}

/* Each field of an object is known, right, and there if it must be. */
static int check_fields(const struct api_param *fields, const char *within, json_t *object,
                        struct params_fault *f)
{
    const char *key;
    json_t *value;
    char name[128];
    json_object_foreach(object, key, value)
    {
        const struct api_param *p = find_field(fields, key);
        join(name, within, key);
        if (!p)
            return params_set_fault(f, 400, "unknown_parameter", name,
                                    "%s is not a parameter of this request", name);
        if (check_json(p, name, value, f))
            return -1;
    }
    for (const struct api_param *p = fields; p && p->place != API_END; p++) {
        join(name, within, p->place == API_BODY ? p->name : "");
        if (p->place == API_BODY && p->required && !json_object_get(object, p->name))
            return params_set_fault(f, 400, "missing_parameter", name, "%s is required", name);
    }
    return 0;
}

static int check_list(const struct api_param *p, const char *name, json_t *list,
                      struct params_fault *f)
{
    int64_t n = (int64_t)json_array_size(list);
    char item[128];
    if (n < p->min || n > p->max)
        return params_set_fault(f, 400, "bad_parameter", name,
                                "%s must have %" PRId64 " to %" PRId64 " items", name, p->min,
                                p->max);
    for (int64_t i = 0; i < n; i++) {
        json_t *value = json_array_get(list, (size_t)i);
        snprintf(item, sizeof item, "%s[%" PRId64 "]", name, i);
        if (!*p->fields->name) {
            if (check_json(p->fields, item, value, f))
                return -1;
        } else if (!json_is_object(value)) {
            return refuse(f, item, "must be an object");
        } else if (check_fields(p->fields, item, value, f)) {
            return -1;
        }
    }
    return 0;
}

static int check_money(const char *name, json_t *json, struct params_fault *f)
{
    static const struct api_param FIELDS[] = {
        {.place = API_BODY,
         .name = "amount_minor",
         .type = API_WHOLE,
         .required = true,
         .min = 0,
         .max = 999999999999},
        {.place = API_BODY, .name = "currency", .type = API_NAME, .required = true},
        API_PARAMS_END};
    if (!json_is_object(json))
        return refuse(f, name, "must be {\"amount_minor\", \"currency\"}");
    return check_fields(FIELDS, name, json, f);
}

static int check_json(const struct api_param *p, const char *name, json_t *json,
                      struct params_fault *f)
{
    if (json_is_null(json))
        return p->nullable ? 0 : refuse(f, name, "must not be null");
    switch (p->type) {
    case API_WHOLE:
        if (!json_is_integer(json))
            return refuse(f, name, "must be a whole number");
        return check_whole(p, name, json_integer_value(json), f);
    case API_BOOL:
        return json_is_boolean(json) ? 0 : refuse(f, name, "must be true or false");
    case API_OBJECT:
        if (!json_is_object(json))
            return refuse(f, name, "must be an object");
        return p->fields ? check_fields(p->fields, name, json, f) : 0;
    case API_LIST:
        return json_is_array(json) ? check_list(p, name, json, f)
                                   : refuse(f, name, "must be a list");
    case API_MONEY:
        return check_money(name, json, f);
    case API_TEXT:
    case API_NAME:
    case API_DECIMAL:
    case API_TIME:
    case API_CHOICE:
        break;
    case API_ANY:
        return 0;
    }
    if (!json_is_string(json))
        return refuse(f, name, "must be a text");
    return check_text(p, name, json_string_value(json), f);
}

static void take_json(json_t *json, struct api_value *v)
{
    v->given = true;
    v->json = json;
    v->is_null = json_is_null(json);
    v->text = json_string_value(json);
    v->whole = json_is_boolean(json) ? json_is_true(json) : json_integer_value(json);
}

static void take_fallback(const struct api_param *p, struct api_value *v)
{
    if (!p->fallback)
        return;
    v->given = true;
    v->text = p->fallback;
    if (p->type == API_WHOLE)
        str_to_i64(p->fallback, strlen(p->fallback), &v->whole);
    else if (p->type == API_BOOL)
        v->whole = strcmp(p->fallback, "true") == 0;
}

/* Where the route has {name}. */
static const char *find_segment(const struct api_route *route, const struct target *t,
                                const char *name)
{
    const char *at = route->path;
    size_t length = strlen(name);
    for (int i = 0; i < t->segments_n && at && *at; i++) {
        at++;
        if (*at == '{' && strncmp(at + 1, name, length) == 0 && at[1 + length] == '}')
            return t->segments[i];
        at = strchr(at, '/');
    }
    return NULL;
}

static const char *find_query(const struct target *t, const char *name)
{
    for (int i = 0; i < t->query_n; i++)
        if (strcmp(t->query[i].name, name) == 0)
            return t->query[i].value;
    return NULL;
}

static int check_query_names(const struct api_route *route, const struct target *t,
                             struct params_fault *f)
{
    for (int i = 0; i < t->query_n; i++) {
        const char *name = t->query[i].name;
        const struct api_param *p = route->params;
        while (p && p->place != API_END && (p->place != API_QUERY || strcmp(p->name, name) != 0))
            p++;
        if (!p || p->place == API_END)
            return params_set_fault(f, 400, "unknown_parameter", name,
                                    "%s is not a parameter of this request", name);
        for (int k = 0; k < i; k++)
            if (strcmp(t->query[k].name, name) == 0)
                return params_set_fault(f, 400, "duplicate_parameter", name, "%s stands twice",
                                        name);
    }
    return 0;
}

int params_check(const struct api_route *route, const struct target *target, json_t *body,
                 params_header_fn header, void *owner, struct api_value *values,
                 struct params_fault *f)
{
    if (check_query_names(route, target, f) || (body && check_fields(route->params, "", body, f)))
        return -1;
    int i = 0;
    for (const struct api_param *p = route->params; p && p->place != API_END; p++, i++) {
        const char *text = NULL;
        json_t *json = NULL;
        if (p->place == API_PATH)
            text = find_segment(route, target, p->name);
        else if (p->place == API_QUERY)
            text = find_query(target, p->name);
        else if (p->place == API_HEADER)
            text = header(owner, p->name);
        else
            json = body ? json_object_get(body, p->name) : NULL;
        if (text && take_text(p, text, &values[i], f))
            return -1;
        if (json)
            take_json(json, &values[i]);
        if (!text && !json && p->required)
            return params_set_fault(f, 400, "missing_parameter", p->name, "%s is required",
                                    p->name);
        if (!text && !json)
            take_fallback(p, &values[i]);
    }
    return 0;
}
