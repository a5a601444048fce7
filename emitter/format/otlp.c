/* OTLP/HTTP with JSON (opentelemetry.io/docs/specs/otlp), by the conventions for generative AI. */
#include "emitter/format/ai_feeds.h"

#include "common/json_exact.h"

#include <stdlib.h>
#include <string.h>

enum { NANOSECONDS_PER_MS = 1000000, ID_SIZE = 64 };

/* What an attribute is called, by the conventions of today and before. */
static const char *const PROVIDER[] = {"gen_ai.provider.name", "gen_ai.system", NULL};
static const char *const MODEL[] = {"gen_ai.response.model", "gen_ai.request.model", NULL};
static const char *const RESPONSE[] = {"gen_ai.response.id", NULL};
static const char *const TENANT[] = {"meterline.tenant", "tenant.id", "tenant", NULL};
static const char *const TOKENS[AI_KINDS][4] = {
    [AI_INPUT] = {"gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", NULL},
    [AI_OUTPUT] = {"gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", NULL},
    [AI_CACHED] = {"gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cached_tokens", NULL},
    [AI_REASONING] = {"gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens",
                      NULL}};

/* The value of the first of the names that is there; NULL: none is. */
static const json_t *find(const json_t *attributes, const char *const *names)
{
    for (; *names; names++)
        for (size_t i = 0; i < json_array_size(attributes); i++) {
            const json_t *attribute = json_array_get(attributes, i);
            const char *key = json_string_value(json_object_get(attribute, "key"));
            if (key && !strcmp(key, *names))
                return json_object_get(attribute, "value");
        }
    return NULL;
}

static const char *find_text(const json_t *attributes, const char *const *names)
{
    const char *text = json_string_value(json_object_get(find(attributes, names), "stringValue"));
    return text && *text ? text : NULL;
}

static int64_t ms_of(const json_t *nanoseconds)
{
    int64_t value;
    return ai_tokens_of(nanoseconds, &value) ? 0 : value / NANOSECONDS_PER_MS;
}

static bool has_usage(const json_t *attributes)
{
    return find(attributes, TOKENS[AI_INPUT]) || find(attributes, TOKENS[AI_OUTPUT]);
}

static int read_tokens(const json_t *attributes, int64_t tokens[AI_KINDS])
{
    for (int kind = 0; kind < AI_KINDS; kind++) {
        const json_t *value = find(attributes, TOKENS[kind]);
        const json_t *number = json_object_get(value, "intValue");
        if ((value && !number) || ai_tokens_of(number, &tokens[kind]))
            return -1;
    }
    return 0;
}

/* Of a trace and its span, for who does not tell the response's. */
static const char *span_id(const json_t *record, char out[ID_SIZE])
{
    const char *trace = json_string_value(json_object_get(record, "traceId"));
    const char *span = json_string_value(json_object_get(record, "spanId"));
    if (!trace || !span || strlen(trace) != 32 || strlen(span) != 16)
        return NULL;
    snprintf(out, ID_SIZE, "%s-%s", trace, span);
    return out;
}

static void give_record(struct format *f, const struct ai_table *t, const json_t *resource,
                        const json_t *record)
{
    char own_id[ID_SIZE];
    const json_t *attributes = json_object_get(record, "attributes");
    const json_t *time = json_object_get(record, "endTimeUnixNano");
    if (!has_usage(attributes))
        return;
    struct ai_usage u = {.id = find_text(attributes, RESPONSE),
                         .provider = find_text(attributes, PROVIDER),
                         .model = find_text(attributes, MODEL),
                         .tenant = find_text(attributes, TENANT),
                         .ts_ms = ms_of(time ? time : json_object_get(record, "timeUnixNano"))};
    u.id = u.id ? u.id : span_id(record, own_id);
    u.tenant = u.tenant ? u.tenant : find_text(resource, TENANT);
    if (read_tokens(attributes, u.tokens))
        ai_usage_refuse(f, "gen_ai.usage: each number of tokens must be an intValue from 0 on");
    else
        ai_usage_give(f, t, &u);
}

static void give_list(struct format *f, const struct ai_table *t, const json_t *request,
                      const char *const names[3])
{
    const json_t *resources = json_object_get(request, names[0]);
    for (size_t r = 0; r < json_array_size(resources); r++) {
        const json_t *resource = json_array_get(resources, r);
        const json_t *attributes =
            json_object_get(json_object_get(resource, "resource"), "attributes");
        const json_t *scopes = json_object_get(resource, names[1]);
        for (size_t s = 0; s < json_array_size(scopes); s++) {
            const json_t *records = json_object_get(json_array_get(scopes, s), names[2]);
            for (size_t i = 0; i < json_array_size(records); i++)
                give_record(f, t, attributes, json_array_get(records, i));
        }
    }
}

int ai_feed_otlp(struct format *f, const struct ai_table *t, const char *body, size_t length,
                 struct err *e)
{
    static const char *const TRACES[] = {"resourceSpans", "scopeSpans", "spans"};
    static const char *const LOGS[] = {"resourceLogs", "scopeLogs", "logRecords"};
    json_t *request = json_exact_load(body, length);
    bool is_one = json_is_array(json_object_get(request, TRACES[0])) ||
                  json_is_array(json_object_get(request, LOGS[0]));
    if (is_one) {
        give_list(f, t, request, TRACES);
        give_list(f, t, request, LOGS);
    } else {
        err_set(e, ERR_INPUT, "the body must be JSON with an array resourceSpans or resourceLogs");
    }
    json_decref(request);
    return is_one ? 0 : -1;
}
