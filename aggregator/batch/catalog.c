#include "aggregator/batch/catalog.h"

#include "common/str.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_INITIAL 64U

static const char *const AGGREGATION_NAMES[] = {
    [AGG_SUM] = "sum",   [AGG_COUNT] = "count",   [AGG_MAX] = "max",
    [AGG_LAST] = "last", [AGG_UNIQUE] = "unique",
};
#define AGGREGATIONS ((int)(sizeof(AGGREGATION_NAMES) / sizeof(AGGREGATION_NAMES[0])))

int aggregation_parse(const char *name, enum aggregation *out)
{
    for (int i = 0; i < AGGREGATIONS; i++) {
        if (strcmp(name, AGGREGATION_NAMES[i]) == 0) {
            *out = (enum aggregation)i;
            return 0;
        }
    }
    return -1;
}

const char *aggregation_name(enum aggregation a)
{
    return AGGREGATION_NAMES[a];
}

static void set_slots(struct catalog *c, uint32_t count)
{
    free(c->slots);
    c->slots = xmalloc(count * sizeof(*c->slots));
    memset(c->slots, 0xff, count * sizeof(*c->slots)); /* -1 */
    c->slots_mask = count - 1;
}

struct catalog *catalog_new(void)
{
    struct catalog *c = xcalloc(1, sizeof(*c));
    set_slots(c, SLOTS_INITIAL);
    return c;
}

static void free_metric(struct metric_def *m)
{
    for (int i = 0; i < m->dimensions_count; i++)
        free(m->dimensions[i]);
    for (int i = 0; i < m->where_count; i++) {
        free(m->where[i].name);
        free(m->where[i].value);
    }
    free(m->dimensions);
    free(m->from);
    free(m->where);
    free(m->derived);
}

void catalog_free(struct catalog *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->count; i++)
        free_metric(&c->metrics[i]);
    for (int i = 0; i < c->backfills_count; i++) {
        free(c->backfills[i].id);
        free(c->backfills[i].tenant);
    }
    free(c->backfills);
    free(c->metrics);
    free(c->slots);
    free(c);
}

/* Unkeyed (FNV-1a), since only the catalog's owner puts names in. */
static uint32_t hash_name(const char *name, size_t length)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619U;
    return hash;
}

static bool is_named(const struct metric_def *m, const char *name, size_t length)
{
    return length <= METRIC_MAX_BYTES && memcmp(m->name, name, length) == 0 &&
           m->name[length] == '\0';
}

/* The slot that leads to the name, or the free one where it belongs. */
static int32_t *find_slot(const struct catalog *c, const char *name, size_t length)
{
    uint32_t i = hash_name(name, length) & c->slots_mask;
    while (c->slots[i] >= 0 && !is_named(&c->metrics[c->slots[i]], name, length))
        i = (i + 1) & c->slots_mask;
    return &c->slots[i];
}

