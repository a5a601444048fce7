#include "webhookd/work/meter_report.h"

#include "common/str.h"
#include "common/stripe/identifier.h"
#include "common/stripe/objects/stripe_event.h"

#include <stdlib.h>
#include <string.h>

/* Older samples have only the Idempotency-Key, which for a single event contains its identifier.
 * length: of the identifier in what is returned. */
static const char *identifier_of(const json_t *sample, size_t *length)
{
    const json_t *request = json_object_get(sample, "request");
    const char *identifier = stripe_text(request, "identifier");
    const char *key = stripe_text(request, "idempotency_key");
    if (identifier)
        *length = strlen(identifier);
    else if (key)
        *length = identifier_length_in_key(key);
    return identifier ? identifier : key;
}

static void add_sample(json_t *named, const char *code, const json_t *sample)
{
    size_t length;
    const char *identifier = identifier_of(sample, &length);
    const char *message = stripe_text(sample, "error_message");
    if (!identifier)
        return;
    char *error =
        xasprintf("refused later: %s: %s", code ? code : "unknown", message ? message : "");
    json_array_append_new(
        named, json_pack("{s:s%, s:s}", "identifier", identifier, length, "error", error));
    free(error);
}

static json_t *named_in(const json_t *types)
{
    json_t *named = json_array();
    for (size_t i = 0; i < json_array_size(types); i++) {
        const json_t *type = json_array_get(types, i);
        const json_t *samples = json_object_get(type, "sample_errors");
        for (size_t k = 0; k < json_array_size(samples); k++)
            add_sample(named, stripe_text(type, "code"), json_array_get(samples, k));
    }
    return named;
}

int meter_report_parse(const json_t *event, struct meter_report *out)
{
    const json_t *data = json_object_get(event, "data");
    const json_t *reason = json_object_get(data, "reason");
    if (!json_is_object(reason))
        return -1;
    meter_report_done(out);
    out->named = named_in(json_object_get(reason, "error_types"));
    out->error_count = stripe_integer(reason, "error_count", 0);
    out->start_s = stripe_time_s(data, "validation_start");
    out->end_s = stripe_time_s(data, "validation_end");
    return 0;
}

void meter_report_done(struct meter_report *report)
{
    json_decref(report->named);
    memset(report, 0, sizeof *report);
}

bool meter_report_is(const char *type)
{
    return !strcmp(type, "v1.billing.meter.error_report_triggered") ||
           !strcmp(type, "v1.billing.meter.no_meter_found");
}
