#include "notifier/notifier.h"

#include "notifier/mail/mailer.h"
#include "notifier/post/poster.h"
#include "notifier/signal/signals.h"
#include "notifier/upkeep.h"
#include "notifier/watch/watch.h"

/* There are new messages, or there is PostgreSQL again. */
static void wake(void *owner)
{
    const struct notifier *n = owner;
    signals_wake(n->signals);
    mailer_wake(n->mailer);
    poster_wake(n->poster);
}

static void on_schema(void *owner, bool ready)
{
    struct notifier *n = owner;
    n->context.schema_ready = ready;
    if (ready)
        wake(n);
}

static void on_listening(void *owner, bool is_told)
{
    struct notifier *n = owner;
    n->context.is_told = is_told;
}

/* While the stage drains: reports when all parts are at rest. */
static void check_drained(void *owner)
{
    struct notifier *n = owner;
    if (n->closed || !stage_is_draining(n->context.stage))
        return;
    if (upkeep_is_idle(n->upkeep) && signals_are_idle(n->signals) && mailer_is_idle(n->mailer) &&
        poster_is_idle(n->poster) && watch_is_idle(n->watch))
        stage_drained(n->context.stage);
}

int notifier_start(struct stage *stage, void *owner, struct err *e)
{
    struct notifier *n = owner;
    n->context = (struct context){
        .config = &n->config, .stage = stage, .on_idle = check_drained, .owner = n};
    n->signals = signals_open(&n->context, e);
    if (!n->signals)
        return err_wrap(e, "REDIS_URL");
    n->mailer = mailer_open(&n->context);
    n->poster = poster_open(&n->context);
    n->upkeep = upkeep_open(&n->context, (struct upkeep_events){.on_schema = on_schema,
                                                                .on_listening = on_listening,
                                                                .on_message = wake,
                                                                .owner = n});
    n->watch = watch_open(&n->context);
    stage_announce(stage, NULL);
    return 0;
}

void notifier_drain(void *owner)
{
    check_drained(owner);
}

void notifier_close(void *owner)
{
    struct notifier *n = owner;
    n->closed = true;
    signals_close(n->signals);
    mailer_close(n->mailer);
    poster_close(n->poster);
    watch_close(n->watch);
    upkeep_close(n->upkeep);
}

bool notifier_ready(void *owner, struct buf *why)
{
    struct notifier *n = owner;
    bool ready = upkeep_is_ready(n->upkeep, why);
    ready = signals_are_ready(n->signals, why) && ready;
    ready = mailer_is_ready(n->mailer, why) && ready;
    ready = watch_is_ready(n->watch, why) && ready;
    return poster_is_ready(n->poster) && ready;
}
