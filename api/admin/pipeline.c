/* What waits where, from the streams to Stripe and to those who are told.
 *
 * The happy path: PostgreSQL tells of its queues, and then Redis is asked for the depth and the lag
 * of each stream. Failure mode: Redis is away; then these are null, and the rest is told. */
#include "api/admin/admin_routes.h"
#include "api/request.h"
#include "api/sql.h"
#include "common/contract.h"
#include "common/str.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

enum { REDIS_MS = 2000 };

static const struct api_field STREAM[] = {
    {.name = "stream", .type = API_TEXT, .what = "its key in Redis"},
    {.name = "depth", .type = API_WHOLE, .nullable = true, .what = "entries that are in it"},
    {.name = "lag",
     .type = API_WHOLE,
     .nullable = true,
     .what = "entries that are not counted yet; null: Redis is away, or cannot tell"},
    {.name = "counted_to", .type = API_TEXT, .what = "id of the last entry that was counted"},
    {.name = "owner", .type = API_TEXT, .nullable = true, .what = "who counts it; null: nobody"},
    API_FIELDS_END};

static const struct api_field QUEUE[] = {
    {.name = "state", .type = API_TEXT, .what = "of what waits"},
    {.name = "count", .type = API_WHOLE, .what = "how many there are"},
    {.name = "oldest_s", .type = API_WHOLE, .nullable = true, .what = "age of the oldest, in s"},
    API_FIELDS_END};

static const struct api_field REJECTED[] = {
    {.name = "reason", .type = API_NAME, .what = "why they were not counted"},
    {.name = "count", .type = API_WHOLE, .what = "entries that were not replayed"},
    API_FIELDS_END};

static const struct api_field PIPELINE[] = {
    {.name = "streams",
     .type = API_LIST,
     .fields = STREAM,
     .what = "events that wait to be counted"},
    {.name = "submissions",
     .type = API_LIST,
     .fields = QUEUE,
     .what = "usage on its way to Stripe: pending, sending, held, in_doubt, failed, late"},
    {.name = "webhooks",
     .type = API_LIST,
     .fields = QUEUE,
     .what = "Stripe's events: received (they wait) and failed"},
    {.name = "messages",
     .type = API_LIST,
     .fields = QUEUE,
     .what = "what is to be told by signals, mail and POSTs: waiting and failed"},
    {.name = "rejected", .type = API_LIST, .fields = REJECTED, .what = "by reason"},
    API_FIELDS_END};

struct pipeline {
    struct api_request *request;
    json_t *told;
    int asked; /* commands that are not answered yet */
};

/* One stream, of which something was asked. */
struct asking {
    struct pipeline *pipeline;
    json_t *stream; /* its row; borrowed */
};

static void release(void *state)
{
    struct pipeline *p = state;
    json_decref(p->told);
    free(p);
}

static void end_command(struct asking *a)
{
    struct pipeline *p = a->pipeline;
    free(a);
    if (--p->asked == 0)
        api_answer(p->request, json_incref(p->told));
}

static void on_length(void *owner, const struct err *error, void *result)
{
    struct asking *a = owner;
    const redisReply *reply = result;
    if (!error && reply->type == REDIS_REPLY_INTEGER)
        json_object_set_new(a->stream, "depth", json_integer(reply->integer));
    end_command(a);
}

/* XINFO GROUPS: name and value by turns, for each group. */
static const redisReply *member(const redisReply *group, const char *name)
{
    for (size_t i = 0; i + 1 < group->elements; i += 2)
        if (group->element[i]->str && strcmp(group->element[i]->str, name) == 0)
            return group->element[i + 1];
    return NULL;
}

static void on_groups(void *owner, const struct err *error, void *result)
{
    struct asking *a = owner;
    const redisReply *reply = result;
    for (size_t i = 0; !error && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        const redisReply *name = member(reply->element[i], "name");
        const redisReply *lag = member(reply->element[i], "lag");
        if (name && name->str && strcmp(name->str, STREAM_GROUP) == 0 && lag &&
            lag->type == REDIS_REPLY_INTEGER)
            json_object_set_new(a->stream, "lag", json_integer(lag->integer));
    }
    end_command(a);
}

static void ask(struct pipeline *p, json_t *stream, redis_done_fn done, int argc, const char **argv,
                const char *key)
{
    struct asking *a = xcalloc(1, sizeof *a);
    a->pipeline = p;
    a->stream = stream;
    p->asked++;
    redis_router_command(p->request->context->redis, key, strlen(key), REDIS_MS, done, a, argc,
                         argv, NULL);
}

static void take_queues(struct api_request *r, PGresult **results, int n)
{
    struct pipeline *p = xcalloc(1, sizeof *p);
    size_t i;
    json_t *stream;
    (void)n;
    p->request = r;
    p->told = json_loads(PQgetvalue(results[0], 0, 0), 0, NULL);
    p->asked = 1; /* until all are asked */
    r->state = p;
    r->release = release;
    json_array_foreach(json_object_get(p->told, "streams"), i, stream)
    {
        const char *key = json_string_value(json_object_get(stream, "stream"));
        const char *length[] = {"XLEN", key};
        const char *groups[] = {"XINFO", "GROUPS", key};
        ask(p, stream, on_length, 2, length, key);
        ask(p, stream, on_groups, 3, groups, key);
    }
    if (--p->asked == 0)
        api_answer(r, json_incref(p->told));
}

static void read_pipeline(struct api_request *r)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_READ_PIPELINE);
    api_sql(r, &s, 1, take_queues);
}

const struct api_route PIPELINE_ROUTES[] = {
    {.method = "GET",
     .path = "/api/admin/pipeline",
     .what = "What waits where: streams, submissions, Stripe's events, messages, rejected entries.",
     .role = API_ADMIN,
     .scope = API_OF_FLEET,
     .answer = PIPELINE,
     .handle = read_pipeline},
    {.method = NULL}};
