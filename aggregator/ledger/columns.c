#include "aggregator/ledger/columns.h"

#include "aggregator/batch/event_id.h"
#include "common/clock.h"

enum { SLICE_ARRAYS = 10 };

void slice_columns_init(struct slice_columns *c)
{
    *c = (struct slice_columns){.events = 0};
    pg_array_init(&c->entry_ms, PG_INT8);
    pg_array_init(&c->entry_seq, PG_INT8);
    pg_array_init(&c->tenants, PG_TEXT);
    pg_array_init(&c->metrics, PG_TEXT);
    pg_array_init(&c->ids_uuid, PG_UUID);
    pg_array_init(&c->ids_text, PG_TEXT);
    pg_array_init(&c->quantities, PG_NUMERIC);
    pg_array_init(&c->occurred_ms, PG_INT8);
    pg_array_init(&c->fields, PG_TEXT);
    pg_array_init(&c->retracts, PG_INT2);
    pg_array_init(&c->id_minutes, PG_INT4);
}

static struct pg_array *const *slice_arrays(struct slice_columns *c,
                                            struct pg_array *out[SLICE_ARRAYS])
{
    out[0] = &c->entry_ms;
    out[1] = &c->entry_seq;
    out[2] = &c->tenants;
    out[3] = &c->metrics;
    out[4] = &c->ids_uuid;
    out[5] = &c->ids_text;
    out[6] = &c->quantities;
    out[7] = &c->occurred_ms;
    out[8] = &c->fields;
    out[9] = &c->retracts;
    return out;
}

void slice_columns_done(struct slice_columns *c)
{
    struct pg_array *arrays[SLICE_ARRAYS];

    slice_arrays(c, arrays);
    for (int i = 0; i < SLICE_ARRAYS; i++)
        pg_array_done(arrays[i]);
    pg_array_done(&c->id_minutes);
}

void slice_columns_clear(struct slice_columns *c)
{
    struct pg_array *arrays[SLICE_ARRAYS];

    slice_arrays(c, arrays);
    for (int i = 0; i < SLICE_ARRAYS; i++)
        pg_array_clear(arrays[i]);
    pg_array_clear(&c->id_minutes);
    c->events = c->minutes = 0;
    c->has_uuid = c->has_text = c->has_fields = c->has_retracts = false;
}

/* A retraction's id is always given, in one of two ways. */
static void add_id(struct slice_columns *c, const struct event *event)
{
    unsigned char uuid[16];

    if (!event->has_id) {
        pg_array_add_null(&c->ids_uuid);
        pg_array_add_null(&c->ids_text);
    } else if (uuid_parse(event->id.data, event->id.length, uuid) == 0) {
        pg_array_add(&c->ids_uuid, uuid, sizeof uuid);
        pg_array_add_null(&c->ids_text);
        c->has_uuid = true;
    } else {
        pg_array_add_null(&c->ids_uuid);
        pg_array_add(&c->ids_text, event->id.data, event->id.length);
        c->has_text = true;
    }
}

/* Ids mostly tell the minute that they are added in, or one that many others tell. A retraction may
 * be of an old event: sent again, it must find itself. */
static void add_id_minute(struct slice_columns *c, const struct event *event, int16_t retracts)
{
    enum { SEEN = sizeof c->minutes_seen / sizeof *c->minutes_seen };
    int32_t minute = (int32_t)(event->id_ms / MINUTE_MS);

    if (!event->new_id && (retracts == RETRACTS_NOTHING || event->id_ms == ID_TIME_NONE))
        return;
    for (uint32_t i = 0; i < SEEN && i < c->minutes; i++)
        if (c->minutes_seen[i] == minute)
            return;
    c->minutes_seen[c->minutes++ % SEEN] = minute;
    pg_array_add_i32(&c->id_minutes, minute);
}

static void add_retracts(struct slice_columns *c, int16_t retracts)
{
    if (retracts != RETRACTS_NOTHING && !c->has_retracts) {
        c->has_retracts = true;
        for (uint32_t i = 0; i < c->events; i++)
            pg_array_add_null(&c->retracts);
    }
    if (retracts != RETRACTS_NOTHING)
        pg_array_add_i16(&c->retracts, retracts);
    else if (c->has_retracts)
        pg_array_add_null(&c->retracts);
}

