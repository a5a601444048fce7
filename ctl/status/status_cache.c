/* How many tenants the quota cache holds, and when its two writers last went over all of it: they
 * do so every minute, so an age far above that tells that one of them does not work. */
#include "common/clock.h"
#include "common/contract.h"
#include "common/redis/redis.h"
#include "ctl/status/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE = 200, SCANS = 50, REDIS_TIMEOUT_MS = 4000 };

/* One page of SCAN. cursor: of the next one, "0" at the end. */
static int read_page(redisContext *redis, int64_t *hashes, char cursor[32], struct err *e)
{
    redisReply *page =
        redisCommand(redis, "SCAN %s MATCH %s* COUNT 1000", cursor, QUOTA_KEY_PREFIX);
    int result = 0;

    if (!page)
        return err_set(e, ERR_CLOSED, "%s", redis->errstr);
    if (page->type != REDIS_REPLY_ARRAY || page->elements != 2) {
        result = err_set(e, ERR_REFUSED, "SCAN: %s", page->str ? page->str : "an odd answer");
    } else {
        snprintf(cursor, 32, "%s", page->element[0]->str);
        *hashes += (int64_t)page->element[1]->elements;
    }
    freeReplyObject(page);
    return result;
}

static int read_pages(redisContext *redis, int64_t *hashes, bool *all, struct err *e)
{
    char cursor[32] = "0";
    bool ended = false;

    for (int i = 0; i < SCANS && *hashes < SAMPLE && !ended; i++) {
        if (read_page(redis, hashes, cursor, e))
            return -1;
        ended = strcmp(cursor, "0") == 0;
    }
    *all = *all && ended && *hashes < SAMPLE;
    *hashes = *hashes < SAMPLE ? *hashes : SAMPLE;
    return 0;
}

static void set_age(json_t *finding, const char *name, const redisReply *at)
{
    if (at->type == REDIS_REPLY_STRING)
        json_object_set_new(finding, name,
                            json_integer((clock_unix_ms() - strtoimax(at->str, NULL, 10)) / 1000));
}

static int read_ages(const char *redis_url, json_t *finding, struct err *e)
{
    redisContext *redis =
        redis_connect_blocking_at(redis_url, QUOTA_CHECKED, REDIS_TIMEOUT_MS, NULL, e);

    if (!redis)
        return -1;
    redisReply *r =
        redisCommand(redis, "HMGET %s %s %s", QUOTA_CHECKED, CHECKED_USED, CHECKED_LIMITS);
    int result = r ? 0 : err_set(e, ERR_CLOSED, "%s", redis->errstr);
    if (r && r->type == REDIS_REPLY_ARRAY) {
        set_age(finding, "used_age_s", r->element[0]);
        set_age(finding, "limits_age_s", r->element[1]);
    }
    freeReplyObject(r);
    redisFree(redis);
    return result;
}

/* In a cluster the hashes lie on all masters. */
int status_add_cache(const char *redis_url, json_t *finding, struct err *e)
{
    int64_t hashes = 0;
    bool all = true;
    redisContext *redis;

    for (int i = 0; (redis = redis_connect_blocking_master(redis_url, i, REDIS_TIMEOUT_MS, e));
         i++) {
        int failed = read_pages(redis, &hashes, &all, e);
        redisFree(redis);
        if (failed)
            return -1;
    }
    if (e->kind != ERR_NONE)
        return -1;
    json_object_set_new(finding, "cached", json_integer(hashes));
    json_object_set_new(finding, "sample", json_boolean(!all));
    return read_ages(redis_url, finding, e);
}
