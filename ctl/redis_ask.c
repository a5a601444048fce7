#include "ctl/redis_ask.h"

#include "common/contract.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

redisReply *redis_ask(redisContext *redis, int type, struct err *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(redis, format, args);
    va_end(args);
    if (reply && reply->type == type)
        return reply;
    if (!reply)
        err_set(e, ERR_CLOSED, "%s", redis->errstr);
    else if (reply->type == REDIS_REPLY_ERROR)
        err_set(e, ERR_REFUSED, "%s", reply->str);
    else
        err_set(e, ERR_INPUT, "Redis sent a reply of type %d where %d was expected", reply->type,
                type);
    freeReplyObject(reply);
    return NULL;
}

void redis_strip_code(struct err *e)
{
    const char *text = e->kind == ERR_REFUSED ? strchr(e->text, ' ') : NULL;
    if (text)
        memmove(e->text, text + 1, strlen(text));
}

const redisReply *redis_find(const redisReply *list, const char *name)
{
    size_t elements = list && list->type == REDIS_REPLY_ARRAY ? list->elements : 0;
    for (size_t i = 0; i + 1 < elements; i += 2)
        if (list->element[i]->str && strcmp(list->element[i]->str, name) == 0)
            return list->element[i + 1];
    return NULL;
}

int redis_clock_ms(redisContext *redis, int64_t *out, struct err *e)
{
    redisReply *r = redis_ask(redis, REDIS_REPLY_ARRAY, e, "TIME");
    if (!r)
        return err_wrap(e, "redis: TIME");
    *out =
        strtoll(r->element[0]->str, NULL, 10) * 1000 + strtoll(r->element[1]->str, NULL, 10) / 1000;
    freeReplyObject(r);
    return 0;
}

redisReply *redis_scan_quotas(redisContext *redis, char cursor[REDIS_CURSOR_SIZE], struct err *e)
{
    redisReply *page = redis_ask(redis, REDIS_REPLY_ARRAY, e, "SCAN %s MATCH %s* COUNT 1000",
                                 cursor, QUOTA_KEY_PREFIX);
    if (page)
        snprintf(cursor, REDIS_CURSOR_SIZE, "%s", page->element[0]->str);
    else
        err_wrap(e, "SCAN");
    return page;
}
