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
