/* The catalog file's outer form, and its metrics. */
#include "ctl/catalog/catalog_parse.h"
#include "common/contract.h"

#include <string.h>

enum { TITLE_MAX_BYTES = 200, EVENT_NAME_MAX_BYTES = 100 }; /* Stripe: meters[event_name] */

static const char *const METRIC_KEYS[] = {"metric",      "name",     "unit",
                                          "aggregation", "carry",    "dimensions",
                                          "from",        "where",    "stripe_event_name",
                                          "transport",   "rounding", "cost_per_unit",
                                          "hours_saved", NULL};
static const char *const AGGREGATIONS[] = {"sum", "count", "max", "last", "unique", NULL};
static const char *const TRANSPORTS[] = {"meter_events", "meter_event_stream", "usage_records",
                                         "none", NULL};
static const char *const ROUNDINGS[] = {"floor", NULL};

/* Fields that every stream entry may have. */
static bool is_reserved(const char *name)
{
    static const char *const NAMES[] = {FIELD_TENANT, FIELD_METRIC, FIELD_QUANTITY,
                                        FIELD_ID,     FIELD_TS,     FIELD_OP};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (strcmp(NAMES[i], name) == 0)
            return true;
    return false;
}

static bool check_dimension(struct check *c, const struct path *at, const char *name)
{
    if (!name || !str_is_name(name, strlen(name)))
        check_fault(c, at, "must be a name of 1 to 64 characters a-z, 0-9 and _");
    else if (is_reserved(name))
        check_fault(c, at, "is a field of every event, so it cannot be a dimension");
    else
        return true;
    return false;
}

static void parse_dimensions(struct check *c, const struct path *at, json_t *item, json_t *row)
{
    struct path p = path_key(at, "dimensions");
    json_t *list = json_object_get(item, "dimensions");
    json_t *names = json_array();
    json_object_set_new(row, "dimensions", names);
    if (!list || !check_array(c, &p, list))
        return;
    if (json_array_size(list) > DIMENSIONS_MAX)
        check_fault(c, &p, "must have at most %d names", DIMENSIONS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct path each = path_index(&p, i);
        const char *name = json_string_value(json_array_get(list, i));
        if (!check_dimension(c, &each, name))
            continue;
        for (size_t k = 0; k < i; k++)
            if (json_equal(json_array_get(list, k), json_array_get(list, i)))
                check_fault(c, &each, "is listed twice");
        json_array_append_new(names, json_string(name));
    }
}

/* unique counts the different values of its dimensions, so it needs one. */
static void check_unique(struct check *c, const struct path *at, const json_t *row)
{
    struct path p = path_key(at, "dimensions");
    const char *aggregation = json_string_value(json_object_get(row, "aggregation"));
    if (aggregation && strcmp(aggregation, "unique") == 0 &&
        json_array_size(json_object_get(row, "dimensions")) == 0)
        check_fault(c, &p, "must name at least one: unique counts their different values");
}

static void parse_where(struct check *c, const struct path *at, json_t *item, json_t *row)
{
    struct path p = path_key(at, "where");
    json_t *where = json_object_get(item, "where");
    json_t *filters = json_object();
    const char *name;
    json_t *value;
    json_object_set_new(row, "where_dimensions", filters);
    if (!where || !check_object(c, &p, where))
        return;
    if (!json_object_get(item, "from"))
        check_fault(c, &p, "needs \"from\", the metric that it filters");
    json_object_foreach(where, name, value)
    {
        struct path each = path_key(&p, name);
        const char *text = json_string_value(value);
        if (!check_dimension(c, &each, name))
            continue;
        if (!text || strlen(text) > DIMENSION_MAX_BYTES)
            check_fault(c, &each, "must be a string of at most %d bytes", DIMENSION_MAX_BYTES);
        else
            json_object_set(filters, name, value);
    }
}

/* A legacy price adds up its usage records, so only sums can be sent to it. */
static void check_increments(struct check *c, const struct path *at, const json_t *row)
{
    struct path p = path_key(at, "transport");
    const char *transport = json_string_value(json_object_get(row, "transport"));
    const char *aggregation = json_string_value(json_object_get(row, "aggregation"));
    if (transport && strcmp(transport, "usage_records") == 0 && aggregation &&
        strcmp(aggregation, "sum") != 0 && strcmp(aggregation, "count") != 0)
        check_fault(c, &p, "usage_records needs aggregation sum or count");
}

