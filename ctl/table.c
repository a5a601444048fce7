/* Findings as a table for people. */
#include "ctl/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_SIZE = 24 };

/* Every name, in the order in which they first come: name -> width. The caller's to json_decref. */
static json_t *columns_of(json_t *findings)
{
    json_t *columns = json_object();
    const char *name;
    json_t *value;

    for (size_t i = 0; i < json_array_size(findings); i++) {
        json_t *finding = json_array_get(findings, i);
        json_object_foreach(finding, name, value)
        {
            json_object_set_new(columns, name, json_integer((json_int_t)strlen(name)));
        }
    }
    return columns;
}

static const char *cell_text(const json_t *value, char number[NUMBER_SIZE])
{
    if (json_is_string(value))
        return *json_string_value(value) ? json_string_value(value) : "-";
    if (json_is_boolean(value))
        return json_is_true(value) ? "true" : "false";
    if (!json_is_integer(value))
        return "-";
    snprintf(number, NUMBER_SIZE, "%lld", (long long)json_integer_value(value));
    return number;
}

static void widen(json_t *columns, json_t *finding)
{
    char number[NUMBER_SIZE];
    const char *name;
    json_t *width;

    json_object_foreach(columns, name, width)
    {
        size_t needed = strlen(cell_text(json_object_get(finding, name), number));
        if (json_integer_value(width) < (json_int_t)needed)
            json_integer_set(width, (json_int_t)needed);
    }
}

/* The last column is not padded: no line ends in spaces. */
static void print_cell(const char *text, int width, bool to_the_right, bool is_last)
{
    if (to_the_right)
        printf("  %*s", width, text);
    else if (is_last)
        printf("  %s", text);
    else
        printf("  %-*s", width, text);
}

/* finding NULL: the names themselves. example tells which columns are numbers. */
static void print_row(json_t *columns, const json_t *finding, const json_t *example)
{
    char number[NUMBER_SIZE];
    const char *name;
    json_t *width;
    size_t left = json_object_size(columns);

    json_object_foreach(columns, name, width)
    {
        const char *text = finding ? cell_text(json_object_get(finding, name), number) : name;
        bool is_number = json_is_integer(json_object_get(example, name));
        print_cell(text, (int)json_integer_value(width), is_number, --left == 0);
    }
    putchar('\n');
}

/* One object with some value for each name, to tell numbers from texts. */
static json_t *example_of(json_t *findings)
{
    json_t *example = json_object();

    for (size_t i = 0; i < json_array_size(findings); i++)
        json_object_update(example, json_array_get(findings, i));
    return example;
}

static json_t *pick(const json_t *finding, const char *const *names)
{
    json_t *picked = json_object();

    for (; *names; names++)
        if (json_object_get(finding, *names))
            json_object_set(picked, *names, json_object_get(finding, *names));
    return picked;
}

void table_print_columns(const char *title, const json_t *findings, const char *const *names)
{
    json_t *picked = json_array();

    for (size_t i = 0; i < json_array_size(findings); i++)
        json_array_append_new(picked, pick(json_array_get(findings, i), names));
    table_print(title, picked);
    json_decref(picked);
}

void table_print(const char *title, json_t *findings)
{
    if (json_array_size(findings) == 0)
        return;
    json_t *columns = columns_of(findings);
    json_t *example = example_of(findings);
    for (size_t i = 0; i < json_array_size(findings); i++)
        widen(columns, json_array_get(findings, i));
    printf("%s\n", title);
    print_row(columns, NULL, example);
    for (size_t i = 0; i < json_array_size(findings); i++)
        print_row(columns, json_array_get(findings, i), example);
    putchar('\n');
    json_decref(columns);
    json_decref(example);
}
