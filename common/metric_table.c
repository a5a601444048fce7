#include "common/metric_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define METRIC_SPEC(id, name, type, unit, labels, stages, help)                                    \
    [METRIC_OF_##id] = {name, METRIC_##type, METRIC_##unit, labels, stages, help},
const struct metric_spec METRIC_SPECS[METRIC_IDS] = {METRIC_TABLE(METRIC_SPEC)};
#undef METRIC_SPEC

/* Skips one label, `name="value"`, and a comma behind it; NULL: it is none of that name. */
static const char *skip_label(const char *at, const char *name, size_t length)
{
    if (strncmp(at, name, length) != 0 || strncmp(at + length, "=\"", 2) != 0)
        return NULL;
    for (at += length + 2; *at && *at != '"'; at++)
        if (*at == '\\' && at[1])
            at++;
    if (*at != '"')
        return NULL;
    return at[1] == ',' ? at + 2 : at + 1;
}

static bool fits(const char *names, const char *labels)
{
    while (labels && *names) {
        size_t length = strcspn(names, ",");
        labels = skip_label(labels, names, length);
        names += names[length] == ',' ? length + 1 : length;
    }
    return labels && !*labels;
}

struct metric *metric_of(enum metric_id id, const char *labels)
{
    const struct metric_spec *s = &METRIC_SPECS[id];
    assert(fits(s->labels, labels));
    return metric_get(s->name, labels, s->help, s->type, s->unit);
}

/* As the exposition format has it: \\, \" and \n. */
static void add_escaped(struct buf *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '\n') {
            buf_add_str(out, "\\n");
            continue;
        }
        if (*value == '"' || *value == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, *value);
    }
}

struct metric *metric_with(enum metric_id id, const char *value)
{
    struct buf labels = {0};
    buf_printf(&labels, "%s=\"", METRIC_SPECS[id].labels);
    add_escaped(&labels, value);
    buf_add_char(&labels, '"');
    struct metric *m = metric_of(id, labels.data);
    buf_done(&labels);
    return m;
}

void metric_clear(enum metric_id id)
{
    metrics_zero(METRIC_SPECS[id].name);
}

void metric_drop(enum metric_id id)
{
    metrics_drop(METRIC_SPECS[id].name);
}

void metric_count(enum metric_id id, const char *value)
{
    metric_add(metric_with(id, value), 1);
}
