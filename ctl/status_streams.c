/* The streams: how much waits in each, since when, and who counts it. */
#include "common/clock.h"
#include "common/redis.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/status.h"
#include "ctl/stream_info.h"

#include <string.h>

enum { REDIS_TIMEOUT_MS = 5000 };

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
    if (!info.exists)
        return 0;
    if (stream_group_lag(redis, stream, &lag, e))
        return -1;
    if (lag >= 0)
        set_number(row, "lag", lag);
    return add_waiting(redis, stream, &info, last_id, row, e);
}

/* In a cluster each stream has a server of its own. */
static int add_redis_side(const char *redis_url, const char *stream, const char *last_id,
                          json_t *row, struct err *e)
{
    redisContext *redis = redis_connect_blocking_at(redis_url, stream, REDIS_TIMEOUT_MS, NULL, e);
    int result = redis ? add_depth(redis, stream, last_id, row, e) : -1;

    redisFree(redis);
    return result;
}

/* position: a row of status_positions, or NULL. */
static int add_stream(const char *redis_url, const char *stream, const json_t *position,
                      const char *last_id, json_t *stages, struct err *e)
{
    json_t *row = json_pack("{s:s, s:s}", "stage", "aggregator", "queue", stream);

    json_array_append_new(stages, row);
    if (redis_url && add_redis_side(redis_url, stream, last_id, row, e))
        return -1;
    if (!position)
        return 0;
    json_object_set(row, "owner", json_object_get(position, "owner"));
    json_object_set(row, "lease_s", json_object_get(position, "lease_s"));
    return 0;
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

static int add_positions(const char *redis_url, const json_t *positions, json_t *stages,
                         struct err *e)
{
    for (size_t i = 0; i < json_array_size(positions); i++) {
        const json_t *position = json_array_get(positions, i);
        const char *stream = json_string_value(json_object_get(position, "stream"));
        const char *last_id = json_string_value(json_object_get(position, "last_id"));
        if (add_stream(redis_url, stream, position, last_id, stages, e))
            return -1;
    }
    return 0;
}

int status_add_streams(PGconn *conn, const char *redis_url, int64_t shards, json_t *stages,
                       struct err *e)
{
    char name[STREAM_NAME_SIZE];
    json_t *positions = json_array();
    PGresult *rows = conn ? db_query(conn, SQL_STATUS_POSITIONS, 0, NULL, e) : NULL;
    int result = conn && !rows ? -1 : 0;

    if (rows)
        report_add_rows(positions, rows);
    PQclear(rows);
    if (result == 0)
        result = add_positions(redis_url, positions, stages, e);
    for (int64_t i = 0; result == 0 && i < shards; i++) {
        stream_name(shards, i, name);
        if (!find_position(positions, name))
            result = add_stream(redis_url, name, NULL, conn ? "0-0" : NULL, stages, e);
    }
    json_decref(positions);
    return result;
}
