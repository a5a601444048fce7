/* floor HOST PORT STREAM [COUNT]: the least that reading a stream costs with hiredis, as it comes:
 * XREAD after XREAD, each reply built as hiredis builds it and thrown away. Only reads, so the
 * stream stays as it is. COUNT: entries a reply; 1,000 is the fastest of 100 to 50,000, larger
 * replies leave the processor's cache. Prints `entries seconds`. */
#include <hiredis/hiredis.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

/* The entries of the one stream that was asked for, or NULL at its end. */
static const redisReply *entries_of(const redisReply *reply)
{
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
        fail(reply ? reply->str : "Redis is gone");
    return reply->type == REDIS_REPLY_ARRAY ? reply->element[0]->element[1] : NULL;
}

static size_t read_all(redisContext *redis, const char *stream, const char *count)
{
    char last_id[64] = "0-0";
    size_t read = 0;

    for (;;) {
        redisReply *reply =
            redisCommand(redis, "XREAD COUNT %s STREAMS %s %s", count, stream, last_id);
        const redisReply *entries = entries_of(reply);

        if (entries == NULL) {
            freeReplyObject(reply);
            return read;
        }
        read += entries->elements;
        snprintf(last_id, sizeof last_id, "%s",
                 entries->element[entries->elements - 1]->element[0]->str);
        freeReplyObject(reply);
    }
}

int main(int argc, char **argv)
{
    redisContext *redis = argc > 3 ? redisConnect(argv[1], atoi(argv[2])) : NULL;
    double began;
    size_t read;

    if (redis == NULL || redis->err)
        fail(redis ? redis->errstr : "usage: floor HOST PORT STREAM [COUNT]");
    began = seconds();
    read = read_all(redis, argv[3], argc > 4 ? argv[4] : "1000");
    printf("%zu %.6f\n", read, seconds() - began);
    redisFree(redis);
    return 0;
}
