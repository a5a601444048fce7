/* The streams: how much waits in each, and since when. */
#include "common/clock.h"
#include "common/redis/redis.h"
#include "ctl/status/child.h"
#include "ctl/status/status.h"
#include "ctl/streams/stream_info.h"

#include <string.h>

enum { REDIS_TIMEOUT_MS = 4000 };

static void set_number(json_t *finding, const char *name, int64_t value)
{
    json_object_set_new(finding, name, json_integer(value));
}

/* Without PostgreSQL nobody knows the position; what has been counted is trimmed, so the stream's
 * beginning is near it. */
static int add_waiting(redisContext *redis, const char *stream, const struct stream_info *info,
                       const char *last_id, json_t *row, struct err *e)
{
    int64_t waiting = info->length;
    int64_t oldest_ms = 0;

    if (last_id && stream_count_after(redis, stream, info, last_id, &waiting, e))
        return -1;
    if (waiting > 0 && stream_oldest_after(redis, stream, last_id ? last_id : "0-0", &oldest_ms, e))
        return -1;
    if (last_id)
        set_number(row, "waiting", waiting);
    if (oldest_ms > 0)
        set_number(row, "oldest_s", (clock_unix_ms() - oldest_ms) / 1000);
    return 0;
}

static int add_depth(redisContext *redis, const char *stream, const char *last_id, json_t *row,
                     struct err *e)
{
    struct stream_info info;
    int64_t lag;

    if (stream_info_read(redis, stream, &info, e))
        return -1;
    set_number(row, "depth", info.length);
    if (!info.exists) {
        if (last_id)
            set_number(row, "waiting", 0);
        return 0;
    }
    if (stream_group_lag(redis, stream, &lag, e))
        return -1;
    if (lag >= 0)
        set_number(row, "lag", lag);
    return add_waiting(redis, stream, &info, last_id, row, e);
}

static const json_t *find_position(const json_t *positions, const char *stream)
{
    for (size_t i = 0; i < json_array_size(positions); i++) {
        const json_t *position = json_array_get(positions, i);
        if (strcmp(json_string_value(json_object_get(position, "stream")), stream) == 0)
            return position;
    }
    return NULL;
}

json_t *status_stream_names(const struct status_streams *s)
{
    json_t *names = json_array();
    char name[STREAM_NAME_SIZE];

    for (size_t i = 0; i < json_array_size(s->positions); i++)
        json_array_append(names, json_object_get(json_array_get(s->positions, i), "stream"));
    for (int64_t i = 0; i < s->shards; i++) {
        stream_name(s->shards, i, name);
        if (!find_position(s->positions, name))
            json_array_append_new(names, json_string(name));
    }
    return names;
}

/* In a cluster each stream has a server of its own. */
static int tell_stream(const struct status_streams *s, const char *stream, int fd, struct err *e)
{
    const json_t *position = find_position(s->positions, stream);
    const char *last_id = json_string_value(json_object_get(position, "last_id"));
    redisContext *redis =
        redis_connect_blocking_at(s->config->base.redis_url, stream, REDIS_TIMEOUT_MS, NULL, e);
    json_t *row = json_pack("{s:s}", "queue", stream);

    if (!last_id && s->positions)
        last_id = "0-0";
    int failed = redis ? add_depth(redis, stream, last_id, row, e) : -1;
    redisFree(redis);
    child_tell(fd, row);
    return failed;
}

static int tell_streams(const struct status_streams *s, int fd, struct err *e)
{
    json_t *names = status_stream_names(s);
    int failed = 0;

    for (size_t i = 0; !failed && i < json_array_size(names); i++)
        failed = tell_stream(s, json_string_value(json_array_get(names, i)), fd, e);
    json_decref(names);
    return failed;
}

void status_read_streams(void *owner, int fd)
{
    const struct status_streams *s = owner;
    struct err e = {0};
    json_t *cache = json_object();
    int failed = tell_streams(s, fd, &e);

    if (!failed)
        failed = status_add_cache(s->config->base.redis_url, cache, &e);
    child_tell(fd, json_pack("{s:o}", "cache", cache));
    child_tell(fd, status_peer("redis", failed ? &e : NULL));
}
