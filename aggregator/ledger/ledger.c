#include "aggregator/ledger/ledger.h"

#include "aggregator/sql.h"
#include "common/contract.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

void ledger_init(struct ledger *l, struct pg *pg, const char *stream, const char *owner)
{
    *l = (struct ledger){.pg = pg, .stream = stream, .owner = owner, .catalog_version = -1};
}

void ledger_done(struct ledger *l)
{
    columns_done(&l->params);
    columns_done(&l->minutes);
    catalog_free(l->catalog);
    buf_done(&l->ended_tokens);
}

void ledger_start(struct ledger *l, ledger_done_fn done, void *owner, void *work)
{
    assert(!l->done);
    l->done = done;
    l->done_owner = owner;
    l->work = work;
}

/* Half a transaction must never see its Sync: it would be committed. */
void ledger_forget_batch(struct ledger *l)
{
    l->work = NULL;
    if (l->giving)
        pg_reset(l->pg);
    l->giving = false;
}

void ledger_finish(struct ledger *l, const struct err *error)
{
    ledger_done_fn done = l->done;
    struct err copy;
    /* The callback may start the next call, which may overwrite what error points at. */
    if (error) {
        copy = *error;
        if (strcmp(copy.sqlstate, SQLSTATE_FENCED) == 0)
            copy.kind = ERR_FENCED;
        error = &copy;
    }
    l->done = NULL;
    l->giving = false;
    done(l->done_owner, error);
}

/* What a batch is judged by: versions and the catalog. */

static int64_t read_optional_ms(const PGresult *r, int column)
{
    return PQgetisnull(r, 0, column) ? INT64_MIN : strtoll(PQgetvalue(r, 0, column), NULL, 10);
}

static void take_state(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    (void)n;
    if (!error) {
        const PGresult *r = results[0];
        l->catalog_newest = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
        l->shards = strtoll(PQgetvalue(r, 0, 1), NULL, 10);
        l->next_batch = strtoll(PQgetvalue(r, 0, 2), NULL, 10);
        /* Batches leave the window by the database's clock, which must not go back for us. */
        int64_t now_ms = strtoll(PQgetvalue(r, 0, 3), NULL, 10);
        l->now_ms = now_ms > l->stored.committed_ms ? now_ms : l->stored.committed_ms;
        l->dropped_until_ms = read_optional_ms(r, 4);
        l->resharded_ms = strtoll(PQgetvalue(r, 0, 5), NULL, 10);
        l->rejects_dropped_until_ms = read_optional_ms(r, 6);
    }
    ledger_finish(l, error);
}

void ledger_read_state(struct ledger *l, ledger_done_fn done, void *owner)
{
    ledger_start(l, done, owner, NULL);
    struct pg_statement s;
    pg_statement_init(&s, SQL_READ_STATE);
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_state, l);
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
    *count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(json, name, value)
    {
        filters[*count].name = (char *)(uintptr_t)name;
        filters[(*count)++].value = (char *)(uintptr_t)json_string_value(value);
    }
    return filters;
}

static int add_metric(struct catalog *c, const PGresult *r, int row, struct err *e)
{
    json_t *dimensions = json_loads(PQgetvalue(r, row, 4), 0, NULL);
    json_t *where = json_loads(PQgetvalue(r, row, 6), 0, NULL);
    struct metric_def def = {.carry = *PQgetvalue(r, row, 3) == 't'};
    int added = -1;
    snprintf(def.name, sizeof def.name, "%s", PQgetvalue(r, row, 1));
    def.from = PQgetisnull(r, row, 5) ? NULL : PQgetvalue(r, row, 5);
    def.dimensions = names_of(dimensions, &def.dimensions_count);
    def.where = filters_of(where, &def.where_count);
    if (aggregation_parse(PQgetvalue(r, row, 2), &def.aggregation) != 0)
        err_set(e, ERR_SCHEMA, "metric %s: unknown aggregation", def.name);
    else
        added = catalog_add(c, &def, e);
    free(def.dimensions);
    free(def.where);
    json_decref(dimensions);
    json_decref(where);
    return added < 0 ? -1 : 0;
}

static int64_t whole_of(const json_t *backfill, const char *name)
{
    return json_integer_value(json_object_get(backfill, name));
}

static void add_backfills(struct catalog *c, const char *text)
{
    json_t *list = json_loads(text, 0, NULL);
    size_t i;
    json_t *b;
    json_array_foreach(list, i, b)
    {
        struct catalog_backfill backfill = {
            .id = (char *)(uintptr_t)json_string_value(json_object_get(b, "id")),
            .tenant = (char *)(uintptr_t)json_string_value(json_object_get(b, "tenant")),
            .from_ms = whole_of(b, "from_ms"),
            .until_ms = whole_of(b, "until_ms"),
            .ends_ms = whole_of(b, "ends_ms")};
        catalog_add_backfill(c, &backfill);
    }
    json_decref(list);
}

static struct catalog *read_metrics(const PGresult *r, struct err *e)
{
    struct catalog *c = catalog_new();
    int failed = 0;
    /* Without any metric there is one row of NULLs. */
    for (int row = PQgetisnull(r, 0, 1) ? 1 : 0; row < PQntuples(r) && !failed; row++)
        failed = add_metric(c, r, row, e);
    if (failed || catalog_link(c, e) != 0) {
        catalog_free(c);
        return NULL;
    }
    if (!PQgetisnull(r, 0, 7))
        add_backfills(c, PQgetvalue(r, 0, 7));
    return c;
}

static void take_catalog(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    struct catalog *fresh = NULL;
    (void)n;
    struct err e;
    if (!error && !(fresh = read_metrics(results[0], &e))) {
        err_wrap(&e, "read the catalog");
        error = &e;
    }
    if (fresh) {
        catalog_free(l->catalog);
        l->catalog = fresh;
        l->catalog_version = l->catalog_newest = strtoll(PQgetvalue(results[0], 0, 0), NULL, 10);
    }
    ledger_finish(l, error);
}

void ledger_read_catalog(struct ledger *l, ledger_done_fn done, void *owner)
{
    ledger_start(l, done, owner, NULL);
    struct pg_statement s;
    pg_statement_init(&s, SQL_READ_CATALOG);
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_catalog, l);
}
