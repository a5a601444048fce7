/* What a batch is judged by: versions, catalog, billing periods. */
#include "aggregator/ledger.h"

#include "aggregator/sql.h"
#include "common/clock.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { PERIODS_MAX = 500000 };

static struct text text_at(const PGresult *r, int row, int column)
{
    return (struct text){.data = PQgetvalue(r, row, column),
                         .length = (uint32_t)PQgetlength(r, row, column)};
}

static void forget_changed(struct ledger *l, const PGresult *changes)
{
    for (int i = 0; i < PQntuples(changes); i++)
        periods_forget(l->periods, text_at(changes, i, 0));
    if (periods_count(l->periods) > PERIODS_MAX)
        periods_forget_all(l->periods);
}

/* Batches leave the window by the database's clock, whatever ours says. */
static void take_time(struct ledger *l, int64_t now_ms)
{
    l->now_ms = now_ms > l->stored.committed_ms ? now_ms : l->stored.committed_ms;
}

static void take_state(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;

    (void)n;
    if (error == NULL) {
        const PGresult *r = results[0];

        l->catalog_newest = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
        l->periods_version = strtoll(PQgetvalue(r, 0, 1), NULL, 10);
        l->shards = strtoll(PQgetvalue(r, 0, 2), NULL, 10);
        l->next_batch = strtoll(PQgetvalue(r, 0, 3), NULL, 10);
        take_time(l, strtoll(PQgetvalue(r, 0, 4), NULL, 10));
        forget_changed(l, results[1]);
    }
    ledger_finish(l, error);
}

/* The version is read before the changes: a change in between is seen twice, never missed. */
void ledger_read_state(struct ledger *l, ledger_done_fn done, void *owner)
{
    struct pg_statement s[2];
    char version[32];

    ledger_start(l, done, owner, NULL);
    snprintf(version, sizeof version, "%lld", (long long)l->periods_version);
    pg_statement_init(&s[0], SQL_READ_STATE);
    pg_statement_init(&s[1], SQL_READ_PERIOD_CHANGES);
    pg_add_text(&s[1], version);
    pg_run(l->pg, s, 2, LEDGER_DEADLINE_MS, take_state, l);
}

/* A JSON list of names into malloc'd pointers that borrow from json. */
static char **names_of(const json_t *json, int *count)
{
    char **names = xcalloc(json_array_size(json) + 1, sizeof *names);

    *count = (int)json_array_size(json);
    for (int i = 0; i < *count; i++)
        names[i] = (char *)(uintptr_t)json_string_value(json_array_get(json, (size_t)i));
    return names;
}

static struct catalog_filter *filters_of(json_t *json, int *count)
{
    struct catalog_filter *filters = xcalloc(json_object_size(json) + 1, sizeof *filters);
    const char *name;
    json_t *value;

    *count = 0;
    json_object_foreach(json, name, value)
    {
        filters[*count].name = (char *)(uintptr_t)name;
        filters[(*count)++].value = (char *)(uintptr_t)json_string_value(value);
    }
    return filters;
}

static int add_metric(struct catalog *c, const PGresult *r, int row, struct err *e)
{
    json_t *dimensions = json_loads(PQgetvalue(r, row, 3), 0, NULL);
    json_t *where = json_loads(PQgetvalue(r, row, 5), 0, NULL);
    struct metric_def def = {.carry = *PQgetvalue(r, row, 2) == 't'};
    int added = -1;

    snprintf(def.name, sizeof def.name, "%s", PQgetvalue(r, row, 0));
    def.from = PQgetisnull(r, row, 4) ? NULL : PQgetvalue(r, row, 4);
    def.dimensions = names_of(dimensions, &def.dimensions_count);
    def.where = filters_of(where, &def.where_count);
    if (aggregation_parse(PQgetvalue(r, row, 1), &def.aggregation) != 0)
        err_set(e, ERR_SCHEMA, "metric %s: unknown aggregation", def.name);
    else
        added = catalog_add(c, &def, e);
    free(def.dimensions);
    free(def.where);
    json_decref(dimensions);
    json_decref(where);
    return added < 0 ? -1 : 0;
}

static struct catalog *read_metrics(const PGresult *r, struct err *e)
{
    struct catalog *c = catalog_new();
    int failed = 0;

    for (int row = 0; row < PQntuples(r) && !failed; row++)
        failed = add_metric(c, r, row, e);
    if (failed || catalog_link(c, e) != 0) {
        catalog_free(c);
        return NULL;
    }
    return c;
}

static void take_catalog(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    struct catalog *fresh = NULL;
    struct err e;

    (void)n;
    if (error == NULL && (fresh = read_metrics(results[0], &e)) == NULL) {
        err_wrap(&e, "read the catalog");
        error = &e;
    }
    if (fresh != NULL) {
        catalog_free(l->catalog);
        l->catalog = fresh;
        l->catalog_version = l->catalog_newest;
    }
    ledger_finish(l, error);
}

void ledger_read_catalog(struct ledger *l, ledger_done_fn done, void *owner)
{
    struct pg_statement s;

    ledger_start(l, done, owner, NULL);
    pg_statement_init(&s, SQL_READ_CATALOG);
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_catalog, l);
}

/* Minutes whose period is unknown, each tenant's first one: the answer may cover the next ones, and
 * what it does not cover is asked for in another round. */
static void collect_unknown(struct ledger *l, const struct batch *b)
{
    const struct tenant_ref *asked = NULL;
    struct period known;

    pg_array_done(&l->arrays[0]);
    pg_array_done(&l->arrays[1]);
    pg_array_init(&l->arrays[0], PG_TEXT);
    pg_array_init(&l->arrays[1], PG_TIMESTAMPTZ);
    for (uint32_t i = 0; i < b->tally.count; i++) {
        const struct tally_row *row = &b->tally.rows[i];

        if (row->tenant == asked ||
            periods_find(l->periods, row->tenant->name, row->minute_ms, &known))
            continue;
        asked = row->tenant;
        pg_array_add(&l->arrays[0], row->tenant->name.data, row->tenant->name.length);
        pg_array_add_time_ms(&l->arrays[1], row->minute_ms);
    }
}

bool ledger_must_read_periods(const struct ledger *l, const struct batch *b)
{
    struct period known;

    for (uint32_t i = 0; i < b->tally.count; i++)
        if (!periods_find(l->periods, b->tally.rows[i].tenant->name, b->tally.rows[i].minute_ms,
                          &known))
            return true;
    return false;
}

static void take_periods(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    struct pg_array_reader reader;
    const unsigned char *tenant;
    size_t length;

    (void)n;
    if (error == NULL &&
        pg_array_read(&reader, l->arrays[0].bytes.data, l->arrays[0].bytes.length) == 0) {
        for (int row = 0; pg_array_next(&reader, &tenant, &length); row++) {
            struct period period = {.start_ms = pg_get_time_ms(results[0], row, 0),
                                    .end_ms = pg_get_time_ms(results[0], row, 1)};

            periods_add(l->periods,
                        (struct text){.data = (const char *)tenant, .length = (uint32_t)length},
                        period);
        }
    }
    ledger_finish(l, error);
}

void ledger_read_periods(struct ledger *l, struct batch *b, ledger_done_fn done, void *owner)
{
    struct pg_statement s;

    ledger_start(l, done, owner, b);
    collect_unknown(l, b);
    pg_statement_init(&s, SQL_READ_PERIODS);
    pg_add_array(&s, &l->arrays[0]);
    pg_add_array(&s, &l->arrays[1]);
    s.binary_result = true;
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_periods, l);
}