static void parse_from(struct check *c, const struct path *at, json_t *item, json_t *metrics,
                       json_t *row)
{
    struct path p = path_key(at, "from");
    const char *from = check_name(c, at, item, "from", CHECK_OPTIONAL);
    check_set_text(row, "from_metric", from);
    if (!from)
        return;
    json_t *source = check_find_by(metrics, json_array_size(metrics), "metric", from);
    if (!source)
        check_fault(c, &p, "there is no metric %s in this catalog", from);
    else if (source == item)
        check_fault(c, &p, "a metric cannot be derived from itself");
    else if (json_object_get(source, "from"))
        check_fault(c, &p, "%s is itself derived from another metric", from);
}

static void parse_billing(struct check *c, const struct path *at, json_t *item, json_t *row)
{
    struct path p = path_key(at, "stripe_event_name");
    const char *transport = check_choice(c, at, item, "transport", TRANSPORTS, "meter_events");
    const char *event =
        check_text(c, at, item, "stripe_event_name", EVENT_NAME_MAX_BYTES, CHECK_OPTIONAL);
    if (!json_object_get(item, "stripe_event_name") && transport && strcmp(transport, "none") != 0)
        check_fault(c, &p, "is missing (only transport none can do without)");
    check_choice(c, at, item, "rounding", ROUNDINGS, "floor");
    check_set_text(row, "transport", transport);
    check_set_text(row, "stripe_event_name", event);
}

static void parse_aggregation(struct check *c, const struct path *at, json_t *item, json_t *row)
{
    struct path p = path_key(at, "carry");
    const char *aggregation = check_choice(c, at, item, "aggregation", AGGREGATIONS, NULL);
    bool carry = check_bool(c, at, item, "carry");
    if (carry && aggregation && strcmp(aggregation, "last") != 0)
        check_fault(c, &p, "needs aggregation last");
    check_set_text(row, "aggregation", aggregation);
    json_object_set_new(row, "carry", json_boolean(carry));
}

/* What a unit costs, and the work that it saves. */
static void parse_worth(struct check *c, const struct path *at, json_t *item, json_t *row)
{
    static const char *const KEYS[] = {"amount_minor", "per", "currency", NULL};
    struct path p = path_key(at, "cost_per_unit");
    json_t *cost = json_object_get(item, "cost_per_unit");
    char text[DEC_TEXT_SIZE];
    struct dec hours;
    check_set_text(row, "cost_per_unit", NULL);
    check_set_text(row, "cost_currency", NULL);
    check_set_text(row, "hours_saved", NULL);
    if (cost && check_object(c, &p, cost)) {
        check_keys(c, &p, cost, KEYS);
        catalog_parse_unit_price(c, &p, cost, row, "cost_per_unit");
        check_set_text(row, "cost_currency", check_currency(c, &p, cost));
    }
    if (json_object_get(item, "hours_saved") && check_decimal(c, at, item, "hours_saved", &hours)) {
        dec_format(hours, text);
        check_set_text(row, "hours_saved", text);
    }
}

static void parse_metric(struct check *c, const struct path *at, json_t *metrics, size_t index,
                         json_t *rows)
{
    json_t *item = json_array_get(metrics, index);
    if (!check_object(c, at, item))
        return;
    json_t *row = json_object();
    check_keys(c, at, item, METRIC_KEYS);
    check_set_text(row, "metric", check_name(c, at, item, "metric", CHECK_REQUIRED));
    check_set_text(row, "display_name",
                   check_text(c, at, item, "name", TITLE_MAX_BYTES, CHECK_REQUIRED));
    check_set_text(row, "unit", check_text(c, at, item, "unit", TITLE_MAX_BYTES, CHECK_REQUIRED));
    parse_aggregation(c, at, item, row);
    parse_dimensions(c, at, item, row);
    check_unique(c, at, row);
    parse_from(c, at, item, metrics, row);
    parse_where(c, at, item, row);
    parse_billing(c, at, item, row);
    check_increments(c, at, row);
    parse_worth(c, at, item, row);
    check_unique_text(c, at, metrics, index, "metric");
    check_unique_text(c, at, metrics, index, "stripe_event_name");
    json_array_append_new(rows, row);
}

static void parse_metrics(struct check *c, json_t *metrics, json_t *rows)
{
    struct path at = path_key(NULL, "metrics");
    for (size_t i = 0; i < json_array_size(metrics); i++) {
        struct path each = path_index(&at, i);
        parse_metric(c, &each, metrics, i, rows);
    }
}

