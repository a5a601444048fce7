/* Does Redis keep what it acknowledged? Asked when a stream is opened, and again while it is
 * counted, since both settings can be changed at any time. */
#include "aggregator/shard.h"
#include "common/clock.h"

#include <stdlib.h>

enum { EVERY_MS = 5000, DEADLINE_MS = 5000 };

const char *durable_why_not(const struct shard *s, const struct history *h)
{
    if (!h->config_known || s->spec.config->allow_volatile_redis)
        return NULL;
    if (h->evicts)
        return "it evicts keys when memory is full: set maxmemory-policy noeviction, or "
               "METERLINE_ALLOW_VOLATILE_REDIS=1";
    if (!h->append_only)
        return "it has no append-only file: set appendonly yes, or "
               "METERLINE_ALLOW_VOLATILE_REDIS=1";
    return NULL;
}

void durable_take(struct shard *s, const char *unfit)
{
    uint64_t held;

    if (unfit == NULL && log_repeat_recovered(&s->unfit_told))
        log_info("redis_durable", LOG_STR("stream", s->stream));
    else if (unfit != NULL && log_repeat_failed(&s->unfit_told, clock_monotonic_ms(), &held))
        log_error("redis_volatile", LOG_STR("stream", s->stream), LOG_U64("held_back", held),
                  LOG_MSG(unfit));
    s->unfit = unfit;
}

static void take_config(void *owner, const struct err *error, void *reply)
{
    struct shard *s = owner;
    struct history h = {.length = 0};

    if (error == NULL)
        history_take_config(&h, reply);
    if (error == NULL && !s->closing && s->state == SHARD_RUNNING)
        durable_take(s, durable_why_not(s, &h));
    shard_unref(s);
}

/* What is counted is safe, so counting goes on: a stream that rests would only grow. */
void durable_poll(struct shard *s)
{
    if (s->state != SHARD_RUNNING || !redis_is_up(s->commands) ||
        clock_monotonic_ms() < s->durable_due_ms)
        return;
    s->durable_due_ms = clock_monotonic_ms() + EVERY_MS;
    redis_commandf(s->commands, DEADLINE_MS, take_config, shard_ref(s), HISTORY_CONFIG);
}
