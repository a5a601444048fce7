#include "ctl/catalog/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A path that is too long for its buffer is cut, and still leads near the place. */
static struct path path_take(struct buf *shown)
{
    struct path p;
    size_t length = shown->length < sizeof p.text ? shown->length : sizeof p.text - 1;
    memcpy(p.text, shown->data, length);
    p.text[length] = '\0';
    buf_done(shown);
    return p;
}

/* Keys come from the file: an odd one is quoted, so that it cannot send control codes to the
 * terminal. */
struct path path_key(const struct path *parent, const char *key)
{
    struct buf shown = {0};
    if (parent)
        buf_printf(&shown, "%s.", parent->text);
    if (str_is_name(key, strlen(key)))
        buf_add_str(&shown, key);
    else
        buf_add_json_str(&shown, key, strlen(key));
    return path_take(&shown);
}

struct path path_index(const struct path *parent, size_t index)
{
    struct buf shown = {0};
    buf_printf(&shown, "%s[%zu]", parent->text, index);
    return path_take(&shown);
}

void check_fault(struct check *c, const struct path *at, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_printf(c->faults, "%s: %s\n", at->text, text);
    c->count++;
}

bool check_object(struct check *c, const struct path *at, const json_t *value)
{
    if (!value)
        check_fault(c, at, "is missing");
    else if (!json_is_object(value))
        check_fault(c, at, "must be an object");
    return json_is_object(value);
}

bool check_array(struct check *c, const struct path *at, const json_t *value)
{
    if (!value)
        check_fault(c, at, "is missing");
    else if (!json_is_array(value))
        check_fault(c, at, "must be an array");
    return json_is_array(value);
}

static bool is_listed(const char *text, const char *const *list)
{
    while (*list && strcmp(*list, text) != 0)
        list++;
    return *list != NULL;
}

void check_keys(struct check *c, const struct path *at, json_t *object, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        struct path p = path_key(at, key);
        if (!is_listed(key, known))
            check_fault(c, &p, "is not known");
    }
}

/* The member, or NULL after noting that a required one is missing. */
static const json_t *member(struct check *c, const struct path *at, const json_t *object,
                            const char *key, enum check_need need)
{
    const json_t *value = json_object_get(object, key);
    if (!value && need == CHECK_REQUIRED)
        check_fault(c, at, "is missing");
    return value;
}

static const char *text_of(struct check *c, const struct path *at, const json_t *object,
                           const char *key, enum check_need need)
{
    const json_t *value = member(c, at, object, key, need);
    if (value && !json_is_string(value))
        check_fault(c, at, "must be a string");
    return json_string_value(value);
}

const char *check_text(struct check *c, const struct path *at, const json_t *object,
                       const char *key, size_t max_bytes, enum check_need need)
{
    struct path p = path_key(at, key);
    const char *text = text_of(c, &p, object, key, need);
    if (!text)
        return NULL;
    size_t length = strlen(text);
    if (length == 0)
        check_fault(c, &p, "must not be empty");
    else if (length > max_bytes)
        check_fault(c, &p, "must have at most %zu bytes, has %zu", max_bytes, length);
    else if (str_has_control(text, length))
        check_fault(c, &p, "must not contain control characters");
    else
        return text;
    return NULL;
}

const char *check_name(struct check *c, const struct path *at, const json_t *object,
                       const char *key, enum check_need need)
{
    struct path p = path_key(at, key);
    const char *text = text_of(c, &p, object, key, need);
    if (!text || str_is_name(text, strlen(text)))
        return text;
    check_fault(c, &p, "must be a name of 1 to 64 characters a-z, 0-9 and _");
    return NULL;
}

static void fault_choice(struct check *c, const struct path *at, const char *const *choices)
{
    struct buf list = {0};
    for (int i = 0; choices[i]; i++)
        buf_printf(&list, "%s%s", i == 0 ? "" : ", ", choices[i]);
    check_fault(c, at, "must be one of: %s", list.data);
    buf_done(&list);
}

const char *check_choice(struct check *c, const struct path *at, const json_t *object,
                         const char *key, const char *const *choices, const char *fallback)
{
    struct path p = path_key(at, key);
    enum check_need need = fallback ? CHECK_OPTIONAL : CHECK_REQUIRED;
    if (fallback && !json_object_get(object, key))
        return fallback;
    const char *text = text_of(c, &p, object, key, need);
    if (!text || is_listed(text, choices))
        return text;
    fault_choice(c, &p, choices);
    return NULL;
}

const char *check_currency(struct check *c, const struct path *at, const json_t *object)
{
    struct path p = path_key(at, "currency");
    const char *currency = check_text(c, at, object, "currency", 16, CHECK_REQUIRED);
    if (!currency || (strlen(currency) == 3 && strspn(currency, "abcdefghijklmnopqrstuvwxyz") == 3))
        return currency;
    check_fault(c, &p, "must be three lower-case letters, such as usd");
    return NULL;
}

bool check_decimal(struct check *c, const struct path *at, const json_t *object, const char *key,
                   struct dec *out)
{
    struct path p = path_key(at, key);
    const json_t *value = member(c, &p, object, key, CHECK_REQUIRED);
    if (!value)
        return false;
    const char *text = json_string_value(value);
    if (!text)
        check_fault(c, &p, "must be a decimal in a string, such as \"0.5\"");
    else if (dec_parse_quantity(text, strlen(text), out))
        check_fault(c, &p, "must be a decimal of at most 18 digits before and 9 behind the point");
    else if (dec_cmp(*out, DEC_ZERO) < 0)
        check_fault(c, &p, "must not be negative");
    else
        return true;
    return false;
}

int64_t check_whole(struct check *c, const struct path *at, const json_t *object, const char *key)
{
    struct path p = path_key(at, key);
    const json_t *value = member(c, &p, object, key, CHECK_REQUIRED);
    if (!value || (json_is_integer(value) && json_integer_value(value) >= 0))
        return json_integer_value(value);
    check_fault(c, &p, "must be a whole number, 0 or more");
    return 0;
}

bool check_bool(struct check *c, const struct path *at, const json_t *object, const char *key)
{
    struct path p = path_key(at, key);
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_boolean(value))
        check_fault(c, &p, "must be true or false");
    return json_is_true(value);
}

json_t *check_find_by(json_t *array, size_t end, const char *key, const char *text)
{
    for (size_t i = 0; i < end && i < json_array_size(array); i++) {
        json_t *item = json_array_get(array, i);
        const char *found = json_string_value(json_object_get(item, key));
        if (found && strcmp(found, text) == 0)
            return item;
    }
    return NULL;
}

void check_unique_text(struct check *c, const struct path *at, json_t *array, size_t index,
                       const char *key)
{
    struct path p = path_key(at, key);
    const char *text = json_string_value(json_object_get(json_array_get(array, index), key));
    if (text && check_find_by(array, index, key, text))
        check_fault(c, &p, "is used twice in this catalog");
}

void check_set_text(json_t *row, const char *key, const char *text)
{
    json_object_set_new(row, key, text ? json_string(text) : json_null());
}
