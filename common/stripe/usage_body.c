#include "common/stripe/usage_body.h"

#include "common/clock.h"

#include <string.h>

static void add_pair(struct buf *out, const char *name, const char *value)
{
    if (out->length > 0)
        buf_add_char(out, '&');
    buf_add_str(out, name); /* brackets stay as they are, as in Stripe's own clients */
    buf_add_char(out, '=');
    buf_add_urlencoded(out, value, strlen(value));
}

void meter_event_body(struct buf *out, const struct usage *usage)
{
    char value[DEC_TEXT_SIZE];
    dec_format(usage->quantity, value);
    add_pair(out, "event_name", usage->event_name);
    add_pair(out, "payload[stripe_customer_id]", usage->customer);
    add_pair(out, "payload[value]", value);
    add_pair(out, "identifier", usage->identifier);
    buf_printf(out, "&timestamp=%lld", (long long)usage->usage_at_s);
}

static void add_member(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "\"%s\":", name);
    buf_add_json_str(out, value, strlen(value));
}

void meter_event_stream_body(struct buf *out, const struct usage *usage)
{
    char value[DEC_TEXT_SIZE];
    char timestamp[CLOCK_TEXT_SIZE];
    dec_format(usage->quantity, value);
    clock_format_iso(usage->usage_at_s * 1000, timestamp);
    buf_add_char(out, '{');
    add_member(out, "event_name", usage->event_name);
    buf_add_char(out, ',');
    add_member(out, "identifier", usage->identifier);
    buf_add_str(out, ",\"payload\":{");
    add_member(out, "stripe_customer_id", usage->customer);
    buf_add_char(out, ',');
    add_member(out, "value", value);
    buf_add_str(out, "},");
    add_member(out, "timestamp", timestamp);
    buf_add_char(out, '}');
}

void usage_record_body(struct buf *out, const struct usage *usage)
{
    char quantity[DEC_TEXT_SIZE];
    dec_format(usage->quantity, quantity);
    buf_printf(out, "quantity=%s&timestamp=%lld&action=increment", quantity,
               (long long)usage->usage_at_s);
}

bool usage_body_make(const char *transport, struct buf *out, const struct usage *usage)
{
    static const struct {
        const char *transport;
        void (*make)(struct buf *out, const struct usage *usage);
    } BODIES[] = {{"meter_events", meter_event_body},
                  {"meter_event_stream", meter_event_stream_body},
                  {"usage_records", usage_record_body}};

    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++)
        if (strcmp(BODIES[i].transport, transport) == 0) {
            BODIES[i].make(out, usage);
            return true;
        }
    return false;
}
