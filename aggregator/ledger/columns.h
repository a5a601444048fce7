/* Batches as PostgreSQL takes them: parallel arrays in binary. */
#ifndef METERLINE_COLUMNS_H
#define METERLINE_COLUMNS_H

#include "aggregator/batch/catalog.h"
#include "aggregator/batch/event.h"
#include "aggregator/batch/minute_sums.h"
#include "common/batch_digest.h"
#include "common/pg/pg.h"
#include "common/pg/pg_array.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { RETRACTS_NOTHING, RETRACTS_GIVEN, RETRACTS_DEFAULT }; /* as in usage_batches.retracts */

/* One row: an event, or what a retraction takes back. */
struct raw_row {
    const struct event *event; /* tenant, entry and id */
    struct text metric;
    struct text fields; /* "{}" when none */
    struct dec quantity;
    int64_t occurred_ms;
    int16_t retracts;
};

/* Raw events of one slice. */
enum slice_array {
    SLICE_ENTRY_MS,
    SLICE_ENTRY_SEQ,
    SLICE_TENANTS,
    SLICE_METRICS,
    SLICE_IDS_UUID,
    SLICE_IDS_TEXT,
    SLICE_QUANTITIES,
    SLICE_OCCURRED_MS,
    SLICE_FIELDS,
    SLICE_RETRACTS,
    SLICE_DIGESTED,                    /* those before are in the digest */
    SLICE_ID_MINUTES = SLICE_DIGESTED, /* that ids were made in: a set, though some come again */
    SLICE_ARRAYS
};
struct slice_columns {
    uint32_t events;
    int64_t occurred_min_ms;
    int64_t occurred_max_ms;
    struct pg_array arrays[SLICE_ARRAYS];
    bool has[SLICE_ARRAYS];  /* one that would hold only NULLs is sent as NULL */
    int32_t minutes_seen[4]; /* the last of the id minutes */
    uint32_t minutes;
};

void slice_columns_init(struct slice_columns *c);
void slice_columns_done(struct slice_columns *c);
void slice_columns_clear(struct slice_columns *c);
void slice_columns_add(struct slice_columns *c, const struct raw_row *row);
/* Append the parameters of INSERT_SLICE from occurred_min on ($7 to $19). times: 16 bytes that live
 * until pg_run. */
void slice_columns_bind(struct slice_columns *c, struct pg_statement *s, unsigned char times[16]);

/* The digest of a batch's slices, made by a thread beside the loop, which gives statements to
 * PostgreSQL meanwhile: of 50,000 events it takes 6 ms. Small batches are not worth a thread. */
struct slices_digest {
    const struct slice_columns *slices; /* borrowed; only read, and unchanged until the end */
    struct batch_digest_slice row;
    unsigned char digest[BATCH_DIGEST_SIZE]; /* there after the end */
    pthread_t thread;
    bool has_thread;
};

/* slices: SLICES of them. row: what all of them have. */
void slices_digest_begin(struct slices_digest *d, const struct slice_columns *slices,
                         const struct batch_digest_slice *row);
/* Waits for it. Also if it never began, and more than once. */
void slices_digest_end(struct slices_digest *d);

/* Parameters of another statement. Zero-initialise, or columns_init. */
enum { COLUMNS_MAX = 9 };
struct columns {
    struct pg_array arrays[COLUMNS_MAX];
    int width;      /* arrays in use */
    uint32_t count; /* rows */
};

/* Empty columns of these types, whatever was there before. */
void columns_init(struct columns *c, const unsigned *types, int width);
void columns_done(struct columns *c);
void columns_clear(struct columns *c);
void columns_bind(struct columns *c, struct pg_statement *s);

/* Entries that were duplicates, $5 to $7 of INSERT_REPEATS. content: entry_content of its entry. */
void repeat_columns_init(struct columns *c);
void repeat_columns_add(struct columns *c, const struct event *event, int64_t content);

/* Minutes to count anew, $2 to $4 of INSERT_RECOUNTS; each as often as something of it was taken
 * back. */
void recount_columns_init(struct columns *c);
void recount_columns_add(struct columns *c, const struct raw_row *row);

/* Minute sums, $3 to $11 of INSERT_PENDING: rows[from … to - 1]. */
void minute_columns_fill(struct columns *c, const struct catalog *catalog,
                         const struct minute_sums *sums, uint32_t from, uint32_t to);

/* A batch's rejections, $3 to $8 of INSERT_REJECTS. */
struct batch;
void reject_columns_fill(struct columns *c, const struct batch *b);

#endif
