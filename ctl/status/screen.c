#include "ctl/status/screen.h"

#include "ctl/status/status_view.h"
#include "ctl/terminal/cell.h"

#include <stdlib.h>
#include <string.h>

/* The most important ones first. */
static const char *const SECTIONS[] = {"instances", "stages",   "submissions", "webhooks",
                                       "rejected",  "unbilled", "quotas",      "ledger"};

enum { SECTION_COUNT = sizeof SECTIONS / sizeof SECTIONS[0] };

struct section {
    char *text;
    int lines; /* with its head */
    int shown;
};

struct screen {
    struct buf *out;
    int columns;
    int left; /* lines */
    struct section sections[SECTION_COUNT];
};

static int count_lines(const char *text)
{
    int lines = 0;

    for (; (text = strchr(text, '\n')); text++)
        lines++;
    return lines;
}

static void put_line(struct screen *s, const char *line, size_t length)
{
    char *copy = xstrndup(line, length);

    if (s->out->length > 0)
        buf_add_char(s->out, '\n');
    cell_add_cut(s->out, copy, s->columns, CELL_END);
    free(copy);
    s->left--;
}

static void put_peers(struct screen *s, const json_t *peers, const char *time)
{
    struct buf line = {0};

    buf_add_str(&line, time);
    for (size_t i = 0; i < json_array_size(peers); i++) {
        const json_t *peer = json_array_get(peers, i);
        buf_printf(&line, "  %s: ", json_string_value(json_object_get(peer, "peer")));
        cell_add_value(&line, json_object_get(peer, "state"));
        if (json_object_get(peer, "error")) {
            buf_add_str(&line, ": ");
            cell_add_value(&line, json_object_get(peer, "error"));
        }
    }
    put_line(s, line.data, line.length);
    buf_done(&line);
}

static json_int_t waiting_of(const json_t *row)
{
    const char *stage = json_string_value(json_object_get(row, "stage"));

    if (strcmp(stage, "aggregator") != 0)
        return -1;
    return json_integer_value(json_object_get(row, "waiting"));
}

/* Of many streams those where most waits; what is no stream before them. */
static int compare_stages(const void *a, const void *b)
{
    json_int_t first = waiting_of(*(json_t *const *)a);
    json_int_t second = waiting_of(*(json_t *const *)b);

    if (first < 0 || second < 0)
        return (first >= 0) - (second >= 0);
    return (first < second) - (first > second);
}

static void sort_stages(json_t *report)
{
    const json_t *stages = json_object_get(report, "stages");
    size_t count = json_array_size(stages);
    json_t **rows = xcalloc(count + 1, sizeof(json_t *));
    json_t *sorted = json_array();

    for (size_t i = 0; i < count; i++)
        rows[i] = json_array_get(stages, i);
    qsort(rows, count, sizeof(json_t *), compare_stages);
    for (size_t i = 0; i < count; i++)
        json_array_append(sorted, rows[i]);
    json_object_set_new(report, "stages", sorted);
    free(rows);
}

/* Who is not ready before those that are. */
static void sort_instances(json_t *report)
{
    const json_t *instances = json_object_get(report, "instances");
    json_t *sorted = json_array();

    for (int ready = 0; ready <= 1; ready++)
        for (size_t i = 0; i < json_array_size(instances); i++) {
            json_t *row = json_array_get(instances, i);
            const char *state = json_string_value(json_object_get(row, "state"));
            if ((strcmp(state, "ready") == 0) == (ready == 1))
                json_array_append(sorted, row);
        }
    json_object_set_new(report, "instances", sorted);
}

static void make_sections(struct screen *s, const json_t *report)
{
    json_t *sorted = json_copy((json_t *)report);

    sort_stages(sorted);
    sort_instances(sorted);
    for (int i = 0; i < SECTION_COUNT; i++) {
        s->sections[i].text = status_view_section(SECTIONS[i], sorted, s->columns);
        s->sections[i].lines = count_lines(s->sections[i].text);
    }
    json_decref(sorted);
}

static int all_lines(const struct screen *s)
{
    int lines = 0;

    for (int i = 0; i < SECTION_COUNT; i++)
        lines += s->sections[i].lines;
    return lines;
}

/* A head and a line for each, as long as there is room; then a line more for each, again and again.
 */
static void share_out(struct screen *s, int room)
{
    bool gave = true;

    for (int i = 0; i < SECTION_COUNT && room >= 2; i++, room -= 2)
        s->sections[i].shown = 2;
    while (room > 0 && gave) {
        gave = false;
        for (int i = 0; i < SECTION_COUNT && room > 0; i++) {
            struct section *section = &s->sections[i];
            if (section->shown == 0 || section->shown == section->lines)
                continue;
            section->shown++;
            room--;
            gave = true;
        }
    }
}

static void put_section(struct screen *s, const struct section *section)
{
    const char *at = section->text;

    for (int i = 0; i < section->shown; i++) {
        const char *end = strchr(at, '\n');
        put_line(s, at, (size_t)(end - at));
        at = end + 1;
    }
}

static void put_left_out(struct screen *s)
{
    struct buf line = {0};

    for (int i = 0; i < SECTION_COUNT; i++) {
        const struct section *section = &s->sections[i];
        int left_out = section->lines - (section->shown > 0 ? section->shown : 1);
        if (section->shown < section->lines)
            buf_printf(&line, "%s %d %s", line.length == 0 ? "left out:" : ",", left_out,
                       SECTIONS[i]);
    }
    if (line.length > 0)
        put_line(s, line.data, line.length);
    buf_done(&line);
}

void screen_add(struct buf *out, const json_t *report, const char *time, int lines, int columns)
{
    struct screen s = {.out = out, .columns = columns, .left = lines};

    put_peers(&s, json_object_get(report, "peers"), time);
    make_sections(&s, report);
    int all = all_lines(&s);
    share_out(&s, all <= s.left ? all : s.left - 1);
    for (int i = 0; i < SECTION_COUNT; i++)
        put_section(&s, &s.sections[i]);
    put_left_out(&s);
    for (int i = 0; i < SECTION_COUNT; i++)
        free(s.sections[i].text);
}