int catalog_find(const struct catalog *c, const char *name, size_t length)
{
    if (length == 0 || length > METRIC_MAX_BYTES)
        return -1;
    return *find_slot(c, name, length);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void copy_metric(struct metric_def *to, const struct metric_def *from)
{
    *to = *from;
    to->derived = NULL;
    to->derived_count = 0;
    to->from = !from->from ? NULL : xstrdup(from->from);
    to->dimensions = xcalloc((size_t)from->dimensions_count + 1, sizeof(*to->dimensions));
    for (int i = 0; i < from->dimensions_count; i++)
        to->dimensions[i] = xstrdup(from->dimensions[i]);
    qsort(to->dimensions, (size_t)to->dimensions_count, sizeof(*to->dimensions), compare_names);
    to->where = xcalloc((size_t)from->where_count + 1, sizeof(*to->where));
    for (int i = 0; i < from->where_count; i++) {
        to->where[i].name = xstrdup(from->where[i].name);
        to->where[i].value = xstrdup(from->where[i].value);
    }
}

static int check_metric(const struct catalog *c, const struct metric_def *m, struct err *e)
{
    if (!str_is_name(m->name, strnlen(m->name, sizeof(m->name))))
        return err_set(e, ERR_INPUT, "metric %.70s: name is not [a-z0-9_]{1,64}", m->name);
    if (catalog_find(c, m->name, strlen(m->name)) >= 0)
        return err_set(e, ERR_INPUT, "metric %s: is there twice", m->name);
    if (m->dimensions_count > DIMENSIONS_MAX)
        return err_set(e, ERR_INPUT, "metric %s: more than %d dimensions", m->name, DIMENSIONS_MAX);
    for (int i = 0; i < m->dimensions_count; i++) {
        if (!str_is_name(m->dimensions[i], strlen(m->dimensions[i])))
            return err_set(e, ERR_INPUT, "metric %s: dimension %.70s is not [a-z0-9_]{1,64}",
                           m->name, m->dimensions[i]);
        if (i > 0 && strcmp(m->dimensions[i - 1], m->dimensions[i]) == 0)
            return err_set(e, ERR_INPUT, "metric %s: dimension %s is there twice", m->name,
                           m->dimensions[i]);
    }
    return 0;
}

static void grow_slots(struct catalog *c)
{
    set_slots(c, (c->slots_mask + 1) * 2);
    for (int i = 0; i < c->count; i++)
        *find_slot(c, c->metrics[i].name, strlen(c->metrics[i].name)) = i;
}

int catalog_add(struct catalog *c, const struct metric_def *def, struct err *e)
{
    struct metric_def metric;
    copy_metric(&metric, def); /* sorted: a dimension that is there twice has its twin beside it */
    if (check_metric(c, &metric, e) < 0) {
        free_metric(&metric);
        return -1;
    }
    if (c->count == c->capacity) {
        c->capacity = c->capacity == 0 ? 16 : c->capacity * 2;
        c->metrics = xrealloc(c->metrics, (size_t)c->capacity * sizeof(*c->metrics));
    }
    if ((uint32_t)c->count >= (c->slots_mask + 1) / 2)
        grow_slots(c);
    c->metrics[c->count] = metric;
    *find_slot(c, metric.name, strlen(metric.name)) = c->count;
    return c->count++;
}

int catalog_link(struct catalog *c, struct err *e)
{
    for (int i = 0; i < c->count; i++) {
        const struct metric_def *m = &c->metrics[i];
        if (!m->from)
            continue;
        int found = catalog_find(c, m->from, strlen(m->from));
        if (found < 0 || c->metrics[found].from)
            return err_set(e, ERR_INPUT,
                           "metric %s: from %.70s is not a metric with events of its own", m->name,
                           m->from);
        struct metric_def *base = &c->metrics[found];
        base->derived =
            xrealloc(base->derived, ((size_t)base->derived_count + 1) * sizeof(*base->derived));
        base->derived[base->derived_count++] = i;
    }
    return 0;
}

void catalog_add_backfill(struct catalog *c, const struct catalog_backfill *backfill)
{
    size_t n = (size_t)c->backfills_count + 1;
    c->backfills = xrealloc(c->backfills, n * sizeof(*c->backfills));
    struct catalog_backfill *added = &c->backfills[c->backfills_count++];
    *added = *backfill;
    added->id = xstrdup(backfill->id);
    added->tenant = xstrdup(backfill->tenant);
}

static bool is_text(struct text text, const char *other)
{
    return text.length == strlen(other) && memcmp(text.data, other, text.length) == 0;
}

bool catalog_lets_in(const struct catalog *c, struct text id, struct text tenant,
                     int64_t occurred_ms, int64_t now_ms)
{
    for (int i = 0; i < c->backfills_count; i++) {
        const struct catalog_backfill *b = &c->backfills[i];
        if (is_text(id, b->id) && is_text(tenant, b->tenant))
            return occurred_ms >= b->from_ms && occurred_ms < b->until_ms && now_ms < b->ends_ms;
    }
    return false;
}
