#include "aggregator/totals.h"

#include "aggregator/columns.h"

#include <assert.h>

void totals_init(struct totals *t)
{
    static const unsigned types[TOTAL_COLUMNS] = {
        PG_TEXT, PG_TEXT, PG_TIMESTAMPTZ, PG_TIMESTAMPTZ, PG_NUMERIC, PG_INT8, PG_BYTEA};

    for (int kind = 0; kind < TOTAL_KINDS; kind++)
        for (int i = 0; i < TOTAL_COLUMNS; i++)
            pg_array_init(&t->columns[kind][i], types[i]);
}

void totals_done(struct totals *t)
{
    for (int kind = 0; kind < TOTAL_KINDS; kind++)
        for (int i = 0; i < TOTAL_COLUMNS; i++)
            pg_array_done(&t->columns[kind][i]);
}

static enum total_kind kind_of(enum aggregation aggregation)
{
    switch (aggregation) {
    case AGG_SUM:
    case AGG_COUNT:
        return TOTAL_ADD;
    case AGG_MAX:
        return TOTAL_MAX;
    case AGG_LAST:
    case AGG_UNIQUE:
        return TOTAL_LAST;
    }
    return TOTAL_LAST;
}

/* One total being summed up from neighbouring rows. */
struct growing {
    const struct tally_row *first;
    struct period period;
    struct dec quantity;
    int64_t last_occurred_ms;
    uint64_t last_ms;
    uint64_t last_seq;
};

static struct dec value_of(const struct tally_row *row, enum aggregation aggregation)
{
    switch (aggregation) {
    case AGG_SUM:
        return row->sum;
    case AGG_COUNT:
        return dec_from_i64(row->events);
    case AGG_MAX:
        return row->max;
    case AGG_LAST:
    case AGG_UNIQUE:
        return row->last;
    }
    return row->last;
}

/* By time of use, then by entry: the order in which "last" is last. */
static bool is_later(const struct tally_row *row, const struct growing *g)
{
    if (row->last_occurred_ms != g->last_occurred_ms)
        return row->last_occurred_ms > g->last_occurred_ms;
    if (row->last_ms != g->last_ms)
        return row->last_ms > g->last_ms;
    return row->last_seq >= g->last_seq;
}

static int add_row(struct growing *g, const struct tally_row *row, enum aggregation aggregation)
{
    bool later = is_later(row, g);
    struct dec value = value_of(row, aggregation);

    switch (kind_of(aggregation)) {
    case TOTAL_ADD:
        if (dec_add(g->quantity, value, &g->quantity) != 0)
            return -1;
        break;
    case TOTAL_MAX:
        if (dec_cmp(value, g->quantity) > 0)
            g->quantity = value;
        break;
    case TOTAL_LAST:
        if (later)
            g->quantity = value;
        break;
    case TOTAL_KINDS:
        break;
    }
    if (later) {
        g->last_occurred_ms = row->last_occurred_ms;
        g->last_ms = row->last_ms;
        g->last_seq = row->last_seq;
    }
    return 0;
}

static void start_total(struct growing *g, const struct tally_row *row, struct period period,
                        enum aggregation aggregation)
{
    *g = (struct growing){.first = row,
                          .period = period,
                          .quantity = value_of(row, aggregation),
                          .last_occurred_ms = row->last_occurred_ms,
                          .last_ms = row->last_ms,
                          .last_seq = row->last_seq};
}

static void put_total(struct totals *t, const struct catalog *catalog, const struct growing *g)
{
    const struct metric_def *metric = &catalog->metrics[g->first->metric];
    struct pg_array *a = t->columns[kind_of(metric->aggregation)];
    unsigned char key[16];

    entry_key(g->last_ms, g->last_seq, key);
    pg_array_add(&a[0], g->first->tenant->name.data, g->first->tenant->name.length);
    pg_array_add_text(&a[1], metric->name);
    pg_array_add_time_ms(&a[2], g->period.start_ms);
    pg_array_add_time_ms(&a[3], g->period.end_ms);
    pg_array_add_dec(&a[4], g->quantity);
    pg_array_add_i64(&a[5], g->last_occurred_ms);
    pg_array_add(&a[6], key, sizeof key);
}

static bool continues(const struct growing *g, const struct tally_row *row)
{
    return g->first != NULL && g->first->tenant == row->tenant && g->first->metric == row->metric &&
           g->period.start_ms <= row->minute_ms && row->minute_ms < g->period.end_ms;
}

int totals_fill(struct totals *t, const struct catalog *catalog, const struct tally *tally,
                const struct periods *periods, struct err *e)
{
    struct growing g = {.first = NULL};

    for (int kind = 0; kind < TOTAL_KINDS; kind++)
        for (int i = 0; i < TOTAL_COLUMNS; i++)
            pg_array_clear(&t->columns[kind][i]);
    for (uint32_t i = 0; i < tally->count; i++) {
        const struct tally_row *row = &tally->rows[i];
        enum aggregation aggregation = catalog->metrics[row->metric].aggregation;
        struct period period;

        if (continues(&g, row)) {
            if (add_row(&g, row, aggregation) != 0)
                return err_set(e, ERR_RANGE, "a total passes 38 digits");
            continue;
        }
        if (g.first != NULL)
            put_total(t, catalog, &g);
        assert(periods_find(periods, row->tenant->name, row->minute_ms, &period));
        start_total(&g, row, period, aggregation);
    }
    if (g.first != NULL)
        put_total(t, catalog, &g);
    return 0;
}

int totals_count(const struct totals *t, enum total_kind kind)
{
    return t->columns[kind][0].count;
}

void totals_bind(struct totals *t, enum total_kind kind, struct pg_statement *s)
{
    for (int i = 0; i < TOTAL_COLUMNS; i++)
        pg_add_array(s, &t->columns[kind][i]);
}
