#include "ctl/terminal/table.h"

#include "ctl/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The bytes of the character; 1 if it is not UTF-8. */
static size_t char_size(const char *text)
{
    size_t size = str_utf8_char(text, strlen(text));
    return size > 0 ? size : 1;
}

/* U+0000 to U+001F, U+007F to U+009F, and single bytes that are no UTF-8. */
static bool is_printable(const char *at, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)at;
    if (size == 1)
        return bytes[0] >= 0x20 && bytes[0] < 0x7f;
    return size != 2 || bytes[0] != 0xc2 || bytes[1] >= 0xa0;
}

static void add_text(struct buf *out, const char *text)
{
    for (const char *at = text; *at;) {
        size_t size = char_size(at);
        if (is_printable(at, size))
            buf_add(out, at, size);
        else
            buf_add_char(out, '?');
        at += size;
    }
}

void cell_add_value(struct buf *out, const json_t *value)
{
    if (json_is_string(value) && *json_string_value(value))
        add_text(out, json_string_value(value));
    else if (json_is_boolean(value))
        buf_add_str(out, json_is_true(value) ? "true" : "false");
    else if (json_is_integer(value))
        buf_printf(out, "%lld", (long long)json_integer_value(value));
    else
        buf_add_char(out, '-');
}

int cell_width(const char *text)
{
    int width = 0;
    for (; *text; text += char_size(text))
        width++;
    return width;
}

static const char *skip(const char *text, int characters)
{
    for (; characters > 0 && *text; characters--)
        text += char_size(text);
    return text;
}

void cell_add_cut(struct buf *out, const char *text, int width, enum cell_cut cut)
{
    int all = cell_width(text);
    if (all <= width) {
        buf_add_str(out, text);
        return;
    }
    int behind = cut == CELL_MIDDLE ? (width - 1) / 2 : 0;
    const char *head_end = skip(text, width - 1 - behind);
    buf_add(out, text, (size_t)(head_end - text));
    buf_add_str(out, "…");
    buf_add_str(out, skip(text, all - behind));
}

/* LEAST_CUT: a cell is not cut to fewer characters. GAP: between two columns. */
enum { LEAST_CUT = 9, LEAST_WIDTH = 80, GAP = 2, COLUMNS_MAX = 24 };

struct layout {
    const struct table_column *columns;
    const char *first; /* the first column's head */
    int count;
    int widths[COLUMNS_MAX];
};

int table_width(bool wide)
{
    struct winsize size;
    if (wide || !isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ||
        size.ws_col == 0)
        return 0;
    return size.ws_col < LEAST_WIDTH ? LEAST_WIDTH : size.ws_col;
}

static void widen(struct layout *l, int i, const json_t *value)
{
    struct buf text = {0};
    cell_add_value(&text, value);
    int width = cell_width(text.data);
    buf_done(&text);
    if (l->widths[i] < width)
        l->widths[i] = width;
}

static void measure(struct layout *l, const json_t *findings)
{
    for (l->count = 0; l->columns[l->count].name && l->count < COLUMNS_MAX; l->count++) {
        const char *name = l->columns[l->count].name;
        l->widths[l->count] = cell_width(l->count == 0 ? l->first : name);
        for (size_t i = 0; i < json_array_size(findings); i++)
            widen(l, l->count, json_object_get(json_array_get(findings, i), name));
    }
}

/* The widest column that can still be cut, or -1. */
static int widest(const struct layout *l)
{
    int found = -1;
    for (int i = 0; i < l->count; i++) {
        bool can_be_cut = l->columns[i].kind == TABLE_NAME || l->columns[i].kind == TABLE_NOTE;
        if (can_be_cut && l->widths[i] > LEAST_CUT &&
            (found < 0 || l->widths[i] > l->widths[found]))
            found = i;
    }
    return found;
}

static void fit(struct layout *l, int width)
{
    int total = -GAP;
    int i;
    for (i = 0; i < l->count; i++)
        total += l->widths[i] + GAP;
    for (; total > width && (i = widest(l)) >= 0; total--)
        l->widths[i]--;
}

static void pad(struct buf *out, int count)
{
    buf_printf(out, "%*s", count > 0 ? count : 0, "");
}

/* No line ends in spaces. */
static void add_cell(struct buf *out, const struct layout *l, int i, const char *text)
{
    struct buf cut = {0};
    cell_add_cut(&cut, text, l->widths[i],
                 l->columns[i].kind == TABLE_NOTE ? CELL_END : CELL_MIDDLE);
    int missing = l->widths[i] - cell_width(cut.data);
    if (l->columns[i].kind == TABLE_NUMBER)
        pad(out, missing);
    buf_add_str(out, cut.data);
    if (i < l->count - 1 && l->columns[i].kind != TABLE_NUMBER)
        pad(out, missing);
    if (i < l->count - 1)
        pad(out, GAP);
    buf_done(&cut);
}

/* finding NULL: the names themselves. */
static void add_row(struct buf *out, const struct layout *l, const json_t *finding)
{
    for (int i = 0; i < l->count; i++) {
        struct buf text = {0};
        if (finding)
            cell_add_value(&text, json_object_get(finding, l->columns[i].name));
        else
            buf_add_str(&text, i == 0 ? l->first : l->columns[i].name);
        add_cell(out, l, i, text.data);
        buf_done(&text);
    }
    buf_add_char(out, '\n');
}

void table_add(struct buf *out, const json_t *findings, const struct table_column *columns,
               struct table_look look)
{
    struct layout l = {.columns = columns, .first = look.first ? look.first : columns[0].name};
    measure(&l, findings);
    if (look.width > 0)
        fit(&l, look.width - cell_width(look.indent));
    buf_add_str(out, look.indent);
    add_row(out, &l, NULL);
    for (size_t i = 0; i < json_array_size(findings); i++) {
        buf_add_str(out, look.indent);
        add_row(out, &l, json_array_get(findings, i));
    }
}

void table_print(const char *title, const json_t *findings, const struct table_column *columns,
                 bool wide)
{
    struct buf out = {0};
    if (json_array_size(findings) == 0)
        return;
    table_add(&out, findings, columns,
              (struct table_look){.indent = "  ", .width = table_width(wide)});
    printf("%s\n%s\n", title, out.data);
    buf_done(&out);
}

void table_show(json_t *rows, bool json, struct table_view view)
{
    if (json)
        report_print_json(rows);
    else if (json_array_size(rows) == 0)
        puts(view.none);
    else
        table_print(view.title, rows, view.columns, view.wide);
}
