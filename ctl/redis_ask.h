/* Commands to Redis over a blocking connection (redis_connect_blocking of common/redis/redis.h). */
#ifndef METERLINE_CTL_REDIS_ASK_H
#define METERLINE_CTL_REDIS_ASK_H

#include "common/err.h"

#include <hiredis/hiredis.h>
#include <stdint.h>

/* One command in hiredis' format. Returns its reply if that has this type, such as
 * REDIS_REPLY_ARRAY, the caller's to freeReplyObject. Else NULL with e: ERR_REFUSED with Redis'
 * text, ERR_CLOSED, or ERR_INPUT for a reply of another type. */
redisReply *redis_ask(redisContext *redis, int type, struct err *e, const char *format, ...);

/* Our scripts answer errors as "CODE text for people": remove the code from e. */
void redis_strip_code(struct err *e);

/* The value behind a name in a flat list of names and values, or NULL. list may be NULL. */
const redisReply *redis_find(const redisReply *list, const char *name);

/* Redis' clock, Unix ms. Returns 0 or -1 with e. */
int redis_clock_ms(redisContext *redis, int64_t *out, struct err *e);

/* One page of SCAN over the hashes of the quota cache. Returns their keys, the caller's to
 * freeReplyObject: an array whose second element is the array of keys. cursor: "0" at the
 * beginning, and again when the page was the last one. NULL with e. */
enum { REDIS_CURSOR_SIZE = 32 };
redisReply *redis_scan_quotas(redisContext *redis, char cursor[REDIS_CURSOR_SIZE], struct err *e);

#endif
