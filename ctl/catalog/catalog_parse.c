/* The catalog file: its outer form, and what metrics and plans share. */
#include "ctl/catalog/catalog_parse.h"

#include <string.h>

static void parse_parts(struct check *c, json_t *document, json_t *rows)
{
    static const char *const KEYS[] = {"metrics", "plans", NULL};
    json_t *metrics = json_object_get(document, "metrics");
    json_t *plans = json_object_get(document, "plans");
    struct path at_metrics = path_key(NULL, "metrics");
    struct path at_plans = path_key(NULL, "plans");

    check_keys(c, NULL, document, KEYS);
    if (check_array(c, &at_metrics, metrics))
        catalog_parse_metrics(c, metrics, json_object_get(rows, "metrics"));
    if (check_array(c, &at_plans, plans))
        catalog_parse_plans(c, plans, metrics, json_object_get(rows, "plans"),
                            json_object_get(rows, "limits"));
}

json_t *catalog_parse(const char *text, size_t length, struct buf *faults)
{
    struct check c = {.faults = faults};
    struct path top = {"catalog"};
    json_error_t error;
    json_t *document = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);

    if (!document) {
        buf_printf(faults, "line %d, column %d: %s\n", error.line, error.column, error.text);
        return NULL;
    }
    json_t *rows = json_pack("{s:[], s:[], s:[]}", "metrics", "plans", "limits");
    if (check_object(&c, &top, document))
        parse_parts(&c, document, rows);
    json_decref(document);
    if (c.count == 0)
        return rows;
    json_decref(rows);
    return NULL;
}
