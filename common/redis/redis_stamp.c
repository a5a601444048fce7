#include "common/redis/redis_stamp.h"

#include "common/str.h"

#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 5000 };

/* Commands that cannot take a hash away; in order. Any other one counts as if it could: EXPIRE too,
 * which deletes at once by a time that is past, and expired_keys does not tell. HSET and the
 * streams' commands leave other fields and keys alone; scripts are counted by the commands that
 * they call. */
static const char *const HARMLESS[] = {
    "acl|cat",
    "acl|whoami",
    "asking",
    "auth",
    "bgrewriteaof",
    "bgsave",
    "client|getname",
    "client|id",
    "client|info",
    "client|list",
    "client|no-evict",
    "client|setinfo",
    "client|setname",
    "cluster|info",
    "cluster|myid",
    "cluster|nodes",
    "cluster|shards",
    "cluster|slots",
    "command",
    "command|docs",
    "config|get",
    "dbsize",
    "decr",
    "decrby",
    "discard",
    "echo",
    "eval",
    "eval_ro",
    "evalsha",
    "evalsha_ro",
    "exec",
    "exists",
    "fcall",
    "fcall_ro",
    "function|delete",
    "function|flush",
    "function|list",
    "function|load",
    "function|stats",
    "get",
    "getrange",
    "hello",
    "hexists",
    "hget",
    "hgetall",
    "hincrby",
    "hkeys",
    "hlen",
    "hmget",
    "hmset",
    "hscan",
    "hset",
    "hsetnx",
    "hstrlen",
    "hvals",
    "incr",
    "incrby",
    "info",
    "keys",
    "lastsave",
    "latency|latest",
    "llen",
    "lpush",
    "lrange",
    "memory|usage",
    "mget",
    "monitor",
    "multi",
    "object|encoding",
    "ping",
    "psubscribe",
    "psync",
    "pttl",
    "publish",
    "readonly",
    "replconf",
    "role",
    "rpush",
    "sadd",
    "scan",
    "scard",
    "script|exists",
    "script|load",
    "select",
    "sismember",
    "slowlog|get",
    "slowlog|len",
    "smembers",
    "strlen",
    "subscribe",
    "time",
    "ttl",
    "type",
    "unsubscribe",
    "unwatch",
    "wait",
    "waitaof",
    "watch",
    "xack",
    "xadd",
    "xautoclaim",
    "xclaim",
    "xdel",
    "xgroup|create",
    "xgroup|createconsumer",
    "xgroup|delconsumer",
    "xgroup|destroy",
    "xgroup|setid",
    "xinfo|consumers",
    "xinfo|groups",
    "xinfo|stream",
    "xlen",
    "xpending",
    "xrange",
    "xread",
    "xreadgroup",
    "xrevrange",
    "xsetid",
    "xtrim",
    "zadd",
    "zcard",
    "zrange",
    "zrangebylex",
    "zrangebyscore",
    "zrem",
    "zscore",
};
enum { N_HARMLESS = sizeof HARMLESS / sizeof *HARMLESS };

static const char COMMAND[] = "cmdstat_";
static const char RUN_ID[] = "run_id:";
static const char *const OTHERS[] = {"role:", "expired_keys:", "expired_subkeys:", "evicted_keys:"};
enum { N_OTHERS = sizeof OTHERS / sizeof *OTHERS };

static const char *const EMPTYING[] = {"cmdstat_flushall:", "cmdstat_flushdb:"};

static bool begins(const char *line, size_t length, const char *start)
{
    return length >= strlen(start) && strncmp(line, start, strlen(start)) == 0;
}

struct word {
    const char *text;
    size_t length;
};

static int compare(const void *key, const void *item)
{
    const struct word *w = key;
    const char *name = *(const char *const *)item;
    int order = strncmp(w->text, name, w->length);
    return order ? order : -(int)(unsigned char)name[w->length];
}

static bool is_harmless(const char *name, size_t length)
{
    const struct word key = {name, length};
    return bsearch(&key, HARMLESS, N_HARMLESS, sizeof *HARMLESS, compare) != NULL;
}

static bool is_emptying(const char *line, size_t length)
{
    return begins(line, length, EMPTYING[0]) || begins(line, length, EMPTYING[1]);
}

static bool is_harmful(const char *line, size_t length)
{
    size_t start = sizeof COMMAND - 1;
    const char *colon = begins(line, length, COMMAND) ? memchr(line, ':', length) : NULL;
    return colon && !is_harmless(line + start, (size_t)(colon - line) - start);
}

/* The part of a line that must stay the same; 0: none. */
static size_t telling(const char *line, size_t length, enum redis_stamp of)
{
    if (begins(line, length, RUN_ID))
        return length;
    for (int i = 0; of == REDIS_STAMP_ANY && i < N_OTHERS; i++)
        if (begins(line, length, OTHERS[i]))
            return length;
    if (of == REDIS_STAMP_ANY ? !is_harmful(line, length) : !is_emptying(line, length))
        return 0;
    const char *comma = memchr(line, ',', length);
    return comma ? (size_t)(comma - line) : length; /* the calls, not the time they took */
}

/* FNV-1a. */
static uint64_t hash(const char *text, size_t length)
{
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)text[i]) * 0x100000001b3;
    return h;
}

uint64_t redis_stamp_of(const char *info, enum redis_stamp of)
{
    uint64_t sum = 0; /* the order of lines does not matter */
    bool has_run_id = false;
    bool has_commands = false;
    while (*info) {
        size_t length = strcspn(info, "\r\n");
        size_t part = telling(info, length, of);
        if (part > 0)
            sum += hash(info, part);
        has_run_id = has_run_id || begins(info, length, RUN_ID);
        has_commands = has_commands || begins(info, length, COMMAND);
        info += length + strspn(info + length, "\r\n");
    }
    return has_run_id && has_commands ? sum | 1 : 0;
}

/* Asking. */

struct asking {
    enum redis_stamp of;
    redis_stamp_fn done;
    void *owner;
    int left;
    uint64_t sum;
    bool failed;
};

static void on_answer(void *owner, const struct err *error, void *reply)
{
    struct asking *a = owner;
    const redisReply *info = reply;
    uint64_t stamp = error || !info->str ? 0 : redis_stamp_of(info->str, a->of);
    a->failed = a->failed || stamp == 0;
    a->sum += stamp * 31; /* of two nodes whose bit 0 is set: still not 0 */
    if (--a->left > 0)
        return;
    struct asking end = *a;
    free(a);
    end.done(end.owner, end.failed ? 0 : end.sum | 1);
}

void redis_stamp_ask(struct redis_router *router, enum redis_stamp of, redis_stamp_fn done,
                     void *owner)
{
    static const char *argv[] = {"INFO", "server", "replication", "stats", "commandstats"};
    struct asking *a = xcalloc(1, sizeof *a);
    *a = (struct asking){.of = of, .done = done, .owner = owner};
    a->left = redis_router_command_all(router, DEADLINE_MS, on_answer, a, 5, argv);
}
