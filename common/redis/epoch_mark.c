#include "common/redis/epoch_mark.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void epoch_mark_format(const struct epoch_mark *mark, char out[EPOCH_MARK_SIZE])
{
    snprintf(out, EPOCH_MARK_SIZE, "epoch:%" PRId32 ":%s:%" PRIu64 ":%s:%" PRId64 ":%s:%" PRId32,
             mark->epoch, mark->token, mark->base, mark->ended[0] != '\0' ? mark->ended : "-",
             mark->ended_added, mark->ledger, mark->takeovers);
}

int epoch_mark_parse(const char *name, struct epoch_mark *out)
{
    struct epoch_mark m = {.epoch = 0};
    char again[EPOCH_MARK_SIZE];
    if (sscanf(name,
               "epoch:%" SCNd32 ":%36[0-9a-f-]:%" SCNu64 ":%36[0-9a-f-]:%" SCNd64
               ":%36[0-9a-f-]:%" SCNd32,
               &m.epoch, m.token, &m.base, m.ended, &m.ended_added, m.ledger, &m.takeovers) != 7)
        return -1;
    if (strcmp(m.ended, "-") == 0)
        m.ended[0] = '\0';
    /* Exactly so, or a stranger made it. */
    epoch_mark_format(&m, again);
    if (strcmp(name, again) != 0)
        return -1;
    *out = m;
    return 0;
}
