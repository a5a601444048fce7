#include "common/stripe/objects/event_members.h"

#include <stdint.h>
#include <string.h>

enum { SLOTS = 512 };

/* Whatever common/stripe/objects, webhookd/receive and webhookd/work ask an event for, by name
 * alone. tests/unit/test_event_json.c and the fuzzer compare what follows from events with and
 * without the rest. */
static const char *const NAMES[] = {
    /* events */
    "account", "context", "created", "data", "id", "livemode", "object", "previous_attributes",
    "related_object", "request", "type",
    /* reports on meter events, whose reason is kept whole */
    "reason", "validation_end", "validation_start",
    /* many objects */
    "amount", "code", "currency", "customer", "deleted", "metadata", "metric", "plan", "status",
    "status_transitions", "tenant",
    /* customers, checkouts, notes */
    "amount_total", "charge", "client_reference_id", "email", "expires_at", "mode",
    "payment_status", "value",
    /* subscriptions and prices */
    "amount_decimal", "amount_off", "behavior", "billing_cycle_anchor", "billing_mode",
    "billing_scheme", "cancel_at", "cancel_at_period_end", "canceled_at", "cancellation_details",
    "collection_method", "coupon", "current_period_end", "current_period_start", "discount",
    "discounts", "divide_by", "duration", "ended_at", "has_more", "interval", "interval_count",
    "items", "latest_invoice", "lookup_key", "meter", "pause_collection", "percent_off", "price",
    "product", "quantity", "recurring", "resumes_at", "round", "schedule", "source", "start_date",
    "tiers", "tiers_mode", "transform_quantity", "trial_end", "trial_start", "unit_amount",
    "unit_amount_decimal", "usage_type",
    /* invoices */
    "amount_due", "amount_paid", "amount_remaining", "attempt_count", "billing_reason", "due_date",
    "finalized_at", "last_finalization_error", "next_payment_attempt", "number", "paid_at",
    "parent", "period_end", "period_start", "subscription", "subscription_details", "subtotal",
    "tax", "total", "total_taxes",
    /* payments */
    "amount_captured", "amount_received", "amount_refunded", "decline_code", "failure_code",
    "invoice", "last_payment_error", "payment", "payment_intent", "refunded"};

/* With all that is in them. */
static const char *const WHOLE[] = {"reason", "tiers"};

static size_t slot_of(const char *name, size_t length)
{
    uint32_t hash = 2166136261U; /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619U;
    return (hash ^ hash >> 15) % SLOTS;
}

static void fill(const char **slots)
{
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        size_t slot = slot_of(NAMES[i], strlen(NAMES[i]));
        while (slots[slot])
            slot = (slot + 1) % SLOTS;
        slots[slot] = NAMES[i];
    }
}

static bool is_same(const char *known, const char *name, size_t length)
{
    return strncmp(known, name, length) == 0 && known[length] == '\0';
}

const char *event_member(const char *name, size_t length)
{
    static const char *slots[SLOTS];
    static bool filled;
    if (!filled)
        fill(slots);
    filled = true;
    size_t slot = slot_of(name, length);
    while (slots[slot] && !is_same(slots[slot], name, length))
        slot = (slot + 1) % SLOTS;
    return slots[slot];
}

bool event_member_is_whole(const char *name)
{
    for (size_t i = 0; i < sizeof WHOLE / sizeof *WHOLE; i++)
        if (strcmp(WHOLE[i], name) == 0)
            return true;
    return false;
}
