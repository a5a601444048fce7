/* Batches as PostgreSQL takes them: parallel arrays in binary. */
#ifndef METERLINE_COLUMNS_H
#define METERLINE_COLUMNS_H

#include "aggregator/batch/catalog.h"
#include "aggregator/batch/event.h"
#include "aggregator/batch/minute_sums.h"
#include "common/batch_digest.h"
#include "common/pg/pg.h"
#include "common/pg/pg_array.h"

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
struct slice_columns {
    uint32_t events;
    int64_t occurred_min_ms;
    int64_t occurred_max_ms;
    struct pg_array entry_ms;
    struct pg_array entry_seq;
    struct pg_array tenants;
    struct pg_array metrics;
    struct pg_array ids_uuid;
    struct pg_array ids_text;
    struct pg_array quantities;
    struct pg_array occurred_ms;
    struct pg_array fields;
    struct pg_array retracts;
    struct pg_array id_minutes; /* that ids were made in: a set, though some may come again */
    int32_t minutes_seen[4];    /* the last of them */
    uint32_t minutes;
    bool has_uuid; /* an array that would hold only NULLs is sent as NULL */
    bool has_text;
    bool has_fields;
    bool has_retracts; /* and only then are its NULLs added */
};

void slice_columns_init(struct slice_columns *c);
void slice_columns_done(struct slice_columns *c);
void slice_columns_clear(struct slice_columns *c);
void slice_columns_add(struct slice_columns *c, const struct raw_row *row);
/* Append the parameters of INSERT_SLICE from occurred_min on ($7 to $19). times: 16 bytes that live
 * until pg_run. */
void slice_columns_bind(struct slice_columns *c, struct pg_statement *s, unsigned char times[16]);

/* What the row will hold. row: what does not stand here; events and times of use are added. */
void slice_columns_digest(struct slice_columns *c, struct batch_digest_slice row,
                          struct batch_digest *digest);

/* Entries that were duplicates, $5 to $7 of INSERT_REPEATS. */
enum { REPEAT_COLUMNS = 3 };
struct repeat_columns {
    struct pg_array columns[REPEAT_COLUMNS];
    uint32_t count;
};
void repeat_columns_init(struct repeat_columns *c);
void repeat_columns_done(struct repeat_columns *c);
void repeat_columns_clear(struct repeat_columns *c);
/* content: entry_content of its entry. */
void repeat_columns_add(struct repeat_columns *c, const struct event *event, int64_t content);
void repeat_columns_bind(struct repeat_columns *c, struct pg_statement *s);

/* Minute sums, $3 to $11 of INSERT_PENDING. */
enum { MINUTE_COLUMNS = 9 };
struct minute_columns {
    struct pg_array columns[MINUTE_COLUMNS];
};
void minute_columns_init(struct minute_columns *c);
void minute_columns_done(struct minute_columns *c);
/* Of rows[from … to - 1]. */
void minute_columns_fill(struct minute_columns *c, const struct catalog *catalog,
                         const struct minute_sums *sums, uint32_t from, uint32_t to);
void minute_columns_bind(struct minute_columns *c, struct pg_statement *s);

/* Minutes to count anew, $2 to $4 of INSERT_RECOUNTS; each as often as something of it was taken
 * back. */
enum { RECOUNT_COLUMNS = 3 };
struct recount_columns {
    struct pg_array columns[RECOUNT_COLUMNS];
    uint32_t count;
};
void recount_columns_init(struct recount_columns *c);
void recount_columns_done(struct recount_columns *c);
void recount_columns_clear(struct recount_columns *c);
void recount_columns_add(struct recount_columns *c, const struct raw_row *row);
void recount_columns_bind(struct recount_columns *c, struct pg_statement *s);

#endif
