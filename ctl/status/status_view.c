#include "ctl/status/status_view.h"

#include "ctl/report.h"
#include "ctl/terminal/table.h"

#include <stdlib.h>
#include <string.h>

static const struct table_column PEERS[] = {
    {"peer", TABLE_TEXT}, {"state", TABLE_TEXT}, {"error", TABLE_NOTE}, {NULL, TABLE_TEXT}};
static const struct table_column INSTANCES[] = {{"stage", TABLE_TEXT},   {"instance", TABLE_NAME},
                                                {"state", TABLE_TEXT},   {"version", TABLE_NAME},
                                                {"age_s", TABLE_NUMBER}, {"up_s", TABLE_NUMBER},
                                                {"reason", TABLE_NOTE},  {NULL, TABLE_TEXT}};
static const struct table_column STAGES[] = {{"stage", TABLE_TEXT},     {"queue", TABLE_NAME},
                                             {"depth", TABLE_NUMBER},   {"waiting", TABLE_NUMBER},
                                             {"lag", TABLE_NUMBER},     {"oldest_s", TABLE_NUMBER},
                                             {"lease_s", TABLE_NUMBER}, {"window_s", TABLE_NUMBER},
                                             {"owner", TABLE_NAME},     {NULL, TABLE_TEXT}};
static const struct table_column SUBMISSIONS[] = {
    {"state", TABLE_TEXT},  {"pending", TABLE_NUMBER},  {"sending", TABLE_NUMBER},
    {"held", TABLE_NUMBER}, {"in_doubt", TABLE_NUMBER}, {"failed", TABLE_NUMBER},
    {"late", TABLE_NUMBER}, {"sent", TABLE_NUMBER},     {"void", TABLE_NUMBER},
    {NULL, TABLE_TEXT}};
static const struct table_column WEBHOOKS[] = {
    {"state", TABLE_TEXT},       {"received", TABLE_NUMBER}, {"failed", TABLE_NUMBER},
    {"processed", TABLE_NUMBER}, {"ignored", TABLE_NUMBER},  {NULL, TABLE_TEXT}};
static const struct table_column MESSAGES[] = {
    {"state", TABLE_TEXT}, {"waiting", TABLE_NUMBER}, {"failed", TABLE_NUMBER}, {NULL, TABLE_TEXT}};
static const struct table_column REJECTED[] = {{"reason", TABLE_TEXT},
                                               {"entries", TABLE_NUMBER},
                                               {"pending", TABLE_NUMBER},
                                               {"newest_s", TABLE_NUMBER},
                                               {NULL, TABLE_TEXT}};
static const struct table_column UNBILLED[] = {{"reason", TABLE_TEXT},
                                               {"metric", TABLE_NAME},
                                               {"tenants", TABLE_NUMBER},
                                               {"quantity", TABLE_NUMBER},
                                               {NULL, TABLE_TEXT}};
static const struct table_column CUSTOMERS[] = {
    {"problem", TABLE_TEXT}, {"tenants", TABLE_NUMBER}, {"first", TABLE_NAME}, {NULL, TABLE_TEXT}};
static const struct table_column QUOTAS[] = {
    {"tenants", TABLE_NUMBER}, {"table_age_s", TABLE_NUMBER}, {"cached", TABLE_NUMBER},
    {"sample", TABLE_TEXT},    {"used_age_s", TABLE_NUMBER},  {"limits_age_s", TABLE_NUMBER},
    {NULL, TABLE_TEXT}};
static const struct table_column METERS[] = {{"metric", TABLE_NAME},    {"event_name", TABLE_NAME},
                                             {"since_s", TABLE_NUMBER}, {"waiting", TABLE_NUMBER},
                                             {"why", TABLE_NOTE},       {NULL, TABLE_TEXT}};
static const struct table_column LEDGER[] = {{"schema_version", TABLE_NUMBER},
                                             {"catalog_version", TABLE_NUMBER},
                                             {"stream_shards", TABLE_NUMBER},
                                             {"sink_hold", TABLE_NUMBER},
                                             {NULL, TABLE_TEXT}};

static const struct section {
    const char *list;
    const struct table_column *columns;
    bool
        by_state; /* rows of state, count and oldest_s are turned, so that each state is a column */
} SECTIONS[] = {
    {"peers", PEERS, false},       {"instances", INSTANCES, false},
    {"stages", STAGES, false},     {"submissions", SUBMISSIONS, true},
    {"webhooks", WEBHOOKS, true},  {"messages", MESSAGES, true},
    {"rejected", REJECTED, false}, {"meters", METERS, false},
    {"unbilled", UNBILLED, false}, {"customers", CUSTOMERS, false},
    {"quotas", QUOTAS, false},     {"ledger", LEDGER, false},
};

enum { SECTION_COUNT = sizeof SECTIONS / sizeof SECTIONS[0] };

/* One row: the given number of each state, in a column of the state's name. */
static json_t *row_of(const json_t *rows, const char *number)
{
    json_t *row = json_pack("{s:s}", "state", number);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *from = json_array_get(rows, i);
        json_object_set(row, json_string_value(json_object_get(from, "state")),
                        json_object_get(from, number));
    }
    return row;
}

