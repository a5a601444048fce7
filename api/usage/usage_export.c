/* Usage by the minute as CSV, of any size: a page at a time, and the next one when the client has
 * taken the last. Each page is a statement of its own, which begins behind the row before, so that
 * a slow client holds neither a connection nor a transaction. */
#include "api/request.h"
#include "api/sql.h"
#include "api/usage/usage_handlers.h"
#include "common/clock.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_ROWS = 2000, NUMBER_SIZE = 24 };

static const char HEADER[] = "tenant,metric,minute,events,sum,min,max,last,dimensions\n";

const struct api_param EXPORT_PARAMS[] = {
    {.place = API_QUERY,
     .name = "from",
     .type = API_TIME,
     .required = true,
     .what = "first minute"},
    {.place = API_QUERY,
     .name = "to",
     .type = API_TIME,
     .required = true,
     .what = "behind the last minute"},
    {.place = API_QUERY, .name = "metric", .type = API_NAME, .what = "only of this metric"},
    API_PARAMS_END};

struct export
{
    char *metric; /* of the row before; NULL: this is the first page */
    char *minute_at;
    char *dimensions;
    bool has_begun;
    bool is_asking;
    bool is_gone; /* the client */
};

static void export_free(void *state)
{
    struct export *x = state;
    free(x->metric);
    free(x->minute_at);
    free(x->dimensions);
    free(x);
}

static void keep(char **place, const PGresult *result, int row, int column)
{
    free(*place);
    *place = xstrdup(PQgetvalue(result, row, column));
}

static void on_wanted(void *owner);

static void on_gone(void *owner)
{
    struct api_request *r = owner;
    struct export *x = r->state;
    x->is_gone = true;
    if (!x->is_asking)
        api_stream_gone(r);
}

static bool begin(struct api_request *r)
{
    struct export *x = r->state;
    api_header(r, "Content-Disposition", "attachment; filename=\"usage.csv\"");
    x->has_begun = true;
    if (api_stream_begin(
            r, (struct http_pieces){.on_wanted = on_wanted, .on_gone = on_gone, .owner = r})) {
        api_stream_gone(r);
        return false;
    }
    api_stream_write(r, HEADER, sizeof HEADER - 1);
    return true;
}

/* The first page may still be answered by an error; a later one can only be cut. */
static void take_page(void *owner, const struct err *error, PGresult **results, int n)
{
    struct api_request *r = owner;
    struct export *x = r->state;
    struct buf text = {0};
    (void)n;
    x->is_asking = false;
    if (x->is_gone) {
        api_stream_gone(r);
    } else if (error && !x->has_begun) {
        api_fail_err(r, error);
    } else if (error) {
        api_stream_end(r, false);
    } else if (x->has_begun || begin(r)) {
        int rows = PQntuples(results[0]);
        for (int i = 0; i < rows; i++)
            buf_add(&text, PQgetvalue(results[0], i, 0), (size_t)PQgetlength(results[0], i, 0));
        if (rows > 0) {
            api_stream_write(r, text.data, text.length);
            keep(&x->metric, results[0], rows - 1, 1);
            keep(&x->minute_at, results[0], rows - 1, 2);
            keep(&x->dimensions, results[0], rows - 1, 3);
        }
        if (rows < PAGE_ROWS)
            api_stream_end(r, true);
    }
    buf_done(&text);
}

static void ask(struct api_request *r)
{
    struct export *x = r->state;
    char rows[NUMBER_SIZE];
    struct pg_statement s;
    x->is_asking = true;
    snprintf(rows, sizeof rows, "%d", PAGE_ROWS);
    pg_statement_init(&s, SQL_EXPORT_USAGE);
    pg_add_text(&s, r->tenant);
    pg_add_text(&s, api_text(r, "from"));
    pg_add_text(&s, api_text(r, "to"));
    pg_add_text(&s, api_text(r, "metric"));
    pg_add_text(&s, x->metric);
    pg_add_text(&s, x->minute_at);
    pg_add_text(&s, x->dimensions);
    pg_add_text(&s, rows);
    pg_pool_run(r->context->pool, &s, 1, API_DEADLINE_MS, take_page, r);
}

static void on_wanted(void *owner)
{
    struct api_request *r = owner;
    struct export *x = r->state;
    if (!x->is_asking)
        ask(r);
}

void usage_export(struct api_request *r)
{
    r->state = xcalloc(1, sizeof(struct export));
    r->release = export_free;
    ask(r);
}
