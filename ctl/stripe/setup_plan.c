#include "ctl/stripe/setup_plan.h"

#include "common/str.h"
#include "common/stripe/stripe_meter.h"
#include "ctl/stripe/setup_catalog.h"
#include "ctl/stripe/setup_diff.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

/* docs.stripe.com/api: the parameters of each kind's update */
const struct setup_kind SETUP_KINDS[] = {
    {"product", "/v1/products", LIST("name", "active", "metadata", "unit_label")},
    {"meter", "/v1/billing/meters", LIST("display_name")},
    {"price", "/v1/prices", LIST("active", "nickname", "metadata")},
    {"tax_rate", "/v1/tax_rates", LIST("active", "display_name", "metadata")},
    {"portal", "/v1/billing_portal/configurations",
     LIST("features", "default_return_url", "metadata")},
    {"webhook_endpoint", "/v1/webhook_endpoints",
     LIST("enabled_events", "description", "metadata")},
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool is(const json_t *object, const char *key, const char *text)
{
    return strcmp(text_of(object, key), text) == 0;
}

const struct setup_kind *setup_kind_of(const char *name)
{
    for (int i = 0; i < SETUP_N_KINDS; i++)
        if (strcmp(SETUP_KINDS[i].name, name) == 0)
            return &SETUP_KINDS[i];
    return NULL;
}

static bool is_ours(const json_t *found)
{
    return json_is_string(json_object_get(json_object_get(found, "metadata"), SETUP_MARK));
}

/* Finding. */

static bool has_name(const json_t *object, const json_t *found)
{
    const char *kind = text_of(object, "kind");
    const json_t *params = json_object_get(object, "params");
    const json_t *mark = json_object_get(json_object_get(params, "metadata"), SETUP_MARK);
    if (strcmp(kind, "product") == 0)
        return is(found, "id", text_of(object, "name"));
    if (strcmp(kind, "price") == 0)
        return is(found, "lookup_key", text_of(object, "name"));
    if (strcmp(kind, "meter") == 0)
        return is(found, "event_name", text_of(params, "event_name"));
    if (strcmp(kind, "webhook_endpoint") == 0)
        return is_ours(found) && is(found, "url", text_of(object, "name"));
    return json_equal(json_object_get(json_object_get(found, "metadata"), SETUP_MARK), mark);
}

/* How many of the object's parameters that never change are other ones. */
static int count_fixed(const struct setup_kind *kind, const json_t *object, const json_t *found)
{
    json_t *differences = setup_diff(json_object_get(object, "params"), found);
    int fixed = 0;
    size_t i;
    const json_t *difference;
    json_array_foreach(differences, i, difference)
    {
        fixed += !setup_diff_is_below(difference, kind->changeable);
    }
    json_decref(differences);
    return fixed;
}

/* Of several with the same name, the one that needs least: of tax rates and endpoints those that
 * were replaced stay. */
static const json_t *find(const struct setup_kind *kind, const json_t *object,
                          const json_t *present)
{
    size_t i;
    json_t *found;
    json_t *best = NULL;
    int best_fixed = 0;
    json_array_foreach(json_object_get(present, kind->name), i, found)
    {
        if (!has_name(object, found))
            continue;
        if (strcmp(kind->name, "meter") == 0) {
            best = stripe_meter_better(best, found);
            continue;
        }
        int fixed = count_fixed(kind, object, found);
        if (!best || fixed < best_fixed) {
            best = found;
            best_fixed = fixed;
        }
    }
    return best;
}

/* Steps. */

static void say(json_t *step, const char *format, const char *a, const char *b)
{
    struct buf text = {0};
    for (const char *at = format; *at; at++)
        if (*at == '%') {
            buf_add_str(&text, a);
            a = b;
        } else {
            buf_add_char(&text, *at);
        }
    json_array_append_new(json_object_get(step, "why"), json_string(text.data));
    buf_done(&text);
}

static void act(json_t *step, const char *action)
{
    json_object_set_new(step, "action", json_string(action));
}

/* The parameters that differ and may change, whole. */
static json_t *changed_params(const json_t *object, const json_t *differences)
{
    size_t i;
    const json_t *difference;
    const json_t *params = json_object_get(object, "params");
    json_t *changed = json_object();
    json_array_foreach(differences, i, difference)
    {
        const char *top = setup_diff_top(difference);
        json_object_set(changed, top, json_object_get(params, top));
    }
    return changed;
}

static void say_differences(json_t *step, const json_t *differences)
{
    size_t i;
    const json_t *difference;
    json_array_foreach(differences, i, difference)
    {
        json_array_append(json_object_get(step, "why"), json_object_get(difference, "text"));
    }
}

static void plan_meter(json_t *step, const json_t *object, const json_t *found,
                       const json_t *differences)
{
    struct err e;
    const json_t *params = json_object_get(object, "params");
    bool newest = json_is_true(json_object_get(object, "newest"));
    if (is(found, "status", "inactive")) {
        act(step, "change");
        json_object_set_new(step, "params", json_object());
        json_object_set_new(step, "sub_path", json_string("/reactivate"));
        say(step, "status inactive to active", "", "");
    } else if (stripe_meter_check(found, text_of(params, "event_name"), newest, &e)) {
        act(step, "warn");
        say(step, "%", e.text, "");
    } else if (json_array_size(differences) > 0) {
        act(step, "change");
        json_object_set_new(step, "params", changed_params(object, differences));
        say_differences(step, differences);
    }
}

/* Those of ours at the same address, such as one of another version. */
static void say_others(json_t *step, const json_t *object, const json_t *found,
                       const json_t *present)
{
    size_t i;
    const json_t *other;
    json_array_foreach(json_object_get(present, "webhook_endpoint"), i, other)
    {
        if (other != found && has_name(object, other))
            say(step, "% leads there, too: delete it at Stripe when webhookd has the secret of %",
                text_of(other, "id"), text_of(found, "id"));
    }
}

/* It shows status, and takes disabled. */
static void plan_endpoint(json_t *step, const json_t *object, const json_t *found,
                          enum setup_secret secret)
{
    const char *id = text_of(found, "id");
    if (is(step, "action", "replace")) {
        say(step, "% stays: delete it at Stripe when webhookd has the new secret", id, "");
    } else if (secret == SECRET_PENDING) {
        act(step, "create");
        json_object_set(step, "params", json_object_get(object, "params"));
        say(step, "its secret was not received: asked once more, by the same key", "", "");
    } else if (secret == SECRET_NONE) {
        act(step, "warn");
        say(step,
            "Stripe tells the secret of % only when it makes it, and it is not in its file: "
            "put it there by hand, or delete the endpoint at Stripe and run this again",
            id, "");
    } else if (is(found, "status", "disabled")) {
        act(step, "change");
        json_object_set_new(json_object_get(step, "params"), "disabled", json_false());
        say(step, "status disabled to enabled", "", "");
    }
}

static void plan_found(const struct setup_kind *kind, json_t *step, const json_t *object,
                       const json_t *found, struct setup_terms terms)
{
    json_t *differences = setup_diff(json_object_get(object, "params"), found);
    json_object_set_new(step, "id", json_string(text_of(found, "id")));
    act(step, "keep");
    if (strcmp(kind->name, "meter") == 0) {
        plan_meter(step, object, found, differences);
        json_decref(differences);
        return;
    }
    bool ours = is_ours(found) || terms.adopt;
    if (!ours)
        setup_diff_forget(differences, "metadata");
    size_t n = json_array_size(differences);
    bool fixed = count_fixed(kind, object, found) > 0;
    say_differences(step, differences);
    if (!ours && n == 0) {
        say(step, "% was made by somebody else; it is used as it is", text_of(found, "id"), "");
    } else if (!ours) {
        act(step, "warn");
        say(step,
            "% was made by somebody else (metadata has no %), so it is left alone: --adopt "
            "takes it over",
            text_of(found, "id"), SETUP_MARK);
    } else if (n > 0 && fixed) {
        act(step, "replace");
        json_object_set(step, "params", json_object_get(object, "params"));
        json_object_set(step, "extra", json_object_get(object, "extra"));
    } else {
        act(step, n > 0 ? "change" : "keep");
        json_object_set_new(step, "params", changed_params(object, differences));
    }
    json_decref(differences);
    if (strcmp(kind->name, "webhook_endpoint") == 0)
        plan_endpoint(step, object, found, terms.secret);
}

/* The step of what is needed; NULL if there is none. */
static const json_t *step_of(const json_t *steps, const json_t *need)
{
    size_t i;
    const json_t *step;
    json_array_foreach(steps, i, step)
    {
        if (json_equal(json_object_get(step, "kind"), json_array_get(need, 0)) &&
            json_equal(json_object_get(step, "name"), json_array_get(need, 1)))
            return step;
    }
    return NULL;
}

/* The meter's id, once there is a meter, is a parameter of the price. */
static json_t *with_meter(const json_t *object, const json_t *steps)
{
    size_t i;
    const json_t *need;
    json_t *filled = json_deep_copy(object);
    json_array_foreach(json_object_get(object, "needs"), i, need)
    {
        const json_t *step = step_of(steps, need);
        json_t *recurring = json_object_get(json_object_get(filled, "params"), "recurring");
        if (recurring && strcmp(json_string_value(json_array_get(need, 0)), "meter") == 0)
            json_object_set_new(
                recurring, "meter",
                json_string(json_object_get(step, "id") ? text_of(step, "id") : "new"));
    }
    return filled;
}

/* Something that it needs cannot be had. */
static const json_t *find_obstacle(const json_t *object, const json_t *steps)
{
    size_t i;
    const json_t *need;
    json_array_foreach(json_object_get(object, "needs"), i, need)
    {
        const json_t *step = step_of(steps, need);
        if (step && is(step, "action", "warn"))
            return step;
    }
    return NULL;
}

static void copy(json_t *step, const json_t *object)
{
    static const char *const KEYS[] = {"kind",   "name",   "needs",  "plan",
                                       "metric", "yearly", "version"};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        if (json_object_get(object, KEYS[i]))
            json_object_set(step, KEYS[i], json_object_get(object, KEYS[i]));
}

static json_t *plan_one(const json_t *given, const json_t *present, const json_t *steps,
                        struct setup_terms terms)
{
    json_t *object = with_meter(given, steps);
    const struct setup_kind *kind = setup_kind_of(text_of(object, "kind"));
    assert(kind);
    const json_t *found = find(kind, object, present);
    const json_t *obstacle = find_obstacle(object, steps);
    json_t *step = json_pack("{s:s, s:[]}", "action", "create", "why");
    copy(step, object);
    if (json_object_get(object, "warn")) {
        act(step, "warn");
        say(step, "%", text_of(object, "warn"), "");
    } else if (obstacle) {
        act(step, "warn");
        say(step, "waits until the % % is right", text_of(obstacle, "kind"),
            text_of(obstacle, "name"));
    } else if (found) {
        plan_found(kind, step, object, found, terms);
        if (strcmp(kind->name, "webhook_endpoint") == 0)
            say_others(step, object, found, present);
    } else {
        json_object_set(step, "params", json_object_get(object, "params"));
        json_object_set(step, "extra", json_object_get(object, "extra"));
    }
    json_decref(object);
    return step;
}

json_t *setup_plan(const json_t *objects, const json_t *present, struct setup_terms terms)
{
    size_t i;
    const json_t *object;
    json_t *steps = json_array();
    json_array_foreach(objects, i, object)
    {
        json_array_append_new(steps, plan_one(object, present, steps, terms));
    }
    return steps;
}

bool setup_plan_differs(const json_t *steps)
{
    size_t i;
    const json_t *step;
    json_array_foreach(steps, i, step)
    {
        if (!is(step, "action", "keep"))
            return true;
    }
    return false;
}
