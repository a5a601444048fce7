#include "aggregator/ledger/columns.h"

#include "aggregator/batch/batch.h"
#include "aggregator/batch/event_id.h"
#include "aggregator/batch/reject.h"
#include "common/clock.h"

enum { WORTH_A_THREAD = 2000 }; /* events: a quarter of a millisecond */

void slice_columns_init(struct slice_columns *c)
{
    static const unsigned TYPES[SLICE_ARRAYS] = {
        [SLICE_ENTRY_MS] = PG_INT8,      [SLICE_ENTRY_SEQ] = PG_INT8,   [SLICE_TENANTS] = PG_TEXT,
        [SLICE_METRICS] = PG_TEXT,       [SLICE_IDS_UUID] = PG_UUID,    [SLICE_IDS_TEXT] = PG_TEXT,
        [SLICE_QUANTITIES] = PG_NUMERIC, [SLICE_OCCURRED_MS] = PG_INT8, [SLICE_FIELDS] = PG_TEXT,
        [SLICE_RETRACTS] = PG_INT2,      [SLICE_ID_MINUTES] = PG_INT4};
    *c = (struct slice_columns){.events = 0};
    for (int i = 0; i < SLICE_ARRAYS; i++)
        pg_array_init(&c->arrays[i], TYPES[i]);
    slice_columns_clear(c);
}

void slice_columns_done(struct slice_columns *c)
{
    for (int i = 0; i < SLICE_ARRAYS; i++)
        pg_array_done(&c->arrays[i]);
}

void slice_columns_clear(struct slice_columns *c)
{
    for (int i = 0; i < SLICE_ARRAYS; i++) {
        pg_array_clear(&c->arrays[i]);
        c->has[i] = true;
    }
    c->has[SLICE_IDS_UUID] = c->has[SLICE_IDS_TEXT] = c->has[SLICE_FIELDS] = false;
    c->has[SLICE_RETRACTS] = c->has[SLICE_ID_MINUTES] = false;
    c->events = c->minutes = 0;
}