void slice_columns_add(struct slice_columns *c, const struct raw_row *row)
{
    const struct event *event = row->event;

    if (c->events == 0 || row->occurred_ms < c->occurred_min_ms)
        c->occurred_min_ms = row->occurred_ms;
    if (c->events == 0 || row->occurred_ms > c->occurred_max_ms)
        c->occurred_max_ms = row->occurred_ms;
    pg_array_add_i64(&c->entry_ms, (int64_t)event->ms);
    pg_array_add_i64(&c->entry_seq, (int64_t)event->seq);
    pg_array_add(&c->tenants, event->tenant->name.data, event->tenant->name.length);
    pg_array_add(&c->metrics, row->metric.data, row->metric.length);
    add_id(c, event);
    add_id_minute(c, event, row->retracts);
    pg_array_add_dec(&c->quantities, row->quantity);
    pg_array_add_i64(&c->occurred_ms, row->occurred_ms);
    if (row->fields.length > 2) {
        pg_array_add(&c->fields, row->fields.data, row->fields.length);
        c->has_fields = true;
    } else {
        pg_array_add_null(&c->fields);
    }
    add_retracts(c, row->retracts);
    c->events++;
}

static void put_time(unsigned char out[8], int64_t unix_ms)
{
    uint64_t us = (uint64_t)clock_unix_ms_to_pg_us(unix_ms);

    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(us >> (56 - 8 * i));
}

static void bind_optional(struct pg_statement *s, struct pg_array *a, bool present)
{
    if (present)
        pg_add_array(s, a);
    else
        pg_add_text(s, NULL);
}

void slice_columns_bind(struct slice_columns *c, struct pg_statement *s, unsigned char times[16])
{
    put_time(times, c->occurred_min_ms);
    put_time(times + 8, c->occurred_max_ms);
    pg_add_binary(s, PG_TIMESTAMPTZ, times, 8);
    pg_add_binary(s, PG_TIMESTAMPTZ, times + 8, 8);
    pg_add_array(s, &c->entry_ms);
    pg_add_array(s, &c->entry_seq);
    pg_add_array(s, &c->tenants);
    pg_add_array(s, &c->metrics);
    bind_optional(s, &c->ids_uuid, c->has_uuid);
    bind_optional(s, &c->ids_text, c->has_text);
    pg_add_array(s, &c->quantities);
    pg_add_array(s, &c->occurred_ms);
    bind_optional(s, &c->fields, c->has_fields);
    bind_optional(s, &c->retracts, c->has_retracts);
    bind_optional(s, &c->id_minutes, c->minutes > 0);
}

void repeat_columns_init(struct repeat_columns *c)
{
    for (int i = 0; i < REPEAT_COLUMNS; i++)
        pg_array_init(&c->columns[i], PG_INT8);
    c->count = 0;
}

void repeat_columns_done(struct repeat_columns *c)
{
    for (int i = 0; i < REPEAT_COLUMNS; i++)
        pg_array_done(&c->columns[i]);
}

void repeat_columns_clear(struct repeat_columns *c)
{
    for (int i = 0; i < REPEAT_COLUMNS; i++)
        pg_array_clear(&c->columns[i]);
    c->count = 0;
}

void repeat_columns_add(struct repeat_columns *c, const struct event *event, int64_t content)
{
    pg_array_add_i64(&c->columns[0], (int64_t)event->ms);
    pg_array_add_i64(&c->columns[1], (int64_t)event->seq);
    pg_array_add_i64(&c->columns[2], content);
    c->count++;
}

void repeat_columns_bind(struct repeat_columns *c, struct pg_statement *s)
{
    for (int i = 0; i < REPEAT_COLUMNS; i++)
        pg_add_array(s, &c->columns[i]);
}

/* NULL: as NULL. */
static const struct pg_array *sent_array(const struct slice_columns *c, const struct pg_array *a)
{
    bool absent = (a == &c->ids_uuid && !c->has_uuid) || (a == &c->ids_text && !c->has_text) ||
                  (a == &c->fields && !c->has_fields) || (a == &c->retracts && !c->has_retracts);

    return absent ? NULL : a;
}

void slice_columns_digest(struct slice_columns *c, struct batch_digest_slice row,
                          struct batch_digest *digest)
{
    struct pg_array *arrays[SLICE_ARRAYS];

