#include "webhookd/statement_list.h"

#include "common/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void script_add(struct script *s, const char *sql)
{
    assert(s->n < SCRIPT_MAX);
    pg_statement_init(&s->list[s->n++], sql);
}

void script_text(struct script *s, const char *text)
{
    assert(s->n > 0);
    pg_add_text(&s->list[s->n - 1], text);
}

static void add_own(struct script *s, char *text)
{
    assert(s->texts_n < SCRIPT_MAX_TEXTS);
    s->texts[s->texts_n++] = text;
    script_text(s, text);
}

void script_i64(struct script *s, int64_t value)
{
    add_own(s, xasprintf("%lld", (long long)value));
}

void script_i64_or_null(struct script *s, int64_t value)
{
    if (value)
        script_i64(s, value);
    else
        script_text(s, NULL);
}

void script_bool(struct script *s, bool value)
{
    script_text(s, value ? "true" : "false");
}

void script_json(struct script *s, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    assert(text);
    add_own(s, text);
}

static void script_clear(struct script *s)
{
    for (int i = 0; i < s->texts_n; i++)
        free(s->texts[i]);
    s->n = s->texts_n = 0;
}

void script_run(struct script *s, struct pg *pg, uint64_t deadline_ms, pg_done_fn done, void *owner)
{
    pg_run(pg, s->list, s->n, deadline_ms, done, owner);
    script_clear(s);
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
