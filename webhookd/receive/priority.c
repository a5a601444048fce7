#include "webhookd/receive/priority.h"

#include <string.h>

static const char SUBSCRIPTION[] = "customer.subscription.";
static const char CUSTOMER[] = "customer.";

static const char *plain_type(const struct stripe_event *event)
{
    return strncmp(event->type, "v1.", 3) == 0 ? event->type + 3 : event->type;
}

static bool is_about(const char *type, const char *prefix)
{
    return strncmp(type, prefix, strlen(prefix)) == 0;
}

const char *event_customer(const struct stripe_event *event)
{
    const char *type = plain_type(event);
    const char *customer = stripe_reference(event->object, "customer");
    /* customer.created, .updated and .deleted; customer.subscription.… and the like have objects of
     * their own. */
    if (!customer && is_about(type, CUSTOMER) && !strchr(type + strlen(CUSTOMER), '.'))
        customer = event->object_id;
    return stripe_is_id(customer) ? customer : NULL;
}

static bool is_in_order(const char *status)
{
    return status && (!strcmp(status, "active") || !strcmp(status, "trialing"));
}

static bool is_same_item(const json_t *a, const json_t *b)
{
    const char *x = stripe_reference(a, "price");
    const char *y = stripe_reference(b, "price");
    return x && y && !strcmp(x, y) &&
           json_equal(json_object_get(a, "quantity"), json_object_get(b, "quantity"));
}

/* previous_attributes tells whole lists. Since each item has its own period, a renewal tells them
 * too. */
static bool has_other_items(const struct stripe_event *event)
{
    const json_t *before = json_object_get(json_object_get(event->previous, "items"), "data");
    const json_t *after = json_object_get(json_object_get(event->object, "items"), "data");
    size_t n = json_array_size(before);
    if (!before)
        return false;
    if (n != json_array_size(after))
        return true;
    for (size_t i = 0; i < n; i++)
        if (!is_same_item(json_array_get(before, i), json_array_get(after, i)))
            return true;
    return false;
}

static enum priority subscription_priority(const struct stripe_event *event)
{
    const json_t *was = json_object_get(event->previous, "status");
    if (!event->object)
        return PRIORITY_BEGINS;
    if (!is_in_order(stripe_text(event->object, "status")))
        return PRIORITY_OTHER;
    if (stripe_event_is(event, ".resumed") || (was && !is_in_order(json_string_value(was))) ||
        json_object_get(event->previous, "pause_collection"))
        return PRIORITY_UNBLOCKS;
    return stripe_event_is(event, ".created") || has_other_items(event) ? PRIORITY_BEGINS
                                                                        : PRIORITY_OTHER;
}

enum priority event_priority(const struct stripe_event *event)
{
    const char *type = plain_type(event);
    if (is_about(type, SUBSCRIPTION))
        return subscription_priority(event);
    return !strcmp(type, "checkout.session.completed") ||
                   !strcmp(type, "checkout.session.async_payment_succeeded")
               ? PRIORITY_BEGINS
               : PRIORITY_OTHER;
}
