/* One row of read_dirty.sql or read_carried.sql. */
#ifndef METERLINE_SINK_CLAIM_ROW_H
#define METERLINE_SINK_CLAIM_ROW_H

#include "common/pg/pg.h"
#include "sink/claim/claim_cursor.h"
#include "sink/claim/claim_rule.h"
#include "sink/transport/transport.h"

#include <stdbool.h>
#include <stdint.h>

/* Where a claim goes. */
struct claim_target {
    const struct transport *transport;
    const char *event_name;
    const char *customer;
    const char *item; /* of the subscription, or NULL */
};

/* Texts are borrowed from the result. Times are Unix ms. */
struct claim_row {
    struct claim_total total;
    const char *tenant;
    const char *metric;
    struct claim_target target; /* as the tenant is billed now … */
    struct claim_target place;  /* … and where a negative difference is subtracted: it is no other
                                   one than the former, or where the tenant was billed before */
    int64_t periods_version;
    bool resummed;        /* what was claimed was summed up anew: it is to be written */
    const char *replaced; /* array of identifiers that the claim replaces; NULL for none */
    int replaced_bytes;
    bool carried;            /* a late one that is carried over into the total's period … */
    int64_t carried_from_ms; /* … from the one that begins then */
};

/* Returns 0, or -1 if a number is not one of up to 38 digits, which our own stages never write. */
int claim_row_read(const PGresult *rows, int row, struct claim_row *out);

/* Where that claim of it goes. */
const struct claim_target *claim_row_target(const struct claim_row *row, const struct claim *claim);

struct claim_key claim_row_key(const PGresult *rows, int row);

#endif
