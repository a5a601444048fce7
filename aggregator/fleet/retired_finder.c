#include "aggregator/fleet/retired_finder.h"

#include "common/clock.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 5000, LOOK_EVERY_MS = 2000 };

struct look {
    struct retired_finder *finder;
    char stream[STREAM_NAME_SIZE];
};

static void take_look(void *owner, const struct err *error, void *reply)
{
    struct look look = *(struct look *)owner;
    const redisReply *r = reply;

    free(owner);
    if (error == NULL && r->type == REDIS_REPLY_INTEGER && r->integer > 0)
        look.finder->found(look.finder->owner, look.stream);
}

bool retired_finder_is_due(struct retired_finder *f)
{
    int64_t now_ms = clock_monotonic_ms();

    if (now_ms < f->due_ms)
        return false;
    f->due_ms = now_ms + LOOK_EVERY_MS;
    return true;
}

void retired_finder_look(struct retired_finder *f, const struct known_stream *stream)
{
    struct look *look;
    size_t length;

    if (stream->pending_sums) {
        f->found(f->owner, stream->name);
        return;
    }
    look = xcalloc(1, sizeof *look);
    look->finder = f;
    snprintf(look->stream, sizeof look->stream, "%s", stream->name);
    length = strlen(look->stream);
    redis_router_command(f->redis, look->stream, length, DEADLINE_MS, take_look, look, 2,
                         (const char *[]){"EXISTS", look->stream}, (const size_t[]){6, length});
}
