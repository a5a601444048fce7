/* What meterctl stripe setup does: pure, from a catalog and what an account has. */
#include "ctl/catalog/catalog_parse.h"
#include "ctl/stripe/setup_catalog.h"
#include "ctl/stripe/setup_diff.h"
#include "ctl/stripe/setup_plan.h"
#include "ctl/stripe/setup_post.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VERSION "2026-10-28.endive"
#define URL     "https://example.com/hook"

static const char CATALOG[] =
    "{'metrics': [{'metric': 'calls', 'name': 'Calls', 'unit': 'call', 'aggregation': 'sum',"
    " 'stripe_event_name': 'calls'}],"
    " 'plans': [{'plan': 'pro', 'name': 'Pro', 'currency': 'usd', 'base_amount_minor': 9900,"
    " 'yearly_amount_minor': 99000, 'limits': {'calls': {'included': '100', 'cap': 'none',"
    " 'overage': {'amount_minor': '1', 'per': '1000'}}}}],"
    " 'tax': {'name': 'VAT', 'percentage': '8'}}";

/* C strings are easier to read with single quotes in them. */
static json_t *load(const char *text)
{
    char *document = strdup(text);
    for (char *at = document; *at; at++)
        if (*at == '\'')
            *at = '"';
    json_t *value = json_loads(document, JSON_DECODE_ANY, NULL);
    if (!value)
        fail_msg("is no JSON: %s", text);
    free(document);
    return value;
}

static json_t *objects_of(const char *catalog, const char *url)
{
    struct buf faults = {0};
    const struct setup_wish wish = {VERSION, url, NULL};
    json_t *document = load(catalog);
    char *text = json_dumps(document, 0);
    json_t *rows = catalog_parse(text, strlen(text), &faults);
    if (!rows)
        fail_msg("%s", faults.data);
    json_t *objects = setup_catalog(rows, &wish, &faults);
    if (!objects)
        fail_msg("%s", faults.data);
    json_decref(rows);
    json_decref(document);
    free(text);
    return objects;
}

/* An account that has all of it, as Stripe would show it. */
static json_t *account_of(const json_t *objects)
{
    size_t i;
    const json_t *object;
    json_t *present = json_object();
    for (int k = 0; k < SETUP_N_KINDS; k++)
        json_object_set_new(present, SETUP_KINDS[k].name, json_array());
    json_array_foreach(objects, i, object)
    {
        char id[32];
        const char *kind = json_string_value(json_object_get(object, "kind"));
        json_t *made = json_deep_copy(json_object_get(object, "params"));
        (void)snprintf(id, sizeof id, "id_%zu", i);
        json_object_set_new(made, "id", json_string(id));
        if (strcmp(kind, "product") == 0)
            json_object_set(made, "id", json_object_get(object, "name"));
        if (strcmp(kind, "meter") == 0)
            json_object_set_new(made, "status", json_string("active"));
        if (strcmp(kind, "price") == 0)
            json_object_set(made, "lookup_key", json_object_get(object, "name"));
        if (json_object_get(object, "metric"))
            json_object_set_new(json_object_get(made, "recurring"), "meter", json_string("id_2"));
        json_array_append_new(json_object_get(present, kind), made);
    }
    return present;
}

static json_t *item(const json_t *present, const char *kind, size_t index)
{
    return json_array_get(json_object_get(present, kind), index);
}

static const json_t *step_of(const json_t *steps, const char *kind, const char *name)
{
    size_t i;
    const json_t *step;
    json_array_foreach(steps, i, step)
    {
        if (!strcmp(json_string_value(json_object_get(step, "kind")), kind) &&
            !strcmp(json_string_value(json_object_get(step, "name")), name))
            return step;
    }
    fail_msg("there is no step of %s %s", kind, name);
    return NULL;
}

static void must_be(const json_t *steps, const char *kind, const char *name, const char *action,
                    const char *why)
{
    const json_t *step = step_of(steps, kind, name);
    const json_t *first = json_array_get(json_object_get(step, "why"), 0);
    assert_string_equal(json_string_value(json_object_get(step, "action")), action);
    assert_string_equal(first ? json_string_value(first) : "", why);
}

static int count(const json_t *steps, const char *action)
{
    int n = 0;
    size_t i;
    const json_t *step;
    json_array_foreach(steps, i, step)
    {
        n += !strcmp(json_string_value(json_object_get(step, "action")), action);
    }
    return n;
}

