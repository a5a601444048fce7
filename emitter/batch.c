/* A batch of commands on their way. */
#include "emitter/batch.h"

#include <assert.h>

void batch_clear(struct batch *b)
{
    b->count = 0;
    buf_clear(&b->bytes);
}

void batch_note(struct batch *b, struct sender_origin origin, int64_t shard, size_t offset)
{
    assert(b->count < BATCH_MAX);
    b->items[b->count++] = (struct batch_item){
        .origin = origin, .shard = shard, .offset = offset, .length = b->bytes.length - offset};
}

/* As long as none is settled and there is one stream, all go in one piece. */
static bool is_one_piece(const struct batch *b, const struct links *links)
{
    for (int i = 0; i < b->count; i++)
        if (b->items[i].settled)
            return false;
    return links->n == 1 && links->list[0].redis && !links->list[0].asking;
}

static int add(const struct batch *b, struct links *links, struct err *e)
{
    if (is_one_piece(b, links))
        return links_add(links, 0, b->bytes.data, b->bytes.length, e);
    for (int i = 0; i < b->count; i++) {
        const struct batch_item *item = &b->items[i];
        if (!item->settled &&
            links_add(links, item->shard, b->bytes.data + item->offset, item->length, e))
            return -1;
    }
    return 0;
}

int batch_send(const struct batch *b, struct links *links, struct err *e)
{
    if (b->count == 0)
        return 0;
    return add(b, links, e) ? -1 : links_write(links, e);
}
