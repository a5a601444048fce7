#include "emitter/format/ai_feeds.h"

#include "common/json_exact.h"

#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 100000000000LL

static json_t *load(const char *body, size_t length, struct err *e)
{
    json_t *found = json_exact_load(body, length);
    if (!found)
        err_set(e, ERR_INPUT, "the body is not JSON");
    return found;
}

static const char *text_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && *text ? text : NULL;
}

/* Seconds, whole or as a text with a fraction, in ms; 0: it is neither. */
static int64_t ms_of(const json_t *seconds)
{
    struct dec value;
    struct dec ms = DEC_ZERO;
    int64_t out;
    if (!seconds || json_exact_dec(seconds, &value) || dec_to_i64(dec_floor(value), &out) ||
        out < 0 || out > SECONDS_MAX)
        return 0;
    ms.scaled = value.scaled * 1000;
    return dec_to_i64(dec_floor(ms), &out) ? 0 : out;
}

/* usage of either kind of answer: by Chat Completions, or by Responses. */
static int read_usage(const json_t *usage, struct ai_usage *u)
{
    const json_t *input = json_object_get(usage, "prompt_tokens");
    const json_t *output = json_object_get(usage, "completion_tokens");
    const json_t *in = json_object_get(usage, "prompt_tokens_details");
    const json_t *out = json_object_get(usage, "completion_tokens_details");
    input = input ? input : json_object_get(usage, "input_tokens");
    output = output ? output : json_object_get(usage, "output_tokens");
    in = in ? in : json_object_get(usage, "input_tokens_details");
    out = out ? out : json_object_get(usage, "output_tokens_details");
    if (!input && !output)
        return -1;
    return ai_tokens_of(input, &u->tokens[AI_INPUT]) ||
                   ai_tokens_of(output, &u->tokens[AI_OUTPUT]) ||
                   ai_tokens_of(json_object_get(in, "cached_tokens"), &u->tokens[AI_CACHED]) ||
                   ai_tokens_of(json_object_get(out, "reasoning_tokens"), &u->tokens[AI_REASONING])
               ? -1
               : 0;
}

/* OpenAI. */

static const char NO_USAGE[] = "usage: is missing, or its tokens are no whole numbers from 0 on";

static void give_answer(struct format *f, const struct ai_table *t, const json_t *answer)
{
    const json_t *usage = json_object_get(answer, "usage");
    const json_t *created = json_object_get(answer, "created");
    struct ai_usage u = {.id = text_at(answer, "id"),
                         .provider = "openai",
                         .model = text_at(answer, "model"),
                         .tenant = text_at(json_object_get(answer, "metadata"), "tenant"),
                         .ts_ms = ms_of(created ? created : json_object_get(answer, "created_at"))};
    if (read_usage(usage, &u))
        ai_usage_refuse(f, NO_USAGE);
    else
        ai_usage_give(f, t, &u);
}

/* The answer that a piece of a stream brings, if it has usage. */
static json_t *answer_of(json_t *piece)
{
    json_t *response = json_object_get(piece, "response"); /* response.completed */
    json_t *answer = response ? response : piece;
    return json_is_object(json_object_get(answer, "usage")) ? answer : NULL;
}

/* "data: {…}" lines. The last piece with usage counts: those before have it as far as it was. */
static int read_stream(struct format *f, const struct ai_table *t, const char *body, size_t length,
                       struct err *e)
{
    static const char DATA[] = "data:";
    json_t *last = NULL;
    const char *end = body + length;
    for (const char *line = body; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        size_t head = sizeof DATA - 1;
        bool is_data = (size_t)(stop - line) > head && !memcmp(line, DATA, head);
        json_t *piece = is_data ? json_exact_load(line + head, (size_t)(stop - line) - head) : NULL;
        if (piece && answer_of(piece)) {
            json_decref(last);
            last = json_incref(piece);
        }
        json_decref(piece);
        line = stop + 1;
    }
    if (!last)
        return err_set(e, ERR_INPUT,
                       "no piece of the stream has usage: ask for it by "
                       "stream_options: {\"include_usage\": true}");
    give_answer(f, t, answer_of(last));
    json_decref(last);
    return 0;
}

int ai_feed_openai(struct format *f, const struct ai_table *t, const char *body, size_t length,
                   struct err *e)
{
    if (length > 0 && (*body == 'd' || *body == 'e' || *body == ':'))
        return read_stream(f, t, body, length, e);
    json_t *answer = load(body, length, e);
    if (!answer)
        return -1;
    int result = json_is_object(answer)
                     ? 0
                     : err_set(e, ERR_INPUT, "the answer of a model must be an object");
    if (result == 0)
        give_answer(f, t, answer);
    json_decref(answer);
    return result;
}

/* LiteLLM. */

static const char *tenant_of(const json_t *payload)
{
    const json_t *metadata = json_object_get(payload, "metadata");
    const char *tenant = text_at(metadata, "tenant");
    if (!tenant)
        tenant = text_at(json_object_get(metadata, "requester_metadata"), "tenant");
    if (!tenant)
        tenant = text_at(metadata, "user_api_key_team_id");
    return tenant ? tenant : text_at(payload, "end_user");
}

static void give_payload(struct format *f, const struct ai_table *t, const json_t *payload)
{
    struct ai_usage u = {.id = text_at(payload, "id"),
                         .provider = text_at(payload, "custom_llm_provider"),
                         .model = text_at(payload, "model"),
                         .tenant = tenant_of(payload),
                         .ts_ms = ms_of(json_object_get(payload, "endTime"))};
    struct ai_usage details = {.id = NULL};
    const json_t *usage = json_object_get(json_object_get(payload, "response"), "usage");
    if (!json_is_object(payload)) {
        ai_usage_refuse(f, "a payload must be an object");
        return;
    }
    if (read_usage(payload, &u)) {
        ai_usage_refuse(f, "prompt_tokens and completion_tokens: are missing, or no whole numbers "
                           "from 0 on");
        return;
    }
    if (usage && read_usage(usage, &details) == 0) {
        u.tokens[AI_CACHED] = details.tokens[AI_CACHED];
        u.tokens[AI_REASONING] = details.tokens[AI_REASONING];
    }
    ai_usage_give(f, t, &u);
}

int ai_feed_litellm(struct format *f, const struct ai_table *t, const char *body, size_t length,
                    struct err *e)
{
    json_t *posted = load(body, length, e);
    if (!posted)
        return -1;
    if (json_is_array(posted))
        for (size_t i = 0; i < json_array_size(posted); i++)
            give_payload(f, t, json_array_get(posted, i));
    else
        give_payload(f, t, posted);
    json_decref(posted);
    return 0;
}