static json_t *turn(const json_t *rows)
{
    if (json_array_size(rows) == 0)
        return json_array();
    return json_pack("[o, o]", row_of(rows, "count"), row_of(rows, "oldest_s"));
}

/* Else nobody knows whether there are any. */
static bool is_ledger_read(const json_t *report)
{
    const json_t *peer = report_find(json_object_get(report, "peers"), "peer", "postgres");
    return !peer || strcmp(json_string_value(json_object_get(peer, "state")), "up") == 0;
}

static void add_section(struct buf *out, const struct section *s, const json_t *report,
                        struct table_look look)
{
    json_t *list = json_object_get(report, s->list);
    json_t *rows = s->by_state ? turn(list) : json_incref(list);
    table_add(out, rows, s->columns, look);
    if (json_array_size(rows) == 0)
        buf_printf(out, "%s%s\n", look.indent, is_ledger_read(report) ? "none" : "not read");
    json_decref(rows);
}

void status_view_add(struct buf *out, const json_t *report, int width)
{
    for (int i = 0; i < SECTION_COUNT; i++) {
        buf_printf(out, "%s\n", SECTIONS[i].list);
        add_section(out, &SECTIONS[i], report, (struct table_look){.indent = "  ", .width = width});
        buf_add_char(out, '\n');
    }
}

/* One section, its name in the head line; malloc'd. list: one of the report's. */
static char *section_text(const char *list, const json_t *report, int width)
{
    const struct section *s = SECTIONS;
    struct buf text = {0};
    while (strcmp(s->list, list) != 0)
        s++;
    if (s->columns[0].kind != TABLE_NUMBER) {
        add_section(&text, s, report, (struct table_look){"", list, width});
        return buf_take(&text);
    }
    char *indent = xasprintf("%*s", (int)strlen(list) + 2, "");
    add_section(&text, s, report, (struct table_look){indent, NULL, width});
    memcpy(text.data, list, strlen(list));
    free(indent);
    return buf_take(&text);
}

/* On one screen. */

/* The most important ones first. */
static const char *const ON_SCREEN[] = {"instances", "stages",   "submissions",
                                        "webhooks",  "rejected", "unbilled",
                                        "customers", "quotas",   "ledger"};

enum { ON_SCREEN_COUNT = sizeof ON_SCREEN / sizeof ON_SCREEN[0] };

struct block {
    char *text;
    int lines; /* with its head */
    int shown;
};

struct screen {
    struct buf *out;
    int columns;
    int left; /* lines */
    struct block blocks[ON_SCREEN_COUNT];
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

/* Streams where most waits come first, and before them what is no stream. */
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

/* Instances that are not ready come before those that are. */
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

static void make_blocks(struct screen *s, const json_t *report)
{
    json_t *sorted = json_copy((json_t *)report);
    sort_stages(sorted);
    sort_instances(sorted);
    for (int i = 0; i < ON_SCREEN_COUNT; i++) {
        s->blocks[i].text = section_text(ON_SCREEN[i], sorted, s->columns);
        s->blocks[i].lines = count_lines(s->blocks[i].text);
    }
    json_decref(sorted);
}

/* Each block gets its head and one line as long as there is room, then one line more in turn. */
static void share_out(struct screen *s, int room)
{
    bool gave = true;
    for (int i = 0; i < ON_SCREEN_COUNT && room >= 2; i++, room -= 2)
        s->blocks[i].shown = 2;
    while (room > 0 && gave) {
        gave = false;
        for (int i = 0; i < ON_SCREEN_COUNT && room > 0; i++) {
            struct block *block = &s->blocks[i];
            if (block->shown == 0 || block->shown == block->lines)
                continue;
            block->shown++;
            room--;
            gave = true;
        }
    }
}

static void put_block(struct screen *s, const struct block *block)
{
    const char *at = block->text;
    for (int i = 0; i < block->shown; i++) {
        const char *end = strchr(at, '\n');
        put_line(s, at, (size_t)(end - at));
        at = end + 1;
    }
}

static void put_left_out(struct screen *s)
{
    struct buf line = {0};
    for (int i = 0; i < ON_SCREEN_COUNT; i++) {
        const struct block *block = &s->blocks[i];
        int left_out = block->lines - (block->shown > 0 ? block->shown : 1);
        if (block->shown < block->lines)
            buf_printf(&line, "%s %d %s", line.length == 0 ? "left out:" : ",", left_out,
                       ON_SCREEN[i]);
    }
    if (line.length > 0)
        put_line(s, line.data, line.length);
    buf_done(&line);
}

void screen_add(struct buf *out, const json_t *report, const char *time, int lines, int columns)
{
    struct screen s = {.out = out, .columns = columns, .left = lines};
    put_peers(&s, json_object_get(report, "peers"), time);
    make_blocks(&s, report);
    int all = 0;
    for (int i = 0; i < ON_SCREEN_COUNT; i++)
        all += s.blocks[i].lines;
    share_out(&s, all <= s.left ? all : s.left - 1);
    for (int i = 0; i < ON_SCREEN_COUNT; i++)
        put_block(&s, &s.blocks[i]);
    put_left_out(&s);
    for (int i = 0; i < ON_SCREEN_COUNT; i++)
        free(s.blocks[i].text);
}
