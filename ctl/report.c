#include "ctl/report.h"

#include "common/pg/pg.h"
#include "ctl/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *report_time(const char *text, char out[REPORT_TIME_SIZE])
{
    static const char UTC[] = "+00";
    size_t length = strlen(text);
    char *space;
    snprintf(out, REPORT_TIME_SIZE, "%s", text);
    if (length < sizeof UTC || length >= REPORT_TIME_SIZE ||
        strcmp(text + length - strlen(UTC), UTC) != 0 || !(space = strchr(out, ' ')))
        return out;
    *space = 'T';
    memcpy(out + length - strlen(UTC), "Z", sizeof "Z");
    return out;
}

static json_t *value_of(const PGresult *result, int row, int column)
{
    const char *text = db_text(result, row, column);
    char time[REPORT_TIME_SIZE];
    Oid type = PQftype(result, column);
    if (type == PG_TIMESTAMPTZ)
        return json_string(report_time(text, time));
    if (type == PG_INT8 || type == PG_INT4 || type == PG_INT2)
        return json_integer(db_i64(result, row, column));
    return type == PG_BOOL ? json_boolean(*text == 't') : json_string(text);
}

static json_t *finding_of(const PGresult *result, int row)
{
    json_t *finding = json_object();
    for (int i = 0; i < PQnfields(result); i++)
        if (db_text(result, row, i))
            json_object_set_new(finding, PQfname(result, i), value_of(result, row, i));
    return finding;
}

int report_query(json_t *list, PGconn *conn, const char *sql, int n, const char *const *values,
                 struct err *e)
{
    PGresult *rows = db_query(conn, sql, n, values, e);
    if (!rows)
        return -1;
    for (int row = 0; row < PQntuples(rows); row++)
        json_array_append_new(list, finding_of(rows, row));
    PQclear(rows);
    return 0;
}

json_t *report_find(const json_t *list, const char *name, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *found = json_string_value(json_object_get(json_array_get(list, i), name));
        if (found && strcmp(found, text) == 0)
            return json_array_get(list, i);
    }
    return NULL;
}

/* As in the log: bare if it is one plain word, else as a JSON string. */
static void add_value(struct buf *line, const json_t *value)
{
    const char *text = json_string_value(value);
    if (json_is_boolean(value))
        buf_add_str(line, json_is_true(value) ? "true" : "false");
    else if (!text)
        buf_printf(line, "%lld", (long long)json_integer_value(value));
    else if (*text && !strpbrk(text, " \"=\\") && !str_has_control(text, strlen(text)))
        buf_add_str(line, text);
    else
        buf_add_json_str(line, text, strlen(text));
}

void report_print_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2));
    putchar('\n');
}

static void print_items(const char *name, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        char *text = json_dumps(json_array_get(list, i), JSON_COMPACT | JSON_ENCODE_ANY);
        printf("%-20s %s\n", i == 0 ? name : "", text);
        free(text);
    }
}

void report_print_entry(const json_t *finding)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)finding, name, value)
    {
        if (json_is_string(value))
            printf("%-20s %s\n", name, json_string_value(value));
        else if (json_is_integer(value))
            printf("%-20s %lld\n", name, (long long)json_integer_value(value));
        else if (json_is_boolean(value))
            printf("%-20s %s\n", name, json_is_true(value) ? "true" : "false");
        else
            print_items(name, value);
    }
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

void report_print_lines(const char *words, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        report_print_line(words, json_array_get(list, i));
}

void report_add_ndjson(struct buf *out, const struct report_column *columns, int count,
                       const char *const *values)
{
    for (int i = 0; i < count; i++) {
        buf_printf(out, "%s\"%s\":", i == 0 ? "{" : ",", columns[i].name);
        if (columns[i].is_json)
            buf_add_str(out, values[i]);
        else
            buf_add_json_str(out, values[i], strlen(values[i]));
    }
    buf_add_str(out, "}\n");
}

static void add_csv_field(struct buf *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        buf_add_str(out, text);
        return;
    }
    buf_add_char(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            buf_add_char(out, '"');
        buf_add_char(out, *text);
    }
    buf_add_char(out, '"');
}

void report_add_csv(struct buf *out, int count, const char *const *values)
{
    for (int i = 0; i < count; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        add_csv_field(out, values[i]);
    }
    buf_add_str(out, "\r\n");
}
