#include "webhookd/work/order.h"

enum order_answer order_decide(const struct order *o)
{
    if (!o->stored)
        return ORDER_NEWS;
    /* What has ended never comes back: Stripe gives a new one a new id. */
    if (o->stored_final)
        return ORDER_STALE;
    if (o->fetched || o->event_final || o->stored_created_s < 0)
        return ORDER_NEWS;
    if (o->event_created_s != o->stored_created_s)
        return o->event_created_s > o->stored_created_s ? ORDER_NEWS : ORDER_STALE;
    if (o->prior_matches)
        return ORDER_NEWS;
    return o->event_first ? ORDER_STALE : ORDER_UNCLEAR;
}