    row.events = c->events;
    row.occurred_min_us = clock_unix_ms_to_pg_us(c->occurred_min_ms);
    row.occurred_max_us = clock_unix_ms_to_pg_us(c->occurred_max_ms);
    batch_digest_add_slice(digest, &row);
    slice_arrays(c, arrays);
    for (int i = 0; i < SLICE_ARRAYS; i++)
        batch_digest_add_array(digest, sent_array(c, arrays[i]));
}

void minute_columns_init(struct minute_columns *c)
{
    static const unsigned types[MINUTE_COLUMNS] = {PG_TEXT,        PG_TEXT,    PG_TEXT,
                                                   PG_TIMESTAMPTZ, PG_INT8,    PG_NUMERIC,
                                                   PG_NUMERIC,     PG_NUMERIC, PG_TEXT};

    for (int i = 0; i < MINUTE_COLUMNS; i++)
        pg_array_init(&c->columns[i], types[i]);
}

void minute_columns_done(struct minute_columns *c)
{
    for (int i = 0; i < MINUTE_COLUMNS; i++)
        pg_array_done(&c->columns[i]);
}

/* The last value with its place, as the function last_value in the schema makes it: a text that
 * sorts by time of use, then entry. */
static void add_last(struct pg_array *a, const struct minute_sum *row)
{
    static const char DIGITS[] = "0123456789abcdef";
    const uint64_t halves[3] = {(uint64_t)row->last_occurred_ms ^ 1ULL << 63, row->last_ms,
                                row->last_seq};
    char text[48 + DEC_TEXT_SIZE];

    for (int i = 0; i < 48; i++)
        text[i] = DIGITS[halves[i / 16] >> (60 - 4 * (i % 16)) & 15];
    pg_array_add(a, text, 48 + dec_format(row->last, text + 48));
}

static void add_minute(struct pg_array *a, const struct catalog *catalog,
                       const struct minute_sum *row)
{
    pg_array_add(&a[0], row->tenant->name.data, row->tenant->name.length);
    pg_array_add_text(&a[1], catalog->metrics[row->metric].name);
    pg_array_add(&a[2], row->dims_json.data, row->dims_json.length);
    pg_array_add_time_ms(&a[3], row->minute_ms);
    pg_array_add_i64(&a[4], row->events);
    pg_array_add_dec(&a[5], row->sum);
    pg_array_add_dec(&a[6], row->min);
    pg_array_add_dec(&a[7], row->max);
    add_last(&a[8], row);
}

void minute_columns_fill(struct minute_columns *c, const struct catalog *catalog,
                         const struct minute_sums *sums, uint32_t from, uint32_t to)
{
    for (int i = 0; i < MINUTE_COLUMNS; i++)
        pg_array_clear(&c->columns[i]);
    for (uint32_t i = from; i < to; i++)
        add_minute(c->columns, catalog, &sums->rows[i]);
}

void minute_columns_bind(struct minute_columns *c, struct pg_statement *s)
{
    for (int i = 0; i < MINUTE_COLUMNS; i++)
        pg_add_array(s, &c->columns[i]);
}

void recount_columns_init(struct recount_columns *c)
{
    static const unsigned types[RECOUNT_COLUMNS] = {PG_TEXT, PG_TEXT, PG_TIMESTAMPTZ};

    for (int i = 0; i < RECOUNT_COLUMNS; i++)
        pg_array_init(&c->columns[i], types[i]);
    c->count = 0;
}

void recount_columns_done(struct recount_columns *c)
{
    for (int i = 0; i < RECOUNT_COLUMNS; i++)
        pg_array_done(&c->columns[i]);
}

void recount_columns_clear(struct recount_columns *c)
{
    for (int i = 0; i < RECOUNT_COLUMNS; i++)
        pg_array_clear(&c->columns[i]);
    c->count = 0;
}

void recount_columns_add(struct recount_columns *c, const struct raw_row *row)
{
    struct text tenant = row->event->tenant->name;

    pg_array_add(&c->columns[0], tenant.data, tenant.length);
    pg_array_add(&c->columns[1], row->metric.data, row->metric.length);
    pg_array_add_time_ms(&c->columns[2], clock_minute_of(row->occurred_ms));
    c->count++;
}

void recount_columns_bind(struct recount_columns *c, struct pg_statement *s)
{
    for (int i = 0; i < RECOUNT_COLUMNS; i++)
        pg_add_array(s, &c->columns[i]);
}
