/* A batch of commands on their way. */
#include "emitter/batch.h"

#include <assert.h>

void batch_clear(struct batch *b)
{
    b->count = 0;
    buf_clear(&b->bytes);
}

void batch_note(struct batch *b, struct sender_origin origin, size_t offset)
{
    assert(b->count < BATCH_MAX);
    b->items[b->count++] =
        (struct batch_item){.origin = origin, .offset = offset, .length = b->bytes.length - offset};
}

static int count_unsettled(const struct batch *b)
{
    int n = 0;

    for (int i = 0; i < b->count; i++)
        n += !b->items[i].settled;
    return n;
}

/* The first time all go in one piece. */
static int append(const struct batch *b, redisContext *redis)
{
    if (count_unsettled(b) == b->count)
        return redisAppendFormattedCommand(redis, b->bytes.data, b->bytes.length);
    for (int i = 0; i < b->count; i++) {
        const struct batch_item *item = &b->items[i];
        if (!item->settled && redisAppendFormattedCommand(redis, b->bytes.data + item->offset,
                                                          item->length) != REDIS_OK)
            return REDIS_ERR;
    }
    return REDIS_OK;
}

int batch_send(const struct batch *b, redisContext *redis, struct err *e)
{
    int written = b->count == 0;

    if (!written && append(b, redis) != REDIS_OK)
        return err_set(e, ERR_CLOSED, "write to Redis: %s", redis->errstr);
    while (!written)
        if (redisBufferWrite(redis, &written) != REDIS_OK)
            return err_set(e, ERR_CLOSED, "write to Redis: %s", redis->errstr);
    return 0;
}
