/* A customer as Stripe describes it, https://docs.stripe.com/api/customers/object. Pure. */
#ifndef METERLINE_CUSTOMER_OBJECT_H
#define METERLINE_CUSTOMER_OBJECT_H

#include <jansson.h>
#include <stdbool.h>

/* Strings are borrowed from the JSON. */
struct customer_object {
    const char *id;
    const char *tenant; /* metadata.tenant; NULL without */
    const char *email;  /* NULL without */
    bool deleted;
};

/* Returns 0, or -1 if it has no id. object may be NULL. */
int customer_object_read(const json_t *object, struct customer_object *out);

/* metadata.tenant of any object; NULL without. It may not be usable: see tenant_is_valid. */
const char *metadata_tenant(const json_t *object);
/* 1 to 128 bytes without control characters, as the stream takes it. */
bool tenant_is_valid(const char *tenant);

#endif