/* The plan for an account that was made for CATALOG and then changed. */
struct story {
    json_t *objects;
    json_t *present;
    json_t *steps;
};

static void begin(struct story *s)
{
    s->objects = objects_of(CATALOG, URL);
    s->present = account_of(s->objects);
    s->steps = NULL;
}

static void plan(struct story *s, struct setup_terms terms)
{
    json_decref(s->steps);
    s->steps = setup_plan(s->objects, s->present, terms);
}

static void end(struct story *s)
{
    json_decref(s->objects);
    json_decref(s->present);
    json_decref(s->steps);
}

#define KEPT ((struct setup_terms){false, SECRET_KEPT})

static void nothing_is_there_so_all_is_made(void **state)
{
    struct story s;
    (void)state;
    begin(&s);
    json_decref(s.present);
    s.present = json_object();
    plan(&s, (struct setup_terms){false, SECRET_NONE});
    assert_int_equal(count(s.steps, "create"), 9);
    assert_int_equal(json_array_size(s.steps), 9);
    assert_true(setup_plan_differs(s.steps));
    end(&s);
}

static void all_is_there_so_nothing_is_done(void **state)
{
    struct story s;
    (void)state;
    begin(&s);
    plan(&s, KEPT);
    assert_int_equal(count(s.steps, "keep"), 9);
    assert_false(setup_plan_differs(s.steps));
    end(&s);
}

static void what_may_change_is_changed_alone(void **state)
{
    struct story s;
    (void)state;
    begin(&s);
    json_object_set_new(item(s.present, "product", 0), "name", json_string("Old"));
    json_object_set_new(item(s.present, "price", 1), "active", json_false());
    json_object_set_new(item(s.present, "meter", 0), "display_name", json_string("Old"));
    plan(&s, KEPT);
    must_be(s.steps, "product", "ml_pro", "change", "name Old to Pro");
    must_be(s.steps, "price", "pro_year", "change", "active false to true");
    must_be(s.steps, "meter", "calls", "change", "display_name Old to Calls");
    char *body = setup_post_body(step_of(s.steps, "product", "ml_pro"), NULL);
    assert_string_equal(body, "name=Pro");
    free(body);
    assert_int_equal(count(s.steps, "keep"), 6);
    end(&s);
}

static void what_never_changes_is_replaced(void **state)
{
    struct story s;
    (void)state;
    begin(&s);
    json_object_set_new(item(s.present, "price", 0), "unit_amount", json_integer(1));
    json_t *tiers = json_object_get(item(s.present, "price", 2), "tiers");
    json_object_set_new(json_array_get(tiers, 1), "unit_amount_decimal", json_string("0.0010"));
    json_object_set_new(json_array_get(tiers, 1), "up_to", json_null());
    json_object_set_new(json_array_get(tiers, 0), "up_to", json_integer(50));
    json_object_set_new(item(s.present, "tax_rate", 0), "percentage", json_string("8.5"));
    json_object_set_new(item(s.present, "webhook_endpoint", 0), "api_version",
                        json_string("2024-06-20"));
    plan(&s, KEPT);
    must_be(s.steps, "price", "pro", "replace", "unit_amount 1 to 9900");
    must_be(s.steps, "price", "pro_calls", "replace", "tiers[0].up_to 50 to 100");
    must_be(s.steps, "tax_rate", "tax", "replace", "percentage 8.5 to 8");
    must_be(s.steps, "webhook_endpoint", URL, "replace", "api_version 2024-06-20 to " VERSION);
    /* Of two tax rates, the one that is right is kept. */
    json_t *right = json_deep_copy(item(s.present, "tax_rate", 0));
    json_object_set_new(right, "percentage", json_string("8.0"));
    json_array_append_new(json_object_get(s.present, "tax_rate"), right);
    plan(&s, KEPT);
    must_be(s.steps, "tax_rate", "tax", "keep", "");
    end(&s);
}

