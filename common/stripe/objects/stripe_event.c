#include "common/stripe/objects/stripe_event.h"

#include "common/clock.h"
#include "common/str.h"
#include "common/stripe/objects/event_json.h"
#include "common/stripe/objects/odd_json.h"

#include <string.h>

const char *stripe_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

int64_t stripe_integer(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

const char *stripe_reference(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_object(value) ? stripe_text(value, "id") : json_string_value(value);
}

bool stripe_is_id(const char *text)
{
    static const char ALLOWED[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t length = text ? strlen(text) : 0;
    return length > 0 && length <= STRIPE_ID_MAX_BYTES && strspn(text, ALLOWED) == length;
}

static bool is_type(const char *text)
{
    size_t length = text ? strlen(text) : 0;
    return length > 0 && length <= STRIPE_ID_MAX_BYTES && !str_has_control(text, length);
}

int64_t stripe_time_s(const json_t *object, const char *key)
{
    const char *text = stripe_text(object, key);
    return text ? clock_parse_rfc3339_s(text) : stripe_integer(object, key, -1);
}

static void find_object(struct stripe_event *event)
{
    const json_t *data = json_object_get(event->root, "data");
    const json_t *object = json_object_get(data, "object");
    const json_t *previous = json_object_get(data, "previous_attributes");
    const json_t *related = json_object_get(event->root, "related_object");
    event->object = json_is_object(object) ? object : NULL;
    event->previous = json_is_object(previous) ? previous : NULL;
    event->object_id = stripe_text(event->object ? event->object : related, "id");
    if (!stripe_is_id(event->object_id))
        event->object_id = NULL;
}

static int check(const struct stripe_event *event, struct err *e)
{
    if (!stripe_is_id(event->id))
        return err_set(e, ERR_INPUT, "no event id");
    if (!is_type(event->type))
        return err_set(e, ERR_INPUT, "no event type");
    /* Up to the year 9999, which PostgreSQL certainly accepts. */
    if (event->created_s < 0 || event->created_s > 253402300799)
        return err_set(e, ERR_INPUT, "no time of creation");
    return 0;
}

json_t *stripe_json_load(const char *body, size_t length)
{
    json_error_t why;
    json_t *root = json_loadb(body, length, 0, &why);
    if (root)
        return root;
    struct buf plain = {0};
    odd_json_make_plain(body, length, &plain);
    root = json_loadb(plain.data ? plain.data : "", plain.length, 0, &why);
    buf_done(&plain);
    return root;
}

int stripe_event_read(json_t *root, struct stripe_event *out, struct err *e)
{
    memset(out, 0, sizeof *out);
    if (!json_is_object(root)) {
        json_decref(root);
        return err_set(e, ERR_INPUT, "not a JSON object");
    }
    out->root = root;
    out->id = stripe_text(root, "id");
    out->type = stripe_text(root, "type");
    out->created_s = stripe_time_s(root, "created");
    out->livemode = json_is_true(json_object_get(root, "livemode"));
    find_object(out);
    if (check(out, e) == 0)
        return 0;
    stripe_event_done(out);
    return -1;
}

int stripe_event_parse(const char *body, size_t length, struct stripe_event *out, struct err *e)
{
    json_t *root = event_json_load(body, length);
    return stripe_event_read(root ? root : stripe_json_load(body, length), out, e);
}

void stripe_event_done(struct stripe_event *event)
{
    json_decref(event->root);
    memset(event, 0, sizeof *event);
}

bool stripe_event_is(const struct stripe_event *event, const char *end)
{
    size_t length = strlen(event->type);
    size_t end_length = strlen(end);
    return length >= end_length && !strcmp(event->type + length - end_length, end);
}

json_t *stripe_event_prior_object(const struct stripe_event *event)
{
    json_t *prior = json_deep_copy(event->object);
    if (event->previous) {
        /* jansson's merge takes a non-const source, though it only reads it. */
        json_t *previous = json_deep_copy(event->previous);
        json_object_update_recursive(prior, previous);
        json_decref(previous);
    }
    return prior;
}
