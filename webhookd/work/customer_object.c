#include "webhookd/work/customer_object.h"

#include "common/contract.h"
#include "common/str.h"
#include "webhookd/receive/stripe_event.h"

#include <string.h>

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

int customer_object_read(const json_t *object, struct customer_object *out)
{
    out->id = stripe_text(object, "id");
    out->tenant = metadata_tenant(object);
    out->email = stripe_text(object, "email");
    out->deleted = json_is_true(json_object_get(object, "deleted"));
    return stripe_is_id(out->id) ? 0 : -1;
}
