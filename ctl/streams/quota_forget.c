#include "ctl/streams/quota_forget.h"

#include "common/contract.h"
#include "common/quota_owner.h"
#include "common/redis/redis.h"

#include <stdio.h>
#include <string.h>

enum { REDIS_TIMEOUT_MS = 10000 };

/* What the other ledger left of a tenant that this one does not know would stay for ever. Whose it
 * is is told in the same step in which it goes. */
static const char FORGET[] = QUOTA_OWNER_LUA
    "if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return 0 end\n"
    "local before = redis.call('HGET', KEYS[1], 'ledger')\n"
    "if not before or before == ARGV[1] or claim(KEYS[1], ARGV[1]) then return 0 end\n"
    "if redis.call('HLEN', KEYS[1]) == 1 then redis.call('DEL', KEYS[1]) return 1 end\n"
    "return 0";

static int forget_one(redisContext *redis, const redisReply *key, const char *ledger,
                      int64_t *count, struct err *e)
{
    int result = 0;
    redisReply *r = redisCommand(redis, "EVAL %s 1 %b %s", FORGET, key->str, key->len, ledger);

    if (r == NULL)
        return err_set(e, ERR_CLOSED, "%s", redis->errstr);
    if (r->type == REDIS_REPLY_INTEGER)
        *count += r->integer;
    else
        result = err_set(e, ERR_REFUSED, "%s", r->str != NULL ? r->str : "an odd answer");
    freeReplyObject(r);
    return result;
}

/* One page of SCAN. cursor: of the next one, "0" at the end. */
static int forget_page(redisContext *redis, char cursor[32], const char *ledger, int64_t *count,
                       struct err *e)
{
    int result = 0;
    redisReply *page =
        redisCommand(redis, "SCAN %s MATCH %s* COUNT 1000", cursor, QUOTA_KEY_PREFIX);

    if (page == NULL)
        return err_set(e, ERR_CLOSED, "%s", redis->errstr);
    if (page->type != REDIS_REPLY_ARRAY || page->elements != 2)
        result = err_set(e, ERR_REFUSED, "SCAN: %s", page->str ? page->str : "an odd answer");
    else
        snprintf(cursor, 32, "%s", page->element[0]->str);
    for (size_t i = 0; result == 0 && i < page->element[1]->elements; i++)
        result = forget_one(redis, page->element[1]->element[i], ledger, count, e);
    freeReplyObject(page);
    return result;
}

static int forget_on(redisContext *redis, const char *ledger, int64_t *count, struct err *e)
{
    char cursor[32] = "0";

    do {
        if (forget_page(redis, cursor, ledger, count, e))
            return -1;
    } while (strcmp(cursor, "0") != 0);
    return 0;
}

int quota_forget_others(const char *redis_url, const char *ledger, int64_t *count, struct err *e)
{
    redisContext *redis;

    *count = 0;
    for (int i = 0; (redis = redis_connect_blocking_master(redis_url, i, REDIS_TIMEOUT_MS, e));
         i++) {
        int failed = forget_on(redis, ledger, count, e);
        redisFree(redis);
        if (failed)
            return -1;
    }
    return e->kind == ERR_NONE ? 0 : -1;
}
