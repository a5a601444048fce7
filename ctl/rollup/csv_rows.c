#include "ctl/rollup/csv_rows.h"

#include "common/str.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <assert.h>

#define COLUMNS(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

const struct csv_table CSV_ROLLUPS[] = {
    {"arr",
     COLUMNS("at", "split_by", "part", "currency", "arr_minor", "mrr_minor", "customers",
             "customers_won", "customers_lost", "logo_churn_percent", "gross_churn_percent",
             "net_churn_percent", "net_retention_percent"),
     SQL_LIST_ARR},
    {"mrr",
     COLUMNS("at", "split_by", "part", "currency", "mrr_minor", "customers", "arpu_minor",
             "new_minor", "reactivation_minor", "expansion_minor", "contraction_minor",
             "churn_minor", "fx_minor", "customers_won", "customers_lost",
             "unpriced_subscriptions"),
     SQL_LIST_MRR},
    {"activation",
     COLUMNS("cohort", "place", "step", "tenants", "percent_of_first", "percent_of_previous",
             "median_hours"),
     SQL_LIST_ACTIVATION},
    {"roi",
     COLUMNS("month", "tenant", "metric", "quantity", "cost_minor", "currency", "hours_saved"),
     SQL_LIST_ROI},
    {NULL, NULL, NULL}};

struct writing {
    int columns;
    struct buf line;
    csv_write_fn write;
    void *owner;
    int64_t rows;
    struct err *e;
    int failed;
};

static void write_line(struct writing *w, const char *const *values)
{
    buf_clear(&w->line);
    report_add_csv(&w->line, w->columns, values);
    w->failed = w->write(w->owner, w->line.data, w->line.length, w->e);
}

static void write_row(void *owner, const PGresult *row)
{
    struct writing *w = owner;
    const char *values[CSV_MOST_COLUMNS];
    if (w->failed)
        return;
    assert(PQnfields(row) == w->columns);
    for (int i = 0; i < w->columns; i++)
        values[i] = db_text(row, 0, i) ? db_text(row, 0, i) : "";
    write_line(w, values);
    w->rows++;
}

int csv_write_rows(PGconn *conn, const struct csv_table *table, int n, const char *const *values,
                   csv_write_fn write, void *owner, int64_t *rows, struct err *e)
{
    struct err reading;
    struct writing w = {.write = write, .owner = owner, .e = e};
    while (table->columns[w.columns])
        w.columns++;
    assert(w.columns <= CSV_MOST_COLUMNS);
    write_line(&w, table->columns);
    if (!w.failed && db_each(conn, table->sql, n, values, DB_TEXT, write_row, &w, &reading) &&
        !w.failed) {
        *e = reading;
        w.failed = -1;
    }
    buf_done(&w.line);
    *rows = w.rows;
    return w.failed;
}