enum { PERCENT_MAX = 10000 };

/* Per cent of a limit, each once. */
static void parse_alerts(struct check *c, const json_t *alerts, json_t *rows)
{
    size_t i;
    const json_t *percent;
    json_int_t last = 0;
    struct path at_alerts = path_key(NULL, "alerts");
    if (!check_array(c, &at_alerts, alerts))
        return;
    json_array_foreach(alerts, i, percent)
    {
        struct path at = path_index(&at_alerts, i);
        json_int_t value = json_integer_value(percent);
        if (!json_is_integer(percent) || value < 1 || value > PERCENT_MAX)
            check_fault(c, &at, "must be a whole number of per cent from 1 to %d", PERCENT_MAX);
        else if (value <= last)
            check_fault(c, &at, "must be greater than the one before it");
        else
            json_array_append_new(rows, json_pack("{s:I}", "percent", value));
        last = value;
    }
}

/* For the emitter alone, which reads it from the file: nothing of it is in the database. */
static void check_gateway_usage(struct check *c, json_t *rules, json_t *metrics)
{
    static const char *const KEYS[] = {"provider", "model", "kind", "metric", "dimensions", NULL};
    static const char *const KINDS[] = {"input", "output", "cached", "reasoning", NULL};
    struct path at = path_key(NULL, "gateway_usage");
    if (!rules || !check_array(c, &at, rules))
        return;
    for (size_t i = 0; i < json_array_size(rules); i++) {
        struct path each = path_index(&at, i);
        json_t *rule = json_array_get(rules, i);
        if (!check_object(c, &each, rule))
            continue;
        check_keys(c, &each, rule, KEYS);
        check_text(c, &each, rule, "provider", DIMENSION_MAX_BYTES, CHECK_OPTIONAL);
        check_text(c, &each, rule, "model", DIMENSION_MAX_BYTES, CHECK_OPTIONAL);
        check_choice(c, &each, rule, "kind", KINDS, NULL);
        const char *metric = check_name(c, &each, rule, "metric", CHECK_REQUIRED);
        if (metric && !check_find_by(metrics, json_array_size(metrics), "metric", metric))
            check_fault(c, &each, "the catalog has no metric %s", metric);
    }
}

static void parse_parts(struct check *c, json_t *document, json_t *rows)
{
    static const char *const KEYS[] = {"metrics", "plans",        "on_collection_pause", "alerts",
                                       "tax",     "tax_rounding", "gateway_usage",       NULL};
    static const char *const ON_PAUSE[] = {"active", "blocked", NULL};
    static const char *const ROUNDING[] = {"line", "invoice", NULL};
    json_t *defaults = json_pack("[i, i, i]", 80, 100, 120);
    json_t *alerts = json_object_get(document, "alerts");
    json_t *metrics = json_object_get(document, "metrics");
    json_t *plans = json_object_get(document, "plans");
    struct path at_metrics = path_key(NULL, "metrics");
    struct path at_plans = path_key(NULL, "plans");
    check_keys(c, NULL, document, KEYS);
    check_set_text(json_object_get(rows, "settings"), "on_collection_pause",
                   check_choice(c, NULL, document, "on_collection_pause", ON_PAUSE, "active"));
    check_set_text(json_object_get(rows, "settings"), "tax_rounding",
                   check_choice(c, NULL, document, "tax_rounding", ROUNDING, "line"));
    if (check_array(c, &at_metrics, metrics))
        parse_metrics(c, metrics, json_object_get(rows, "metrics"));
    if (check_array(c, &at_plans, plans))
        catalog_parse_plans(c, plans, metrics, json_object_get(rows, "plans"),
                            json_object_get(rows, "limits"));
    catalog_parse_tax(c, json_object_get(document, "tax"), json_object_get(rows, "tax"));
    check_gateway_usage(c, json_object_get(document, "gateway_usage"), metrics);
    parse_alerts(c, alerts ? alerts : defaults, json_object_get(rows, "alerts"));
    json_decref(defaults);
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
    json_t *rows = json_pack("{s:[], s:[], s:[], s:{}, s:[], s:[]}", "metrics", "plans", "limits",
                             "settings", "alerts", "tax");
    if (check_object(&c, &top, document))
        parse_parts(&c, document, rows);
    json_decref(document);
    if (c.count == 0)
        return rows;
    json_decref(rows);
    return NULL;
}
