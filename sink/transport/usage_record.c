/* Transport usage_records: POST /v1/subscription_items/{id}/usage_records, one record a call
 * (docs.stripe.com/api/usage_records/create?api-version=2025-01-27.acacia). Versions from
 * 2025-03-31.basil do not have it, hence its own Stripe-Version.
 *
 * Records are incremented by one another, and Stripe knows no identifier of them: only the
 * Idempotency-Key keeps a second try from counting twice, for 24 h. */
#include "sink/transport/usage_record.h"

#include "common/contract.h"

#include <jansson.h>
#include <string.h>

bool usage_record_is_receipt(const char *body, size_t length, const struct usage *usage)
{
    json_t *answer = json_loadb(body, length, 0, NULL);
    const json_t *quantity = json_object_get(answer, "quantity");
    bool is = transport_text_is(answer, "object", "usage_record") && json_is_integer(quantity) &&
              dec_cmp(dec_from_i64(json_integer_value(quantity)), usage->quantity) == 0 &&
              transport_text_is(answer, "subscription_item", usage->subscription_item);
    json_decref(answer);
    return is;
}

/* Stripe gives no code for these (docs.stripe.com/billing/subscriptions/usage-based-legacy). */
bool usage_record_is_too_late(const char *message)
{
    return strstr(message, "timestamps must be after the subscription's last invoice period") ||
           strstr(message, "the subscription has been canceled");
}

const struct transport TRANSPORT_USAGE_RECORDS = {
    .name = "usage_records",
    .path = "/v1/subscription_items/{}/usage_records",
    .content_type = "application/x-www-form-urlencoded",
    .version = STRIPE_VERSION_LEGACY,
    .batch_max = 1,
    .ends_with_period = true,
    .make_body = usage_record_body,
    .is_receipt = usage_record_is_receipt,
    .is_too_late = usage_record_is_too_late,
};
