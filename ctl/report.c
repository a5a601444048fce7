/* Findings as lines of name=value. */
#include "ctl/report.h"

#include "common/pg.h"
#include "common/str.h"
#include "ctl/db.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_whole(const PGresult *result, int column)
{
    Oid type = PQftype(result, column);

    return type == PG_INT8 || type == PG_INT4 || type == PG_INT2;
}

static json_t *finding_of(const PGresult *result, int row)
{
    json_t *finding = json_object();

    for (int i = 0; i < PQnfields(result); i++) {
        const char *text = db_text(result, row, i);
        if (text && is_whole(result, i))
            json_object_set_new(finding, PQfname(result, i), json_integer(db_i64(result, row, i)));
        else if (text)
            json_object_set_new(finding, PQfname(result, i), json_string(text));
    }
    return finding;
}

void report_add_rows(json_t *list, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++)
        json_array_append_new(list, finding_of(result, row));
}

/* As in the log: bare if it is one plain word, else as a JSON string. */
static void add_value(struct buf *line, const json_t *value)
{
    const char *text = json_string_value(value);

    if (!text)
        buf_printf(line, "%lld", (long long)json_integer_value(value));
    else if (*text && !strpbrk(text, " \"=\\") && !str_has_control(text, strlen(text)))
        buf_add_str(line, text);
    else
        buf_add_json_str(line, text, strlen(text));
}

void report_print_line(const char *words, const json_t *finding)
{
    struct buf line = {0};
    const char *name;
    json_t *value;

    buf_add_str(&line, words);
    json_object_foreach((json_t *)finding, name, value)
    {
        buf_printf(&line, " %s=", name);
        add_value(&line, value);
    }
    puts(line.data);
    buf_done(&line);
}