static void what_is_not_ours_is_left_alone(void **state)
{
    struct story s;
    (void)state;
    begin(&s);
    json_object_set_new(item(s.present, "price", 1), "metadata", json_object());
    json_object_set_new(item(s.present, "product", 0), "metadata", json_object());
    json_object_set_new(item(s.present, "product", 0), "name", json_string("Theirs"));
    plan(&s, KEPT);
    must_be(s.steps, "product", "ml_pro", "warn", "name Theirs to Pro");
    must_be(s.steps, "price", "pro_year", "warn", "waits until the product ml_pro is right");
    must_be(s.steps, "price", "pro_calls", "keep", "");
    json_object_set_new(item(s.present, "product", 0), "name", json_string("Pro"));
    plan(&s, KEPT);
    must_be(s.steps, "product", "ml_pro", "keep",
            "ml_pro was made by somebody else; it is used as it is");
    plan(&s, (struct setup_terms){true, SECRET_KEPT});
    must_be(s.steps, "product", "ml_pro", "change", "metadata.meterline none to plan");
    /* Other people's tax rates, portals and endpoints are not even looked at. */
    json_object_set_new(item(s.present, "tax_rate", 0), "metadata", json_object());
    json_object_set_new(item(s.present, "webhook_endpoint", 0), "metadata", json_object());
    plan(&s, KEPT);
    must_be(s.steps, "tax_rate", "tax", "create", "");
    must_be(s.steps, "webhook_endpoint", URL, "create", "");
    end(&s);
}

static void a_meter_that_cannot_be_used_holds_its_prices(void **state)
{
    struct story s;
    (void)state;
    begin(&s);
    json_object_set_new(item(s.present, "meter", 0), "status", json_string("inactive"));
    plan(&s, KEPT);
    must_be(s.steps, "meter", "calls", "change", "status inactive to active");
    must_be(s.steps, "price", "pro_calls", "keep", "");
    json_object_set_new(item(s.present, "meter", 0), "status", json_string("active"));
    json_object_set_new(json_object_get(item(s.present, "meter", 0), "default_aggregation"),
                        "formula", json_string("last"));
    plan(&s, KEPT);
    must_be(s.steps, "meter", "calls", "warn",
            "the meter of calls has formula last, not sum: it cannot be changed, so make one with "
            "another event name");
    must_be(s.steps, "price", "pro_calls", "warn", "waits until the meter calls is right");
    end(&s);
}

static void a_secret_is_asked_for_until_it_is_kept(void **state)
{
    struct story s;
    (void)state;
    begin(&s);
    plan(&s, (struct setup_terms){false, SECRET_PENDING});
    must_be(s.steps, "webhook_endpoint", URL, "create",
            "its secret was not received: asked once more, by the same key");
    plan(&s, (struct setup_terms){false, SECRET_NONE});
    assert_int_equal(count(s.steps, "warn"), 1);
    json_object_set_new(item(s.present, "webhook_endpoint", 0), "status", json_string("disabled"));
    plan(&s, KEPT);
    must_be(s.steps, "webhook_endpoint", URL, "change", "status disabled to enabled");
    char *body = setup_post_body(step_of(s.steps, "webhook_endpoint", URL), NULL);
    assert_string_equal(body, "disabled=false");
    free(body);
    end(&s);
}

static void the_body_is_a_form_with_the_meter_that_was_made(void **state)
{
    struct story s;
    json_t *ids = load("{'meter': {'calls': 'mtr_1'}}");
    (void)state;
    begin(&s);
    json_decref(s.present);
    s.present = json_object();
    plan(&s, (struct setup_terms){false, SECRET_NONE});
    char *body = setup_post_body(step_of(s.steps, "price", "pro_calls"), ids);
    assert_string_equal(
        body,
        "product=ml_calls&currency=usd&active=true&metadata[meterline]=usage&metadata[plan]="
        "pro&metadata[metric]=calls&billing_scheme=tiered&tiers_mode=graduated&tiers[0][up_to]="
        "100&tiers[0][unit_amount_decimal]=0&tiers[1][up_to]=inf&tiers[1][unit_amount_decimal]"
        "=0.001&recurring[interval]=month&recurring[interval_count]=1&recurring[usage_type]="
        "metered&recurring[meter]=mtr_1&nickname=Pro%3A%20Calls&lookup_key=pro_calls&transfer_"
        "lookup_key=true");
    free(body);
    json_decref(ids);
    end(&s);
}

