/* CloudEvents 1.0 (cloudevents.io) as usage events.
 *
 *     {"specversion": "1.0", "id": "7", "source": "/shop", "type": "api_calls", "subject": "acme",
 *      "time": "2026-11-21T06:41:10.920Z", "data": {"quantity": "1.5", "model": "large"}}
 *
 * data is an event, of which all may be missing: its tenant is then the subject, its metric the
 * type, its ts the time. Its id is source and id with a blank between, since it is the two together
 * that no other event has. Other attributes are not read. Pure. */
#ifndef METERLINE_EMITTER_CLOUD_EVENT_H
#define METERLINE_EMITTER_CLOUD_EVENT_H

#include "common/events/format.h"

/* application/cloudevents+json and application/cloudevents-batch+json: see format.h. */
int format_cloud_event(struct format *f, const char *body, size_t length, struct err *e);
int format_cloud_batch(struct format *f, const char *body, size_t length, struct err *e);

/* Attributes that come beside the data, in headers. */
enum {
    CLOUD_SPECVERSION,
    CLOUD_ID,
    CLOUD_SOURCE,
    CLOUD_TYPE,
    CLOUD_SUBJECT,
    CLOUD_TIME,
    CLOUD_ATTRIBUTES
};
extern const char *const CLOUD_NAMES[CLOUD_ATTRIBUTES];
/* headers: by CLOUD_NAMES, of the HTTP headers "ce-" and the name, with their percent signs; NULL:
 * it is not there. */
int format_cloud_binary(struct format *f, const char *const headers[CLOUD_ATTRIBUTES],
                        const char *body, size_t length, struct err *e);

/* RFC 3339 in any zone, its fraction cut to milliseconds. Returns 0, or -1. */
int cloud_time_ms(const char *text, int64_t *unix_ms);

#endif
