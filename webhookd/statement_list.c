#include "webhookd/statement_list.h"

#include "common/str.h"

#include <assert.h>
#include <stdlib.h>

void statement_list_add(struct statement_list *l, const char *sql)
{
    assert(l->n < STATEMENTS_MAX);
    pg_statement_init(&l->statements[l->n++], sql);
}

void param_text(struct statement_list *l, const char *text)
{
    assert(l->n > 0);
    pg_add_text(&l->statements[l->n - 1], text);
}

static void own_text(struct statement_list *l, char *text)
{
    assert(l->texts_n < STATEMENT_TEXTS_MAX);
    l->texts[l->texts_n++] = text;
    param_text(l, text);
}

void param_i64(struct statement_list *l, int64_t value)
{
    own_text(l, xasprintf("%lld", (long long)value));
}

void param_i64_or_null(struct statement_list *l, int64_t value)
{
    if (value)
        param_i64(l, value);
    else
        param_text(l, NULL);
}

void param_bool(struct statement_list *l, bool value)
{
    param_text(l, value ? "true" : "false");
}

void param_json(struct statement_list *l, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    assert(text);
    own_text(l, text);
}

void statement_list_run(struct statement_list *l, struct pg *pg, uint64_t deadline_ms,
                        pg_done_fn done, void *owner)
{
    pg_run(pg, l->statements, l->n, deadline_ms, done, owner);
    for (int i = 0; i < l->texts_n; i++)
        free(l->texts[i]);
    l->n = l->texts_n = 0;
}

int64_t result_i64(const PGresult *r, int row, int column)
{
    int64_t value = 0;
    if (PQgetisnull(r, row, column))
        return 0;
    int failed =
        str_to_i64(PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column), &value);
    assert(!failed);
    return value;
}

const char *result_text(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? NULL : PQgetvalue(r, row, column);
}
