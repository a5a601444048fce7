#include "api/billing/phase_settings.h"

#include "common/stripe/objects/stripe_event.h"

#include <stdlib.h>
#include <string.h>

/* An id, or an object that has one. */
static const char *id_of(const json_t *value)
{
    return json_is_string(value) ? json_string_value(value) : stripe_text(value, "id");
}

static void add_ids(struct stripe_form *f, const json_t *ids, const char *at)
{
    size_t i;
    const json_t *each;
    json_array_foreach(ids, i, each)
    {
        stripe_form_text(f, id_of(each), "%s[%d]", at, (int)i);
    }
}

/* Of a subscription's item they are ids, or discounts as objects. */
static void add_discounts(struct stripe_form *f, const json_t *discounts, const char *at)
{
    static const char *const KINDS[] = {"discount", "coupon", "promotion_code"};
    size_t i;
    const json_t *each;
    json_array_foreach(discounts, i, each)
    {
        const char *object = stripe_text(each, "object");
        if (json_is_string(each) || (object && !strcmp(object, "discount"))) {
            stripe_form_text(f, id_of(each), "%s[%d][discount]", at, (int)i);
            continue;
        }
        for (size_t k = 0; k < sizeof KINDS / sizeof *KINDS; k++) {
            const char *id = stripe_reference(each, KINDS[k]);
            stripe_form_text(f, id, "%s[%d][%s]", at, (int)i, KINDS[k]);
            if (id)
                break;
        }
    }
}

static void add_metadata(struct stripe_form *f, const json_t *metadata, const char *at, bool of_all)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)metadata, key, value)
    {
        if (of_all || (strcmp(key, "plan") != 0 && strcmp(key, "tenant") != 0))
            stripe_form_text(f, json_string_value(value), "%s[metadata][%s]", at, key);
    }
}

static void add_settings_of_item(struct stripe_form *f, const json_t *item, const char *at)
{
    char *rates = xasprintf("%s[tax_rates]", at);
    char *discounts = xasprintf("%s[discounts]", at);
    add_ids(f, json_object_get(item, "tax_rates"), rates);
    add_discounts(f, json_object_get(item, "discounts"), discounts);
    add_metadata(f, json_object_get(item, "metadata"), at, true);
    free(discounts);
    free(rates);
}

void phase_item_settings(struct stripe_form *f, const json_t *item, int n, int k)
{
    char *at = xasprintf("phases[%d][items][%d]", n, k);
    add_settings_of_item(f, item, at);
    free(at);
}

static void add_automatic_tax(struct stripe_form *f, const json_t *tax, int n)
{
    const json_t *liability = json_object_get(tax, "liability");
    if (!json_is_boolean(json_object_get(tax, "enabled")))
        return;
    stripe_form_bool(f, json_is_true(json_object_get(tax, "enabled")),
                     "phases[%d][automatic_tax][enabled]", n);
    stripe_form_text(f, stripe_text(liability, "type"),
                     "phases[%d][automatic_tax][liability][type]", n);
    stripe_form_text(f, stripe_reference(liability, "account"),
                     "phases[%d][automatic_tax][liability][account]", n);
}

static void add_settings(struct stripe_form *f, const json_t *phase, int n, bool of_all)
{
    static const char *const TEXTS[] = {"collection_method", "default_payment_method",
                                        "description", "on_behalf_of"};
    const json_t *days =
        json_object_get(json_object_get(phase, "invoice_settings"), "days_until_due");
    char *at = xasprintf("phases[%d]", n);
    char *rates = xasprintf("%s[default_tax_rates]", at);
    char *discounts = xasprintf("%s[discounts]", at);
    add_discounts(f, json_object_get(phase, "discounts"), discounts);
    add_ids(f, json_object_get(phase, "default_tax_rates"), rates);
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        stripe_form_text(f, stripe_reference(phase, TEXTS[i]), "%s[%s]", at, TEXTS[i]);
    if (json_is_integer(days))
        stripe_form_i64(f, json_integer_value(days), "%s[invoice_settings][days_until_due]", at);
    add_automatic_tax(f, json_object_get(phase, "automatic_tax"), n);
    add_metadata(f, json_object_get(phase, "metadata"), at, of_all);
    free(discounts);
    free(rates);
    free(at);
}

void phase_settings(struct stripe_form *f, const json_t *phase, int n)
{
    add_settings(f, phase, n, false);
}

void phase_as_is(struct stripe_form *f, const json_t *phase, int n)
{
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(phase, "items"), i, item)
    {
        const json_t *quantity = json_object_get(item, "quantity");
        char *at = xasprintf("phases[%d][items][%d]", n, (int)i);
        stripe_form_text(f, stripe_reference(item, "price"), "%s[price]", at);
        if (json_is_integer(quantity))
            stripe_form_i64(f, json_integer_value(quantity), "%s[quantity]", at);
        add_settings_of_item(f, item, at);
        free(at);
    }
    add_settings(f, phase, n, true);
    if (stripe_integer(phase, "trial_end", 0) > 0)
        stripe_form_i64(f, stripe_integer(phase, "trial_end", 0), "phases[%d][trial_end]", n);
}
