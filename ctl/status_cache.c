/* How old the quota cache is. Both of its writers rewrite all they own every minute, so an age far
 * above that tells that one of them does not work. */
#include "common/clock.h"
#include "common/contract.h"
#include "common/redis.h"
#include "ctl/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE = 200, SCANS = 50, REDIS_TIMEOUT_MS = 4000 };

struct ages {
    int64_t hashes;
    bool all;             /* not just a sample of them */
    int64_t used_at_ms;   /* the least over hashes of the newest `used_at`; INT64_MAX: none */
    int64_t limits_at_ms; /* the least `refreshed_at` */
};

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text);
    size_t end_length = strlen(end);

    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static void take_hash(struct ages *ages, const redisReply *hash)
{
    int64_t used_at = 0;

    for (size_t i = 0; i + 1 < hash->elements; i += 2) {
        int64_t at = strtoimax(hash->element[i + 1]->str, NULL, 10);
        if (ends_in(hash->element[i]->str, ".used_at") && at > used_at)
            used_at = at;
        else if (strcmp(hash->element[i]->str, "refreshed_at") == 0 && at < ages->limits_at_ms)
            ages->limits_at_ms = at;
    }
    ages->hashes++;
    if (used_at > 0 && used_at < ages->used_at_ms)
        ages->used_at_ms = used_at;
}

/* A hash may vanish between SCAN and HGETALL: then it is empty, which does no harm. */
static int read_hash(redisContext *redis, struct ages *ages, const redisReply *key, struct err *e)
{
    redisReply *hash = redisCommand(redis, "HGETALL %b", key->str, (size_t)key->len);
    if (!hash)
        return err_set(e, ERR_CLOSED, "%s", redis->errstr);
    if (hash->type == REDIS_REPLY_ARRAY)
        take_hash(ages, hash);
    freeReplyObject(hash);
    return 0;
}

/* One page of SCAN. cursor: of the next one, "0" at the end. */
static int read_page(redisContext *redis, struct ages *ages, char cursor[32], struct err *e)
{
    redisReply *page =
        redisCommand(redis, "SCAN %s MATCH %s* COUNT 1000", cursor, QUOTA_KEY_PREFIX);
    int result = 0;

    if (!page)
        return err_set(e, ERR_CLOSED, "%s", redis->errstr);
    if (page->type != REDIS_REPLY_ARRAY || page->elements != 2) {
        result = err_set(e, ERR_REFUSED, "SCAN: %s", page->str ? page->str : "an odd answer");
        freeReplyObject(page);
        return result;
    }
    snprintf(cursor, 32, "%s", page->element[0]->str);
    for (size_t i = 0; result == 0 && i < page->element[1]->elements && ages->hashes < SAMPLE; i++)
        result = read_hash(redis, ages, page->element[1]->element[i], e);
    freeReplyObject(page);
    return result;
}

static void set_age(json_t *finding, const char *name, int64_t at_ms)
{
    if (at_ms != INT64_MAX)
        json_object_set_new(finding, name, json_integer((clock_unix_ms() - at_ms) / 1000));
}

static int read_pages(redisContext *redis, struct ages *ages, struct err *e)
{
    char cursor[32] = "0";
    bool ended = false;

    for (int i = 0; i < SCANS && ages->hashes < SAMPLE; i++) {
        if (read_page(redis, ages, cursor, e))
            return -1;
        ended = strcmp(cursor, "0") == 0;
        if (ended)
            break;
    }
    ages->all = ages->all && ended && ages->hashes < SAMPLE;
    return 0;
}

/* In a cluster the hashes lie on all masters. */
int status_add_cache(const char *redis_url, json_t *finding, struct err *e)
{
    struct ages ages = {0, true, INT64_MAX, INT64_MAX};
    redisContext *redis;

    for (int i = 0; (redis = redis_connect_blocking_master(redis_url, i, REDIS_TIMEOUT_MS, e));
         i++) {
        int failed = read_pages(redis, &ages, e);
        redisFree(redis);
        if (failed)
            return -1;
    }
    if (e->kind != ERR_NONE)
        return -1;
    json_object_set_new(finding, "cached", json_integer(ages.hashes));
    json_object_set_new(finding, "sample", json_boolean(!ages.all));
    set_age(finding, "used_age_s", ages.used_at_ms);
    set_age(finding, "limits_age_s", ages.limits_at_ms);
    return 0;
}