/* The next run repeats a step to the letter; another step, or the next round, is another one. */
static void a_step_has_one_key_in_every_run(void **state)
{
    static const struct {
        const char *step;
        int round;
        const char *body;
        const char *salt;
        bool same; /* as the first one */
    } CASES[] = {
        {"{'kind': 'price', 'action': 'replace', 'id': 'p_1'}", 1, "a=1", "", true},
        {"{'kind': 'price', 'action': 'replace', 'id': 'p_1'}", 1, "a=1", "", true},
        {"{'kind': 'price', 'action': 'replace', 'id': 'p_2'}", 1, "a=1", "", false},
        {"{'kind': 'price', 'action': 'create'}", 1, "a=1", "", false},
        {"{'kind': 'price', 'action': 'replace', 'id': 'p_1'}", 2, "a=1", "", false},
        {"{'kind': 'price', 'action': 'replace', 'id': 'p_1'}", 1, "a=2", "", false},
        {"{'kind': 'price', 'action': 'replace', 'id': 'p_1'}", 1, "a=1", "x", false},
    };
    char first[SETUP_KEY_SIZE] = "";
    char salted[2][SETUP_KEY_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char key[SETUP_KEY_SIZE];
        json_t *step = load(CASES[i].step);
        setup_post_key(step, CASES[i].round, CASES[i].body, CASES[i].salt, key);
        if (i == 0)
            memcpy(first, key, sizeof first);
        assert_int_equal(strcmp(key, first) == 0, CASES[i].same);
        json_decref(step);
    }
    json_t *asked = load("{'kind': 'webhook_endpoint', 'action': 'replace', 'id': 'we_1'}");
    json_t *again = load("{'kind': 'webhook_endpoint', 'action': 'create'}");
    setup_post_key(asked, 1, "a=1", "salt", salted[0]);
    setup_post_key(again, 2, "a=1", "salt", salted[1]);
    assert_string_equal(salted[0], salted[1]);
    json_decref(asked);
    json_decref(again);
}

static void differences_are_told_by_their_path(void **state)
{
    static const struct {
        const char *wanted;
        const char *found;
        const char *text; /* of the only difference; NULL: none */
    } CASES[] = {
        {"{'a': 1}", "{'a': 1, 'b': 2}", NULL},
        {"{'a': 1}", "{}", "a none to 1"},
        {"{'a': null}", "{'a': 'x'}", "a x to none"},
        {"{'a': ''}", "{'a': []}", NULL},
        {"{'a': {'b': true}}", "{'a': {'b': false}}", "a.b false to true"},
        {"{'a': ['x', 'y']}", "{'a': ['y', 'x']}", NULL},
        {"{'a': ['x', 'y']}", "{'a': ['y', 'z']}", "a +x -z"},
        {"{'unit_amount_decimal': '0.50'}", "{'unit_amount_decimal': '0.5'}", NULL},
        {"{'unit_amount': 100}", "{'unit_amount': 10}", "unit_amount 10 to 100"},
        {"{'percentage': '8'}", "{'percentage': 8}", NULL},
        {"{'percentage': '8.25'}", "{'percentage': '8.250'}", NULL},
        {"{'percentage': '0'}", "{'percentage': '0.0'}", NULL},
        {"{'name': '7.0'}", "{'name': '7'}", "name 7 to 7.0"},
        {"{'tiers': [{'up_to': 'inf'}]}", "{'tiers': [{'up_to': null}]}", NULL},
        {"{'tiers': [{'up_to': 5}]}", "{'tiers': [{'up_to': null}]}", "tiers[0].up_to none to 5"},
        {"{'tiers': [{'up_to': 5}]}", "{'tiers': []}", "tiers none to [{\"up_to\":5}]"},
        {"{'a': {'b': 1}}", "{'a': 'id'}", "a.b none to 1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        json_t *wanted = load(CASES[i].wanted);
        json_t *found = load(CASES[i].found);
        json_t *differences = setup_diff(wanted, found);
        assert_int_equal(json_array_size(differences), CASES[i].text ? 1 : 0);
        if (CASES[i].text)
            assert_string_equal(
                json_string_value(json_object_get(json_array_get(differences, 0), "text")),
                CASES[i].text);
        json_decref(differences);
        json_decref(found);
        json_decref(wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_there_so_all_is_made),
        cmocka_unit_test(all_is_there_so_nothing_is_done),
        cmocka_unit_test(what_may_change_is_changed_alone),
        cmocka_unit_test(what_never_changes_is_replaced),
        cmocka_unit_test(what_is_not_ours_is_left_alone),
        cmocka_unit_test(a_meter_that_cannot_be_used_holds_its_prices),
        cmocka_unit_test(a_secret_is_asked_for_until_it_is_kept),
        cmocka_unit_test(the_body_is_a_form_with_the_meter_that_was_made),
        cmocka_unit_test(a_step_has_one_key_in_every_run),
        cmocka_unit_test(differences_are_told_by_their_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
