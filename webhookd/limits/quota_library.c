#include "webhookd/limits/quota_library.h"

#include "common/log.h"
#include "common/redis/redis_router.h"
#include "common/str.h"
#include "webhookd/context.h"
#include "webhookd/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EVERY_MS = 1000, DEADLINE_MS = 3000 };

static const char *const FILES[] = {LUA_DECIMAL, LUA_VERDICT, LUA_HOLDS, LUA_FUNCTIONS};
/* Of FILES: raise it with each change of them. */
enum { CODE_VERSION = 1 };

/* Which library a server has, in the order in which it counts: the greater one stays. */
struct edition {
    long long takeovers; /* of the ledger */
    long long code;
    long long catalog;
};

struct quota_library {
    const struct context *context;
    uv_timer_t timer;
    struct edition edition;
    struct buf text; /* empty: the catalog is not known yet */
    struct log_repeat failed;
};

/* A question to a server, until its answer. */
struct look {
    struct quota_library *library;
    struct redis *node;
};

static bool is_older(const struct edition *theirs, const struct edition *ours)
{
    if (theirs->takeovers != ours->takeovers)
        return theirs->takeovers < ours->takeovers;
    if (theirs->code != ours->code)
        return theirs->code < ours->code;
    return theirs->catalog < ours->catalog;
}

static bool has_older(const struct quota_library *l, const redisReply *reply)
{
    struct edition theirs = {0};
    return reply->type != REDIS_REPLY_STRING ||
           sscanf(reply->str, "%lld %lld %lld", &theirs.takeovers, &theirs.code, &theirs.catalog) !=
               3 ||
           is_older(&theirs, &l->edition);
}

static void take_load(void *owner, const struct err *error, void *reply)
{
    struct quota_library *l = owner;
    uint64_t suppressed;
    (void)reply;
    if (!error)
        log_repeat_recovered(&l->failed);
    else if (error->kind == ERR_REFUSED &&
             log_repeat_failed(&l->failed, (int64_t)uv_now(l->timer.loop), &suppressed))
        log_warn(quota_function_failed, LOG_U64("held_back", suppressed), LOG_ERR(error));
}

/* A refusal: it has none. Of what else may have gone wrong, the next look tells. */
static void take_edition(void *owner, const struct err *error, void *reply)
{
    struct look look = *(struct look *)owner;
    struct quota_library *l = look.library;
    free(owner);
    if (error ? error->kind == ERR_REFUSED : has_older(l, reply))
        redis_commandf(look.node, DEADLINE_MS, take_load, l, "FUNCTION LOAD REPLACE %b",
                       l->text.data, l->text.length);
}

void quota_library_see_node(struct quota_library *l, struct redis *node)
{
    if (l->text.length == 0)
        return;
    struct look *look = xmalloc(sizeof *look);
    *look = (struct look){l, node};
    redis_commandf(node, DEADLINE_MS, take_edition, look, "FCALL_RO meterline_library 0");
}

static void look_at_all(uv_timer_t *timer)
{
    const struct quota_library *l = timer->data;
    if (l->text.length == 0 || stage_is_draining(l->context->stage))
        return;
    redis_router_reach_masters(l->context->redis);
    redis_router_each_node(l->context->redis);
}

/* Metrics and limits of the catalog have no character that Lua reads in another way. */
void quota_library_set_free(struct quota_library *l, const char *ledger,
                            const char *catalog_version, const struct free_limit *limits, int n)
{
    struct edition edition = {.takeovers = strtoll(ledger, NULL, 10),
                              .code = CODE_VERSION,
                              .catalog = strtoll(catalog_version, NULL, 10)};
    if (l->text.length > 0 && !is_older(&l->edition, &edition))
        return;
    l->edition = edition;
    buf_clear(&l->text);
    buf_printf(&l->text, "#!lua name=meterline_quota\nlocal LIBRARY = '%lld %lld %lld'\n",
               edition.takeovers, edition.code, edition.catalog);
    buf_add_str(&l->text, "local FREE = {");
    for (int i = 0; i < n; i++)
        buf_printf(&l->text, "['%s'] = {'%s', '%s'}, ", limits[i].metric, limits[i].limit,
                   limits[i].cap);
    buf_add_str(&l->text, "}\n");
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
        buf_add_str(&l->text, FILES[i]);
    look_at_all(&l->timer);
}

struct quota_library *quota_library_open(const struct context *context)
{
    struct quota_library *l = xcalloc(1, sizeof *l);
    l->context = context;
    uv_timer_init(stage_loop(context->stage), &l->timer);
    l->timer.data = l;
    uv_timer_start(&l->timer, look_at_all, LOOK_EVERY_MS, LOOK_EVERY_MS);
    return l;
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct quota_library *l = timer->data;
    buf_done(&l->text);
    free(l);
}

void quota_library_close(struct quota_library *l)
{
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}
