#include "ctl/status/status_view.h"

#include "ctl/terminal/table.h"

#include <stdio.h>
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
    bool by_state; /* rows of state, count and oldest_s are shown with a column each state */
} SECTIONS[] = {
    {"peers", PEERS, false},      {"instances", INSTANCES, false},
    {"stages", STAGES, false},    {"submissions", SUBMISSIONS, true},
    {"webhooks", WEBHOOKS, true}, {"rejected", REJECTED, false},
    {"meters", METERS, false},    {"unbilled", UNBILLED, false},
    {"quotas", QUOTAS, false},    {"ledger", LEDGER, false},
};

enum { SECTION_COUNT = sizeof SECTIONS / sizeof SECTIONS[0] };

/* A row of that number, with a column each state. */
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

static void add_section(struct buf *out, const struct section *s, const json_t *report,
                        struct table_look look)
{
    json_t *list = json_object_get(report, s->list);
    json_t *rows = s->by_state ? turn(list) : json_incref(list);

    table_add(out, rows, s->columns, look);
    if (json_array_size(rows) == 0)
        buf_printf(out, "%snone\n", look.indent);
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

char *status_view_section(const char *list, const json_t *report, int width)
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
