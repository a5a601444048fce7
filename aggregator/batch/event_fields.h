/* The fields of one entry, sorted out: those that the contract names, and dimensions. */
#ifndef METERLINE_EVENT_FIELDS_H
#define METERLINE_EVENT_FIELDS_H

#include "aggregator/batch/event.h"
#include "aggregator/batch/json_text.h"
#include "common/contract.h"

enum known_field {
    KNOWN_TENANT,
    KNOWN_METRIC,
    KNOWN_QUANTITY,
    KNOWN_ID,
    KNOWN_TS,
    KNOWN_OP,
    KNOWN_FIELDS,
};

struct event_fields {
    struct text known[KNOWN_FIELDS];             /* where given */
    bool given[KNOWN_FIELDS];                    /* an empty value is given, too */
    struct dimension dimensions[DIMENSIONS_MAX]; /* sorted by name */
    int dimensions_count;
    bool plain; /* no dimension's value needs an escape in JSON */
};

/* Fill why and return -1. The detail must come out as printable ASCII. */
int reject_set(struct reject *why, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sort out one entry. Returns 0: every string is UTF-8 without NUL, no name comes twice, dimensions
 * keep their bounds; the values of known fields are not looked at any further. Or -1 with why. */
int event_fields_collect(const struct entries *entries, uint32_t index, struct event_fields *out,
                         struct reject *why);

/* The entry's tenant if a table may hold it, else empty: for rejects. */
struct text event_fields_tenant(const struct entries *entries, uint32_t index);

#endif
