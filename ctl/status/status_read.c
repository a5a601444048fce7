/* What PostgreSQL and Redis tell of the line, each read in a process of its own (child.h). */
#include "common/clock.h"
#include "common/contract.h"
#include "common/redis/redis.h"
#include "ctl/db.h"
#include "ctl/redis_ask.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/status/child.h"
#include "ctl/status/status.h"
#include "ctl/streams/stream_info.h"

#include <inttypes.h>
#include <string.h>

enum { SAMPLE = 200, SCANS = 50, REDIS_TIMEOUT_MS = 4000 };
enum { STATEMENT_TIMEOUT_MS = 5000 };

/* In the order in which they are read: what may take long comes last. */
static const struct {
    const char *list; /* of the report */
    const char *sql;
} PARTS[] = {
    {"positions", SQL_STATUS_POSITIONS}, {"ledger", SQL_STATUS_LEDGER},
    {"instances", SQL_STATUS_INSTANCES}, {"stages", SQL_STATUS_SINK},
    {"stages", SQL_STATUS_WEBHOOKD},     {"quotas", SQL_STATUS_QUOTAS},
    {"rejected", SQL_STATUS_REJECTED},   {"submissions", SQL_STATUS_SUBMISSIONS},
    {"webhooks", SQL_STATUS_WEBHOOKS},   {"messages", SQL_STATUS_MESSAGES},
    {"meters", SQL_STATUS_METERS},       {"customers", SQL_STATUS_CUSTOMERS},
    {"unbilled", SQL_STATUS_UNBILLED},
};

/* {"peer", "state", "error"}, by e; NULL: it is up. */
static json_t *peer_row(const char *peer, const struct err *e)
{
    if (!e)
        return json_pack("{s:s, s:s}", "peer", peer, "state", "up");
    json_t *row =
        json_pack("{s:s, s:s}", "peer", peer, "state", e->kind == ERR_REFUSED ? "failed" : "down");
    /* A text that was cut within a character is no JSON. */
    if (json_object_set_new(row, "error", json_string(e->text)))
        json_object_set_new(row, "error", json_string(err_kind_text(e->kind)));
    return row;
}

/* What cannot be read, such as a table of a newer schema, does not keep the rest from being read.
 */
static int tell_parts(PGconn *conn, int fd, struct err *first)
{
    struct err e;
    int failed = 0;
    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++) {
        json_t *rows = json_array();
        int unread = report_query(rows, conn, PARTS[i].sql, 0, NULL, &e);
        child_tell(fd, json_pack("{s:s, s:o}", "list", PARTS[i].list, "rows", rows));
        if (!unread)
            continue;
        if (!failed)
            *first = e;
        failed = -1;
        if (PQstatus(conn) != CONNECTION_OK)
            break;
    }
    return failed;
}

void status_read_ledger(void *owner, int fd)
{
    const struct ctl_config *config = owner;
    struct err e = {0};
    db_set_timeout(STATEMENT_TIMEOUT_MS);
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int failed = conn ? tell_parts(conn, fd, &e) : -1;
    child_tell(fd, peer_row("postgres", failed ? &e : NULL));
    PQfinish(conn);
}

/* The streams: how much waits in each, and since when. */

static void set_number(json_t *finding, const char *name, int64_t value)
{
    json_object_set_new(finding, name, json_integer(value));
}

/* Without PostgreSQL the position is not known. What has been counted is trimmed, so the
 * position is near the stream's beginning. */
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

json_t *status_stream_names(const struct status_streams *s)
{
    json_t *names = json_array();
    char name[STREAM_NAME_SIZE];
    for (size_t i = 0; i < json_array_size(s->positions); i++)
        json_array_append(names, json_object_get(json_array_get(s->positions, i), "stream"));
    for (int64_t i = 0; i < s->shards; i++) {
        stream_name(s->shards, i, name);
        if (!report_find(s->positions, "stream", name))
            json_array_append_new(names, json_string(name));
    }
    return names;
}

/* In a cluster each stream has a server of its own. */
static int tell_stream(const struct status_streams *s, const char *stream, int fd, struct err *e)
{
    const json_t *position = report_find(s->positions, "stream", stream);
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

/* How many tenants the quota cache holds, and when its two writers last went over all of it. They
 * do so every minute, so an age far above that tells that one of them does not work. */

static int count_hashes(redisContext *redis, int64_t *hashes, bool *all, struct err *e)
{
    char cursor[REDIS_CURSOR_SIZE] = "0";
    bool ended = false;
    for (int i = 0; i < SCANS && *hashes < SAMPLE && !ended; i++) {
        redisReply *page = redis_scan_quotas(redis, cursor, e);
        if (!page)
            return -1;
        for (size_t k = 0; k < page->element[1]->elements; k++) /* the plan free is no tenant */
            *hashes += strcmp(page->element[1]->element[k]->str, QUOTA_KEY_PREFIX "}") != 0;
        freeReplyObject(page);
        ended = strcmp(cursor, "0") == 0;
    }
    *all = *all && ended && *hashes < SAMPLE;
    *hashes = *hashes < SAMPLE ? *hashes : SAMPLE;
    return 0;
}

static void set_age(json_t *finding, const char *name, const redisReply *at)
{
    if (at->type == REDIS_REPLY_STRING)
        set_number(finding, name, (clock_unix_ms() - strtoimax(at->str, NULL, 10)) / 1000);
}

static int read_ages(const char *redis_url, json_t *finding, struct err *e)
{
    redisContext *redis =
        redis_connect_blocking_at(redis_url, QUOTA_CHECKED, REDIS_TIMEOUT_MS, NULL, e);
    if (!redis)
        return -1;
    redisReply *r = redis_ask(redis, REDIS_REPLY_ARRAY, e, "HMGET %s %s %s", QUOTA_CHECKED,
                              CHECKED_USED, CHECKED_LIMITS);
    if (r) {
        set_age(finding, "used_age_s", r->element[0]);
        set_age(finding, "limits_age_s", r->element[1]);
    }
    freeReplyObject(r);
    redisFree(redis);
    return r ? 0 : -1;
}

/* The ages of the quota cache, in a sample of its hashes, set in finding: cached (hashes looked
 * at), sample (there may be more of them), used_age_s and limits_age_s of the one that was written
 * least lately. In a cluster the hashes lie on
 * all masters. */
static int add_cache(const char *redis_url, json_t *finding, struct err *e)
{
    int64_t hashes = 0;
    bool all = true;
    redisContext *redis;
    for (int i = 0; (redis = redis_connect_blocking_master(redis_url, i, REDIS_TIMEOUT_MS, e));
         i++) {
        int failed = count_hashes(redis, &hashes, &all, e);
        redisFree(redis);
        if (failed)
            return -1;
    }
    if (e->kind != ERR_NONE)
        return -1;
    set_number(finding, "cached", hashes);
    json_object_set_new(finding, "sample", json_boolean(!all));
    return read_ages(redis_url, finding, e);
}

void status_read_streams(void *owner, int fd)
{
    const struct status_streams *s = owner;
    struct err e = {0};
    json_t *cache = json_object();
    int failed = tell_streams(s, fd, &e);
    if (!failed)
        failed = add_cache(s->config->base.redis_url, cache, &e);
    child_tell(fd, json_pack("{s:o}", "cache", cache));
    child_tell(fd, peer_row("redis", failed ? &e : NULL));
}
