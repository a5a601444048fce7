#include "webhookd/order.h"

bool order_is_news(const struct order *o)
{
    if (!o->stored)
        return true;
    /* What has ended never comes back: Stripe gives a new one a new id. */
    if (o->stored_final)
        return false;
    if (o->fetched || o->event_final || o->stored_created_s < 0)
        return true;
    if (o->event_created_s != o->stored_created_s)
        return o->event_created_s > o->stored_created_s;
    return o->prior_matches;
}
