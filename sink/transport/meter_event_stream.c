/* Transport meter_event_stream: POST /v2/billing/meter_event_stream on a host of its own
 * (docs.stripe.com/api/v2/billing-meter-stream/create), with the token of a session (stream_token).
 *
 * Stripe checks the events after its answer, and ignores one whose identifier it has seen within
 * 24 h. What it refuses later is reported by a webhook, and found by the reconciler. */
#include "sink/transport/meter_event_stream.h"

#include <jansson.h>

bool meter_event_stream_is_receipt(const char *body, size_t length, const struct usage *usage)
{
    (void)usage;
    json_t *answer = json_loadb(body, length, 0, NULL);
    bool is = json_is_object(answer) && !json_object_get(answer, "error");
    json_decref(answer);
    return is;
}

const struct transport TRANSPORT_METER_EVENT_STREAM = {
    .name = "meter_event_stream",
    .path = "/v2/billing/meter_event_stream",
    .content_type = "application/json",
    .batch_max = 100,
    .opens = "{\"events\":[",
    .closes = "]}",
    .by_token = true,
    .takes_negative = true,
    .make_body = meter_event_stream_body,
    .is_receipt = meter_event_stream_is_receipt,
};
