#include "common/events/metric_names.h"

#include "common/str.h"

#include <jansson.h>
#include <stdlib.h>

struct metric_names {
    struct slice *list; /* sorted; borrowed from the document */
    size_t count;
    json_t *document; /* owned */
};

static int compare(const void *left, const void *right)
{
    const struct slice *a = left;
    const struct slice *b = right;
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->data, b->data, shorter);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static void collect(struct metric_names *m, const json_t *metrics)
{
    m->list = xcalloc(json_array_size(metrics) + 1, sizeof *m->list);
    for (size_t i = 0; i < json_array_size(metrics); i++) {
        const json_t *metric = json_array_get(metrics, i);
        const char *name = json_string_value(json_object_get(metric, "metric"));
        if (name && !json_object_get(metric, "from"))
            m->list[m->count++] = (struct slice){name, strlen(name)};
    }
    qsort(m->list, m->count, sizeof *m->list, compare);
}

struct metric_names *metric_names_load(const char *file, struct err *e)
{
    json_error_t error;
    json_t *document = json_load_file(file, 0, &error);
    if (!document) {
        if (error.line > 0)
            err_set(e, ERR_INPUT, "%s: line %d: %s", file, error.line, error.text);
        else /* its text names the file */
            err_set(e, ERR_INPUT, "%s", error.text);
        return NULL;
    }
    const json_t *metrics = json_object_get(document, "metrics");
    if (!json_is_array(metrics)) {
        err_set(e, ERR_INPUT, "%s: is not a catalog: it has no array \"metrics\"", file);
        json_decref(document);
        return NULL;
    }
    struct metric_names *m = xcalloc(1, sizeof *m);
    m->document = document;
    collect(m, metrics);
    return m;
}

void metric_names_free(struct metric_names *m)
{
    if (!m)
        return;
    json_decref(m->document);
    free(m->list);
    free(m);
}

bool metric_names_has(const struct metric_names *m, struct slice name)
{
    return bsearch(&name, m->list, m->count, sizeof *m->list, compare) != NULL;
}
