/* Transport meter_events: POST /v1/billing/meter_events, one event a call
 * (docs.stripe.com/api/billing/meter-event/create). */
#include "sink/transport/meter_event.h"

#include <jansson.h>

bool meter_event_is_receipt(const char *body, size_t length, const struct usage *usage)
{
    json_t *answer = json_loadb(body, length, 0, NULL);
    bool is = transport_text_is(answer, "object", "billing.meter_event") &&
              transport_text_is(answer, "identifier", usage->identifier);
    json_decref(answer);
    return is;
}

const struct transport TRANSPORT_METER_EVENTS = {
    .name = "meter_events",
    .path = "/v1/billing/meter_events",
    .content_type = "application/x-www-form-urlencoded",
    .batch_max = 1,
    .takes_negative = true,
    .make_body = meter_event_body,
    .is_receipt = meter_event_is_receipt,
};
