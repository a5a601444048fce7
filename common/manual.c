#include "common/manual.h"

#include "common/contract.h"
#include "common/str.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *program;
    int section;
} PAGES[] = {{"meterctl", 1},       {"meterline-emitter", 1},  {"meterline-aggregator", 8},
             {"meterline-sink", 8}, {"meterline-webhookd", 8}, {"meterline-notifier", 8}};

enum { PAGES_COUNT = sizeof PAGES / sizeof *PAGES };

/* Characters that roff takes for something else. A hyphen would be one of typography, which cannot
 * be pasted into a shell. A dot or quote that begins a line would be a request. bold: whether a
 * text in `…` has begun, which may end in another line. */
static void put_escaped(const char *text, size_t length, bool *bold)
{
    for (size_t i = 0; i < length; i++) {
        if (i == 0 && (text[i] == '.' || text[i] == '\''))
            fputs("\\&", stdout);
        if (text[i] == '`') {
            *bold = !*bold;
            fputs(*bold ? "\\fB" : "\\fR", stdout);
        } else if (text[i] == '\\') {
            fputs("\\e", stdout);
        } else if (text[i] == '-') {
            fputs("\\-", stdout);
        } else {
            putchar(text[i]);
        }
    }
}

/* Right after a heading or a usage line nothing has to part the next paragraph from it. */
static bool heading_above;

static void put_paragraph(void)
{
    if (!heading_above)
        puts(".PP");
    heading_above = false;
}

static void put_plain(const char *text)
{
    bool bold = false;
    put_escaped(text, strlen(text), &bold);
}

/* The time of the release, where the build has one, so that the same sources make the same page. */
static void put_date(void)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    time_t at = epoch && *epoch ? (time_t)strtoll(epoch, NULL, 10) : time(NULL);
    struct tm day;
    char text[sizeof "2026-11-21"];
    gmtime_r(&at, &day);
    strftime(text, sizeof text, "%Y-%m-%d", &day);
    fputs(text, stdout);
}

void manual_begin(const char *program, int section, const char *what)
{
    fputs(".TH ", stdout);
    for (const char *c = program; *c; c++)
        putchar(toupper((unsigned char)*c));
    printf(" %d \"", section);
    put_date();
    printf("\" \"meterline %s\" \"meterline\"\n", METERLINE_VERSION);
    manual_section("NAME");
    put_plain(program);
    /* whatis(1) wants no full stop. */
    char *line = xstrdup(what);
    line[0] = (char)tolower((unsigned char)line[0]);
    line[strcspn(line, ".")] = '\0';
    fputs(" \\- ", stdout);
    put_plain(line);
    putchar('\n');
    free(line);
}

void manual_section(const char *title)
{
    printf(".SH %s\n", title);
    heading_above = true;
}

void manual_subsection(const char *title)
{
    printf(".SS %s\n", title);
    heading_above = true;
}

void manual_usage(const char *bold, const char *arguments)
{
    put_paragraph();
    fputs("\\fB", stdout);
    put_plain(bold);
    fputs(*arguments ? "\\fR " : "\\fR", stdout);
    put_plain(arguments);
    putchar('\n');
}

void manual_indent(void)
{
    puts(".RS 4");
    heading_above = true;
}

void manual_outdent(void)
{
    puts(".RE");
    heading_above = false;
}

/* What the line before was. */
enum shape { NOTHING, PARAGRAPH, ITEM, EXAMPLE };

struct text_state {
    enum shape shape;
    size_t item_indent;
    bool bold;
};

static void put_line(struct text_state *s, const char *text, size_t length)
{
    put_escaped(text, length, &s->bold);
    putchar('\n');
}

static void change_shape(struct text_state *s, enum shape shape)
{
    if (s->shape == EXAMPLE && shape != EXAMPLE)
        puts(".fi\n.RE");
    if ((shape == EXAMPLE || shape == PARAGRAPH) && s->shape != shape)
        put_paragraph();
    if (shape == EXAMPLE && s->shape != EXAMPLE)
        puts(".RS 4\n.nf");
    s->shape = shape;
}

/* Where the term ends, or 0 if the line has none. */
static size_t find_gap(const char *body, size_t length)
{
    for (size_t i = 1; i + 2 < length; i++)
        if (body[i] == ' ' && body[i + 1] == ' ')
            return i;
    return 0;
}

static void put_term(const char *term, size_t length)
{
    bool bold = false;
    heading_above = false;
    fputs(".TP\n\\fB", stdout);
    put_escaped(term, length, &bold);
    puts("\\fR");
}

static void put_text_line(struct text_state *s, const char *line, size_t length)
{
    size_t indent = 0;
    while (indent < length && line[indent] == ' ')
        indent++;
    const char *body = line + indent;
    size_t left = length - indent;
    size_t gap = find_gap(body, left);
    bool bullet = left > 2 && body[0] == '-' && body[1] == ' ';
    if (left == 0) {
        change_shape(s, NOTHING);
    } else if (s->shape == ITEM && indent > s->item_indent) {
        put_line(s, body, left);
    } else if (gap > 0 || bullet) {
        change_shape(s, ITEM);
        s->item_indent = indent;
        size_t skip = bullet ? 2 : gap + strspn(body + gap, " ");
        if (bullet)
            puts(".IP \\(bu 2");
        else
            put_term(body, gap);
        put_line(s, body + skip, left - skip);
    } else {
        change_shape(s, indent > 0 ? EXAMPLE : PARAGRAPH);
        put_line(s, body, left);
    }
}

void manual_text(const char *text)
{
    struct text_state s = {0};
    while (*text) {
        size_t length = strcspn(text, "\n");
        put_text_line(&s, text, length);
        text += length + (text[length] == '\n');
    }
    change_shape(&s, NOTHING);
}

void manual_item(const char *term, const char *text)
{
    put_term(term, strlen(term));
    put_plain(text);
    putchar('\n');
}

void manual_items(const struct manual_item *items)
{
    for (; items->term; items++)
        manual_item(items->term, items->text);
}

void manual_end(const char *program, const struct manual_item *exit_codes)
{
    manual_section("EXIT STATUS");
    manual_items(exit_codes);
    manual_section("SEE ALSO");
    const char *before = "";
    for (int i = 0; i < PAGES_COUNT; i++) {
        if (strcmp(PAGES[i].program, program) == 0)
            continue;
        printf("%s\\fB", before);
        put_plain(PAGES[i].program);
        printf("\\fR(%d)", PAGES[i].section);
        before = ",\n";
    }
    putchar('\n');
}

void manual_print_exit_codes(const struct manual_item *exit_codes)
{
    fputs("\nExit codes:\n", stdout);
    for (; exit_codes->term; exit_codes++)
        printf("  %s  %s\n", exit_codes->term, exit_codes->text);
}
