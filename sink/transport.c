/* The transports of this build. */
#include "sink/transport.h"

#include <string.h>

const struct transport *const TRANSPORTS[] = {&TRANSPORT_METER_EVENTS, NULL};

const struct transport *transport_find(const char *name)
{
    for (int i = 0; TRANSPORTS[i]; i++)
        if (!strcmp(TRANSPORTS[i]->name, name))
            return TRANSPORTS[i];
    return NULL;
}

void transport_headers(const struct transport *t, const char *authorization, const char *version,
                       const char *identifier, struct http_header out[TRANSPORT_HEADERS])
{
    const struct http_header headers[TRANSPORT_HEADERS] = {
        {"Authorization", authorization},
        {"Stripe-Version", version},
        {"Idempotency-Key", identifier},
        {"Content-Type", t->content_type},
        {NULL, NULL},
    };
    memcpy(out, headers, sizeof headers);
}
