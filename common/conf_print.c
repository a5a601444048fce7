/* Settings on a terminal and in the manual: --help, --print-config and --print-manual. */
#include "common/conf_internal.h"
#include "common/manual.h"
#include "common/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_COLUMNS 100

/* Prints words behind what already stands in the line, and wraps them at the page's edge. */
static void print_wrapped(const char *words, size_t column, size_t indent)
{
    bool first = true;
    while (*words) {
        size_t length = strcspn(words, " ");
        if (!first && column + 1 + length > PAGE_COLUMNS) {
            printf("\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)length, words);
        column += length;
        words += length;
        words += strspn(words, " ");
        first = false;
    }
    putchar('\n');
}

/* "1 to 86400 s; default 300" */
static void describe_value(const struct conf_setting *s, struct buf *out)
{
    conf_value_range(s, out);
    if (s->required)
        buf_printf(out, "%srequired", out->length > 0 ? "; " : "");
    else if (s->fallback)
        buf_printf(out, "%sdefault %s", out->length > 0 ? "; " : "", s->fallback);
    if (conf_has_file(s))
        buf_printf(out, "%sor %s_FILE names a file", out->length > 0 ? "; " : "", s->name);
}

static size_t longest_name(const struct conf_setting *table)
{
    size_t longest = 0;
    for (const struct conf_setting *s = table; s->name; s++)
        if (strlen(s->name) > longest)
            longest = strlen(s->name);
    return longest;
}

static void print_setting(const struct conf_setting *s, size_t name_columns)
{
    struct buf value = {0};
    size_t indent = name_columns + 4;
    describe_value(s, &value);
    printf("  %-*s  ", (int)name_columns, s->name);
    print_wrapped(s->help ? s->help : "", indent, indent);
    if (value.length > 0) {
        printf("%*s", (int)indent, "");
        print_wrapped(value.data, indent, indent);
    }
    buf_done(&value);
}

void conf_print_settings(const struct conf_setting *table)
{
    size_t name_columns = longest_name(table);
    printf("\nSettings, from the environment:\n");
    for (const struct conf_setting *s = table; s->name; s++)
        print_setting(s, name_columns);
}

void conf_print_help(const struct conf_setting *table, const char *program, const char *arguments,
                     const char *what)
{
    printf("usage: %s %s\n\n", program, arguments);
    print_wrapped(what, 0, 0);
    conf_print_settings(table);
}

void conf_print_manual(const struct conf_setting *table)
{
    manual_section("ENVIRONMENT");
    for (const struct conf_setting *s = table; s->name; s++) {
        struct buf value = {0};
        describe_value(s, &value);
        manual_item(s->name, s->help ? s->help : "");
        if (value.length > 0)
            printf(".br\n(%s)\n", value.data);
        buf_done(&value);
    }
}

static void print_text(const struct conf_setting *s, const char *text)
{
    if (!text) {
        putchar('\n');
        return;
    }
    char *shown = s->url ? str_mask_url(text) : xstrdup(text);
    puts(s->secret ? "***" : shown);
    free(shown);
}

static void print_value(const struct conf_setting *s, const void *field)
{
    switch (s->type) {
    case CONF_STR:
    case CONF_LISTEN:
        print_text(s, *(char *const *)field);
        break;
    case CONF_INT:
        /* One that is not set, and has no default, is printed as unset. */
        if (s->fallback || *(const int64_t *)field >= s->min)
            printf("%" PRId64, *(const int64_t *)field);
        putchar('\n');
        break;
    case CONF_BOOL:
        printf("%d\n", *(const bool *)field);
        break;
    case CONF_CHOICE:
        puts(s->choices[*(const int *)field]);
        break;
    }
}

void conf_print(const struct conf_setting *table, const void *config)
{
    for (const struct conf_setting *s = table; s->name; s++) {
        printf("%s=", s->name);
        print_value(s, (const char *)config + s->offset);
    }
}
