#include "common/stripe/objects/facts.h"

#include "common/contract.h"
#include "common/str.h"

#include <string.h>

void fact_set_text(struct facts *f, const char *name, const char *text)
{
    if (text)
        json_object_set_new(f->values, name, json_string(text));
}

void fact_text(struct facts *f, const char *name, const json_t *object, const char *key)
{
    fact_set_text(f, name, stripe_text(object, key));
}

void fact_integer(struct facts *f, const char *name, const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (json_is_integer(value))
        json_object_set(f->values, name, value);
}

void fact_true(struct facts *f, const char *name, const json_t *object, const char *key)
{
    if (json_is_true(json_object_get(object, key)))
        json_object_set_new(f->values, name, json_true());
}

void fact_tax_rates(struct facts *f, const json_t *object, const char *key)
{
    size_t i;
    const json_t *rate;
    json_t *rates = json_array();
    json_array_foreach(json_object_get(object, key), i, rate)
    {
        struct facts of_it = {.values = json_object()};
        fact_text(&of_it, "id", rate, "id");
        json_t *percentage = json_object_get(rate, "percentage");
        if (json_is_number(percentage))
            json_object_set(of_it.values, "percentage", percentage);
        json_object_set_new(of_it.values, "inclusive",
                            json_boolean(json_is_true(json_object_get(rate, "inclusive"))));
        json_array_append_new(rates, of_it.values);
    }
    if (json_array_size(rates) > 0)
        json_object_set(f->values, "tax_rates", rates);
    json_decref(rates);
}

const char *metadata_tenant(const json_t *object)
{
    const char *tenant = stripe_text(json_object_get(object, "metadata"), "tenant");
    return tenant && *tenant ? tenant : NULL;
}

bool tenant_is_valid(const char *tenant)
{
    size_t length = strlen(tenant);
    return length > 0 && length <= TENANT_MAX_BYTES && !str_has_control(tenant, length);
}
