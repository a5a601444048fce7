/* The deduplication window moves on with what was read. */
#include "aggregator/shard.h"

void work_move_window(struct shard *s)
{
    dedupe_read_from(s->dedupe, s->ledger.stored.entry_ms);
    dedupe_expire(s->dedupe, s->ledger.stored.committed_ms);
    if (s->table_reading_ms < s->ledger.stored.entry_ms)
        s->table_reading_ms = s->ledger.stored.entry_ms;
    if (dedupe_shrunk(s->dedupe) > 0)
        log_warn("window_shrunk", LOG_STR("stream", s->stream),
                 LOG_I64("window_s", dedupe_window_ms(s->dedupe) / 1000),
                 LOG_MSG("DEDUPE_MEMORY_MB is full: older ids are no longer recognised"));
}