/* A retraction's id is always given, in one of two ways. */
static void add_id(struct slice_columns *c, const struct event *event)
{
    unsigned char uuid[16];
    if (!event->has_id) {
        pg_array_add_null(&c->arrays[SLICE_IDS_UUID]);
        pg_array_add_null(&c->arrays[SLICE_IDS_TEXT]);
    } else if (uuid_parse(event->id.data, event->id.length, uuid) == 0) {
        pg_array_add(&c->arrays[SLICE_IDS_UUID], uuid, sizeof uuid);
        pg_array_add_null(&c->arrays[SLICE_IDS_TEXT]);
        c->has[SLICE_IDS_UUID] = true;
    } else {
        pg_array_add_null(&c->arrays[SLICE_IDS_UUID]);
        pg_array_add(&c->arrays[SLICE_IDS_TEXT], event->id.data, event->id.length);
        c->has[SLICE_IDS_TEXT] = true;
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
    c->has[SLICE_ID_MINUTES] = true;
    c->minutes_seen[c->minutes++ % SEEN] = minute;
    pg_array_add_i32(&c->arrays[SLICE_ID_MINUTES], minute);
}

static void add_retracts(struct slice_columns *c, int16_t retracts)
{
    if (retracts != RETRACTS_NOTHING && !c->has[SLICE_RETRACTS]) {
        c->has[SLICE_RETRACTS] = true;
        for (uint32_t i = 0; i < c->events; i++)
            pg_array_add_null(&c->arrays[SLICE_RETRACTS]);
    }
    if (retracts != RETRACTS_NOTHING)
        pg_array_add_i16(&c->arrays[SLICE_RETRACTS], retracts);
    else if (c->has[SLICE_RETRACTS])
        pg_array_add_null(&c->arrays[SLICE_RETRACTS]);
}

void slice_columns_add(struct slice_columns *c, const struct raw_row *row)
{
    const struct event *event = row->event;
    if (c->events == 0 || row->occurred_ms < c->occurred_min_ms)
        c->occurred_min_ms = row->occurred_ms;
    if (c->events == 0 || row->occurred_ms > c->occurred_max_ms)
        c->occurred_max_ms = row->occurred_ms;
    pg_array_add_i64(&c->arrays[SLICE_ENTRY_MS], (int64_t)event->ms);
    pg_array_add_i64(&c->arrays[SLICE_ENTRY_SEQ], (int64_t)event->seq);
    pg_array_add(&c->arrays[SLICE_TENANTS], event->tenant->name.data, event->tenant->name.length);
    pg_array_add(&c->arrays[SLICE_METRICS], row->metric.data, row->metric.length);
    add_id(c, event);
    add_id_minute(c, event, row->retracts);
    pg_array_add_dec(&c->arrays[SLICE_QUANTITIES], row->quantity);
    pg_array_add_i64(&c->arrays[SLICE_OCCURRED_MS], row->occurred_ms);
    if (row->fields.length > 2) {
        pg_array_add(&c->arrays[SLICE_FIELDS], row->fields.data, row->fields.length);
        c->has[SLICE_FIELDS] = true;
    } else {
        pg_array_add_null(&c->arrays[SLICE_FIELDS]);
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

void slice_columns_bind(struct slice_columns *c, struct pg_statement *s, unsigned char times[16])
{
    put_time(times, c->occurred_min_ms);
    put_time(times + 8, c->occurred_max_ms);
    pg_add_binary(s, PG_TIMESTAMPTZ, times, 8);
    pg_add_binary(s, PG_TIMESTAMPTZ, times + 8, 8);
    for (int i = 0; i < SLICE_ARRAYS; i++)
        if (c->has[i])
            pg_add_array(s, &c->arrays[i]);
        else
            pg_add_text(s, NULL);
}

static void digest_slice(const struct slice_columns *c, struct batch_digest_slice row,
                         struct batch_digest *digest)
{
    row.events = c->events;
    row.occurred_min_us = clock_unix_ms_to_pg_us(c->occurred_min_ms);
    row.occurred_max_us = clock_unix_ms_to_pg_us(c->occurred_max_ms);
    batch_digest_add_slice(digest, &row);
    for (int i = 0; i < SLICE_DIGESTED; i++)
        batch_digest_add_array(digest, c->has[i] ? &c->arrays[i] : NULL);
}

static void *make_digest(void *owner)
{
    struct slices_digest *d = owner;
    struct batch_digest digest;
    batch_digest_init(&digest);
    for (uint32_t i = 0; i < SLICES; i++) {
        d->row.slice = i;
        if (d->slices[i].events > 0)
            digest_slice(&d->slices[i], d->row, &digest);
    }
    batch_digest_final(&digest, d->digest);
    return NULL;
}

void slices_digest_begin(struct slices_digest *d, const struct slice_columns *slices,
                         const struct batch_digest_slice *row)
{
    uint64_t events = 0;
    *d = (struct slices_digest){.slices = slices, .row = *row};
    for (int i = 0; i < SLICES; i++)
        events += slices[i].events;
    d->has_thread =
        events >= WORTH_A_THREAD && pthread_create(&d->thread, NULL, make_digest, d) == 0;
    if (!d->has_thread)
        make_digest(d);
}

void slices_digest_end(struct slices_digest *d)
{
    if (d->has_thread)
        pthread_join(d->thread, NULL);
    d->has_thread = false;
}

void columns_init(struct columns *c, const unsigned *types, int width)
{
    columns_done(c);
    *c = (struct columns){.width = width};
    for (int i = 0; i < width; i++)
        pg_array_init(&c->arrays[i], types[i]);
}

void columns_done(struct columns *c)
{
    for (int i = 0; i < c->width; i++)
        pg_array_done(&c->arrays[i]);
}

void columns_clear(struct columns *c)
{
    for (int i = 0; i < c->width; i++)
        pg_array_clear(&c->arrays[i]);
    c->count = 0;
}

void columns_bind(struct columns *c, struct pg_statement *s)
{
    for (int i = 0; i < c->width; i++)
        pg_add_array(s, &c->arrays[i]);
}

void repeat_columns_init(struct columns *c)
{
    columns_init(c, (const unsigned[]){PG_INT8, PG_INT8, PG_INT8}, 3);
}

void repeat_columns_add(struct columns *c, const struct event *event, int64_t content)
{
    pg_array_add_i64(&c->arrays[0], (int64_t)event->ms);
    pg_array_add_i64(&c->arrays[1], (int64_t)event->seq);
    pg_array_add_i64(&c->arrays[2], content);
    c->count++;
}

void recount_columns_init(struct columns *c)
{
    columns_init(c, (const unsigned[]){PG_TEXT, PG_TEXT, PG_TIMESTAMPTZ}, 3);
}

void recount_columns_add(struct columns *c, const struct raw_row *row)
{
    struct text tenant = row->event->tenant->name;
    pg_array_add(&c->arrays[0], tenant.data, tenant.length);
    pg_array_add(&c->arrays[1], row->metric.data, row->metric.length);
    pg_array_add_time_ms(&c->arrays[2], clock_minute_of(row->occurred_ms));
    c->count++;
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

void minute_columns_fill(struct columns *c, const struct catalog *catalog,
                         const struct minute_sums *sums, uint32_t from, uint32_t to)
{
    static const unsigned TYPES[] = {PG_TEXT,    PG_TEXT,    PG_TEXT,    PG_TIMESTAMPTZ, PG_INT8,
                                     PG_NUMERIC, PG_NUMERIC, PG_NUMERIC, PG_TEXT};
    if (c->width == 0)
        columns_init(c, TYPES, sizeof TYPES / sizeof *TYPES);
    columns_clear(c);
    for (uint32_t i = from; i < to; i++)
        add_minute(c->arrays, catalog, &sums->rows[i]);
}

static void add_rejection(struct pg_array *a, const struct batch *b, const struct rejection *r,
                          struct buf *fields)
{
    char id[ENTRY_ID_TEXT_SIZE];
    entry_id_format(entries_id(b->entries, r->entry), id);
    pg_array_add_text(&a[0], id);
    if (r->tenant.length > 0)
        pg_array_add(&a[1], r->tenant.data, r->tenant.length);
    else
        pg_array_add_null(&a[1]);
    pg_array_add_text(&a[2], r->reason);
    pg_array_add_text(&a[3], r->detail);
    buf_clear(fields);
    reject_fields_json(b->entries, r->entry, fields);
    pg_array_add(&a[4], fields->data, fields->length);
    pg_array_add_i64(&a[5], entry_content(b->entries, r->entry));
}

void reject_columns_fill(struct columns *c, const struct batch *b)
{
    struct buf fields = {.data = NULL};
    columns_init(c, (const unsigned[]){PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8}, 6);
    for (uint32_t i = 0; i < b->rejections_count; i++)
        add_rejection(c->arrays, b, &b->rejections[i], &fields);
    buf_done(&fields);
}
