#include "emitter/format/ai_usage.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const KINDS[AI_KINDS] = {"input", "output", "cached", "reasoning"};

struct rule {
    const char *provider; /* texts: the document's */
    const char *model;
    enum ai_kind kind;
    const char *metric;
    bool with_provider; /* as a dimension */
    bool with_model;
    bool with_kind;
};

struct ai_table {
    json_t *document; /* owned */
    struct rule *rules;
    size_t count;
};

/* The table. */

static bool *dimension_of(struct rule *r, const char *name)
{
    if (!name)
        return NULL;
    if (!strcmp(name, "provider"))
        return &r->with_provider;
    if (!strcmp(name, "model"))
        return &r->with_model;
    return strcmp(name, "kind") ? NULL : &r->with_kind;
}

static int read_rule(struct rule *r, const json_t *item, size_t number, struct err *e)
{
    const char *kind = json_string_value(json_object_get(item, "kind"));
    const char *provider = json_string_value(json_object_get(item, "provider"));
    const char *model = json_string_value(json_object_get(item, "model"));
    const json_t *dimensions = json_object_get(item, "dimensions");
    *r = (struct rule){.provider = provider ? provider : "*",
                       .model = model ? model : "*",
                       .metric = json_string_value(json_object_get(item, "metric"))};
    while (kind && r->kind < AI_KINDS && strcmp(KINDS[r->kind], kind) != 0)
        r->kind++;
    if (!kind || r->kind == AI_KINDS)
        return err_set(e, ERR_INPUT,
                       "gateway_usage: rule %zu: kind must be input, output, cached or reasoning",
                       number);
    if (!r->metric || !str_is_name(r->metric, strlen(r->metric)))
        return err_set(e, ERR_INPUT, "gateway_usage: rule %zu: metric must be [a-z0-9_]{1,64}",
                       number);
    for (size_t i = 0; i < json_array_size(dimensions); i++) {
        bool *with = dimension_of(r, json_string_value(json_array_get(dimensions, i)));
        if (!with)
            return err_set(e, ERR_INPUT,
                           "gateway_usage: rule %zu: dimensions may be provider, model and kind",
                           number);
        *with = true;
    }
    return 0;
}

struct ai_table *ai_table_load(const char *file, struct err *e)
{
    json_error_t error;
    struct ai_table *t = xcalloc(1, sizeof *t);
    t->document = json_load_file(file, 0, &error);
    const json_t *list = json_object_get(t->document, "gateway_usage");
    int result = t->document ? 0 : err_set(e, ERR_INPUT, "%s: %s", file, error.text);
    if (result == 0 && list && !json_is_array(list))
        result = err_set(e, ERR_INPUT, "%s: gateway_usage must be an array", file);
    t->rules = xcalloc(json_array_size(list) + 1, sizeof *t->rules);
    for (; result == 0 && t->count < json_array_size(list); t->count++)
        result = read_rule(&t->rules[t->count], json_array_get(list, t->count), t->count + 1, e);
    if (result == 0)
        return t;
    ai_table_free(t);
    return NULL;
}

void ai_table_free(struct ai_table *t)
{
    if (!t)
        return;
    json_decref(t->document);
    free(t->rules);
    free(t);
}

bool ai_table_is_empty(const struct ai_table *t)
{
    return !t || t->count == 0;
}

/* A star at the end stands for anything. */
static bool fits(const char *pattern, const char *text)
{
    size_t length = strlen(pattern);
    text = text ? text : "";
    if (length > 0 && pattern[length - 1] == '*')
        return !strncmp(pattern, text, length - 1);
    return !strcmp(pattern, text);
}

static const struct rule *find_rule(const struct ai_table *t, const struct ai_usage *u,
                                    enum ai_kind kind)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->rules[i].kind == kind && fits(t->rules[i].provider, u->provider) &&
            fits(t->rules[i].model, u->model))
            return &t->rules[i];
    return NULL;
}

/* Events. */

static int refuse(struct format *f, const char *why)
{
    snprintf(f->event.why, sizeof f->event.why, "%s", why);
    return -1;
}

void ai_usage_refuse(struct format *f, const char *why)
{
    format_begin(f);
    format_end(f, refuse(f, why));
}

static int give_text(struct format *f, enum event_known known, const char *text)
{
    return event_line_give(&f->event, known, (struct slice){text, strlen(text)});
}

static int give_dimension(struct format *f, bool with, const char *name, const char *text)
{
    if (!with || !text || !*text)
        return 0;
    return event_line_give_dimension(&f->event, (struct slice){name, strlen(name)},
                                     (struct slice){text, strlen(text)});
}

static void give_event(struct format *f, const struct ai_usage *u, const struct rule *r,
                       int64_t tokens)
{
    char *id = xasprintf("%s %s", u->id, KINDS[r->kind]);
    format_begin(f);
    format_end(f, (u->tenant && give_text(f, EVENT_TENANT, u->tenant)) ||
                      give_text(f, EVENT_METRIC, r->metric) || give_text(f, EVENT_ID, id) ||
                      format_give_number(f, EVENT_QUANTITY, tokens) ||
                      (u->ts_ms && format_give_number(f, EVENT_TS, u->ts_ms)) ||
                      give_dimension(f, r->with_provider, "provider", u->provider) ||
                      give_dimension(f, r->with_model, "model", u->model) ||
                      give_dimension(f, r->with_kind, "kind", KINDS[r->kind]));
    free(id);
}

void ai_usage_give(struct format *f, const struct ai_table *t, const struct ai_usage *u)
{
    int64_t tokens[AI_KINDS];
    memcpy(tokens, u->tokens, sizeof tokens);
    if (!u->id || !*u->id) {
        ai_usage_refuse(f, "id: is missing: the id of the response or span");
        return;
    }
    if (tokens[AI_CACHED] > tokens[AI_INPUT] || tokens[AI_REASONING] > tokens[AI_OUTPUT]) {
        ai_usage_refuse(f, "usage: there are more cached tokens than input, or more for reasoning "
                           "than output");
        return;
    }
    if (find_rule(t, u, AI_CACHED))
        tokens[AI_INPUT] -= tokens[AI_CACHED];
    if (find_rule(t, u, AI_REASONING))
        tokens[AI_OUTPUT] -= tokens[AI_REASONING];
    for (enum ai_kind kind = AI_INPUT; kind < AI_KINDS; kind++) {
        const struct rule *r = find_rule(t, u, kind);
        if (r && tokens[kind] > 0)
            give_event(f, u, r, tokens[kind]);
    }
}

int ai_tokens_of(const json_t *value, int64_t *out)
{
    const char *text = json_string_value(value); /* OTLP has 64-bit numbers as texts */
    *out = 0;
    if (!value || json_is_null(value))
        return 0;
    if (json_is_integer(value))
        *out = json_integer_value(value);
    else if (!text || str_to_i64(text, strlen(text), out))
        return -1;
    return *out >= 0 ? 0 : -1;
}
