#include "notifier/signal/signals.h"

#include "common/closing.h"
#include "common/contract.h"
#include "common/peer.h"
#include "common/redis/redis.h"
#include "notifier/outbox/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_FLIGHT_MAX = 500, DEADLINE_MS = 5000, LEASE_MS = 20000 };
enum { RETRY_FIRST_MS = 500, RETRY_MAX_MS = 2000, NUMBER_SIZE = 24, ARGUMENTS = 12 };

/* The entry first: should it be refused, there must be no mark. */
static const char SCRIPT[] =
    "if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end\n"
    "if ARGV[1] == '0' then\n"
    "    redis.call('XADD', KEYS[1], '*', 'id', ARGV[3], 'kind', ARGV[4], 'tenant', ARGV[5],\n"
    "               'occurred_at', ARGV[6], 'data', ARGV[7])\n"
    "else\n"
    "    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'id', ARGV[3], 'kind', ARGV[4],\n"
    "               'tenant', ARGV[5], 'occurred_at', ARGV[6], 'data', ARGV[7])\n"
    "end\n"
    "redis.call('SET', KEYS[2], '', 'EX', ARGV[2])\n"
    "return 1\n";

struct signals {
    const struct context *context;
    struct redis *redis;
    struct outbox *outbox;
    struct closing closing;
};

/* The message that the command in flight is about, and whose it is. */
struct adding {
    struct signals *signals;
    struct message *message;
};

static enum message_end end_of(const struct err *error)
{
    if (!error)
        return MESSAGE_SENT;
    return error->kind == ERR_REFUSED ? MESSAGE_DELAYED : MESSAGE_CHANNEL_DOWN;
}

static void on_added(void *owner, const struct err *error, void *reply)
{
    struct adding a = *(struct adding *)owner;
    (void)reply; /* 1: it was added; 0: an attempt before this one had added it */
    free(owner);
    outbox_ended(a.signals->outbox, a.message, end_of(error), error ? error->text : NULL);
}

static bool may_deliver(void *owner)
{
    const struct signals *s = owner;
    return redis_is_up(s->redis);
}

static void deliver(void *owner, struct message *m)
{
    struct signals *s = owner;
    struct adding *a = xmalloc(sizeof *a);
    char maxlen[NUMBER_SIZE], mark_s[NUMBER_SIZE], occurred[NUMBER_SIZE];
    char *mark = xasprintf("%s%s", SIGNAL_MARK_PREFIX, m->id);
    *a = (struct adding){s, m};
    (void)snprintf(maxlen, sizeof maxlen, "%lld", (long long)s->context->config->signals_maxlen);
    (void)snprintf(mark_s, sizeof mark_s, "%d", SIGNAL_MARK_S);
    (void)snprintf(occurred, sizeof occurred, "%lld", (long long)m->occurred_ms);
    const char *argv[ARGUMENTS] = {"EVAL", SCRIPT, "2",     SIGNALS_KEY, mark,     maxlen,
                                   mark_s, m->id,  m->kind, m->tenant,   occurred, m->data};
    size_t lengths[ARGUMENTS];
    for (int i = 0; i < ARGUMENTS; i++)
        lengths[i] = strlen(argv[i]);
    redis_command(s->redis, DEADLINE_MS, on_added, a, ARGUMENTS, argv, lengths);
    free(mark);
}

static void on_up(void *owner)
{
    signals_wake(owner);
}

struct signals *signals_open(const struct context *context, struct err *e)
{
    struct signals *s = xcalloc(1, sizeof *s);
    s->context = context;
    s->redis = redis_open_at(stage_loop(context->stage), context->config->base.redis_url,
                             SIGNALS_KEY, (struct redis_events){.on_up = on_up, .owner = s}, e);
    if (!s->redis) {
        free(s);
        return NULL;
    }
    const struct outbox_terms terms = {.channel = "signal",
                                       .most = IN_FLIGHT_MAX,
                                       .lease_ms = LEASE_MS,
                                       .retry = {RETRY_FIRST_MS, RETRY_MAX_MS, -1},
                                       .ready = may_deliver,
                                       .deliver = deliver,
                                       .owner = s};
    s->outbox = outbox_open(context, &terms);
    return s;
}

void signals_wake(struct signals *s)
{
    if (s->outbox)
        outbox_wake(s->outbox);
}

bool signals_are_idle(const struct signals *s)
{
    return outbox_is_idle(s->outbox);
}

bool signals_are_ready(const struct signals *s, struct buf *why)
{
    if (!redis_is_up(s->redis))
        peer_add_why(PEER_REDIS, why);
    return redis_is_up(s->redis) && outbox_is_ready(s->outbox);
}

/* Closing the connection ends the commands in flight, and the outbox waits for those. */
void signals_close(struct signals *s)
{
    closing_begin(&s->closing, s, free, NULL, NULL);
    outbox_close(s->outbox);
    redis_close(s->redis, closing_part_closed, closing_part(&s->closing));
    closing_end(&s->closing);
}
