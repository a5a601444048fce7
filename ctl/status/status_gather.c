/* How the line is doing, from both halves. */
#include "common/clock.h"
#include "ctl/status/child.h"
#include "ctl/status/status.h"

#include <string.h>

/* Together less than the 5 s that are promised: what stands in the ledger is to be known before the
 * streams are read, but not waited for for long. */
enum { POSITIONS_WITHIN_MS = 2000, ALL_WITHIN_MS = 4500 };

static const char *const LISTS[] = {"peers",    "instances", "stages",   "submissions", "webhooks",
                                    "rejected", "meters",    "unbilled", "quotas",      "ledger"};

struct gathering {
    json_t *report;
    json_t *positions; /* NULL until they are known */
    json_t *queues;    /* stream -> what Redis told of it */
    json_t *cache;
    json_t *later; /* rows of stages that stand behind the streams */
    json_t *peers; /* peer -> its row */
};

/* Borrowed; whatever a child tells is taken as it is. */
static void take_finding(void *owner, const json_t *finding)
{
    struct gathering *g = owner;
    const char *list = json_string_value(json_object_get(finding, "list"));
    const char *queue = json_string_value(json_object_get(finding, "queue"));
    const char *peer = json_string_value(json_object_get(finding, "peer"));
    json_t *rows = json_object_get(finding, "rows");

    if (list && strcmp(list, "positions") == 0)
        g->positions = json_incref(rows);
    else if (list && strcmp(list, "stages") == 0)
        json_array_extend(g->later, rows);
    else if (list)
        json_array_extend(json_object_get(g->report, list), rows);
    else if (queue)
        json_object_set(g->queues, queue, (json_t *)finding);
    else if (peer)
        json_object_set(g->peers, peer, (json_t *)finding);
    else
        json_object_update(g->cache, json_object_get(finding, "cache"));
}

static int64_t shards_in_force(const struct gathering *g, const struct ctl_config *config)
{
    const json_t *ledger = json_array_get(json_object_get(g->report, "ledger"), 0);
    int64_t shards = json_integer_value(json_object_get(ledger, "stream_shards"));

    int64_t set = config->base.stream_shards;

    return shards > 0 ? shards : set > 0 ? set : 1;
}

static bool go_on(const volatile sig_atomic_t *stop, int64_t deadline_ms)
{
    return (!stop || !*stop) && clock_monotonic_ms() < deadline_ms;
}

static void read_halves(struct gathering *g, const struct ctl_config *config,
                        const volatile sig_atomic_t *stop, struct status_streams *streams)
{
    struct child ledger, redis = {0};
    struct child *children[] = {&ledger, &redis};
    int64_t start_ms = clock_monotonic_ms();

    child_start(&ledger, status_read_ledger, (void *)config);
    while (child_runs(&ledger) && json_array_size(json_object_get(g->report, "ledger")) == 0 &&
           go_on(stop, start_ms + POSITIONS_WITHIN_MS))
        child_wait(children, 1, start_ms + POSITIONS_WITHIN_MS, take_finding, g);
    *streams = (struct status_streams){config, g->positions, shards_in_force(g, config)};
    child_start(&redis, status_read_streams, streams);
    while ((child_runs(&ledger) || child_runs(&redis)) && go_on(stop, start_ms + ALL_WITHIN_MS))
        child_wait(children, 2, start_ms + ALL_WITHIN_MS, take_finding, g);
    child_end(&ledger);
    child_end(&redis);
}

/* A half that did not come to its end was killed since its time was over. */
static bool add_peer(struct gathering *g, const char *peer, bool told_something)
{
    json_t *row = json_object_get(g->peers, peer);

    if (row)
        json_incref(row);
    else
        row = json_pack(
            "{s:s, s:s, s:s}", "peer", peer, "state", told_something ? "slow" : "down", "error",
            told_something ? "not all of it could be read in time" : "no answer in time");
    json_array_append_new(json_object_get(g->report, "peers"), row);
    return strcmp(json_string_value(json_object_get(row, "state")), "up") == 0;
}

static void add_stream(struct gathering *g, const char *stream)
{
    json_t *row = json_pack("{s:s, s:s}", "stage", "aggregator", "queue", stream);

    json_object_update(row, json_object_get(g->queues, stream));
    for (size_t i = 0; i < json_array_size(g->positions); i++) {
        const json_t *position = json_array_get(g->positions, i);
        if (strcmp(json_string_value(json_object_get(position, "stream")), stream) == 0)
            json_object_update_missing(row, (json_t *)position);
    }
    json_object_del(row, "stream");
    json_object_del(row, "last_id");
    json_object_del(row, "epoch");
    json_array_append_new(json_object_get(g->report, "stages"), row);
}

static void add_stages(struct gathering *g, const struct status_streams *streams)
{
    json_t *names = status_stream_names(streams);

    for (size_t i = 0; i < json_array_size(names); i++)
        add_stream(g, json_string_value(json_array_get(names, i)));
    json_array_extend(json_object_get(g->report, "stages"), g->later);
    json_decref(names);
}

/* The row of quotas is made where PostgreSQL has not made it. */
static void add_cache(struct gathering *g)
{
    json_t *quotas = json_object_get(g->report, "quotas");

    if (json_array_size(quotas) == 0)
        json_array_append_new(quotas, json_object());
    json_object_update(json_array_get(quotas, 0), g->cache);
}

json_t *status_gather(const struct ctl_config *config, const volatile sig_atomic_t *stop,
                      bool *whole)
{
    struct gathering g = {.report = json_object(),
                          .queues = json_object(),
                          .cache = json_object(),
                          .later = json_array(),
                          .peers = json_object()};
    struct status_streams streams;

    for (size_t i = 0; i < sizeof LISTS / sizeof LISTS[0]; i++)
        json_object_set_new(g.report, LISTS[i], json_array());
    read_halves(&g, config, stop, &streams);
    bool redis_is_up = add_peer(&g, "redis", json_object_size(g.queues) > 0);
    bool postgres_is_up = add_peer(&g, "postgres", g.positions != NULL);
    *whole = redis_is_up && postgres_is_up;
    add_stages(&g, &streams);
    add_cache(&g);
    json_decref(g.positions);
    json_decref(g.queues);
    json_decref(g.cache);
    json_decref(g.later);
    json_decref(g.peers);
    return g.report;
}
