/* Is the server a master? A replica takes no writes, and its data may be old. So a connection to
 * one counts as lost, and the URL's host is looked up again: a failover may have moved the name
 * without cutting connections to the old master.
 *
 * The happy path: ROLE says master, in the greeting and then every 3 s. A decoder does not take
 * such replies. With one, ROLE is sent while no command is in flight, hiredis takes its answer, and
 * later commands wait for that.
 *
 * The failure modes: ROLE says slave, or a command is refused with READONLY or MASTERDOWN: that is
 * redis_lost. If an ACL forbids ROLE, only such a refusal tells. In a cluster ROLE is not asked: a
 * replica there answers MOVED and names its master. */
#include "common/redis/redis_role.h"

#include "common/redis/redis_internal.h"

#include <string.h>

enum { ASK_EVERY_MS = 3000, DEADLINE_MS = 10000 };

bool redis_role_is(const redisReply *reply, const char *role)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
           reply->element[0]->type == REDIS_REPLY_STRING &&
           strcmp(reply->element[0]->str, role) == 0;
}

void redis_role_greet(struct redis *r, const redisReply *reply)
{
    if (redis_role_is(reply, "master"))
        r->was_master = true;
    if (reply->type == REDIS_REPLY_ERROR)
        r->role_hidden = true;
    if (!redis_role_is(reply, "slave") || redis_map_is_cluster(r->map))
        return;
    if (r->refused.kind == ERR_NONE) {
        r->replicas++;
        err_set(&r->refused, ERR_REFUSED, "%s", REDIS_REPLICA);
    }
}

static void wait_to_ask(struct redis *r)
{
    if (!r->role_hidden && !redis_map_is_cluster(r->map))
        redis_start_timer(r, ASK_EVERY_MS);
}

/* Where ROLE is forbidden, a replica may take us again and again: the wait still grows. */
void redis_role_start(struct redis *r)
{
    if (r->was_master || r->replicas == 0) {
        r->attempts = 0;
        r->replicas = 0;
        backoff_reset(&r->backoff);
    }
    wait_to_ask(r);
}

void redis_role_forget(struct redis *r)
{
    r->was_master = false;
    r->role_hidden = false;
    r->role_due = false;
    r->role_asked = false;
    buf_clear(&r->delayed);
}

void redis_role_lose(struct redis *r, const char *text)
{
    struct err e;
    r->replicas++;
    err_set(&e, ERR_CLOSED, "Redis: %s", text);
    redis_lost(r, &e, INT64_MIN);
}

void redis_found_replica(struct redis *r)
{
    if (r->state == REDIS_IS_UP)
        redis_role_lose(r, REDIS_REPLICA);
}

static void on_role(void *owner, const struct err *error, void *reply)
{
    struct redis *r = owner;
    if (error && error->kind != ERR_REFUSED)
        return; /* the connection is lost */
    r->role_asked = false;
    r->role_hidden = error != NULL;
    if (reply && redis_role_is(reply, "slave") && !redis_map_is_cluster(r->map)) {
        redis_role_lose(r, REDIS_REPLICA);
        return;
    }
    if (r->delayed.length > 0)
        (void)redis_raw_send(r->link, r->delayed.data, r->delayed.length);
    buf_clear(&r->delayed);
    wait_to_ask(r);
}

void redis_role_ask(struct redis *r)
{
    static const char ROLE[] = "*1\r\n$4\r\nROLE\r\n";
    if (r->in_multi) { /* it would be one of its commands */
        wait_to_ask(r);
        return;
    }
    r->role_due = r->decoder.take && r->sent.n > 0;
    if (r->role_due)
        return;
    r->role_asked = true;
    redis_send(r, DEADLINE_MS, on_role, r, ROLE, sizeof ROLE - 1);
}

/* UNBLOCKED: its role has changed under a command that blocked; it closes the connection itself. */
bool redis_role_refuses(const struct redis *r, const char *text)
{
    static const char *const WORDS[] = {"READONLY ", "MASTERDOWN ", "UNBLOCKED "};
    if (!r->key && redis_map_is_cluster(r->map))
        return false;
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (strncmp(text, WORDS[i], strlen(WORDS[i])) == 0)
            return true;
    return false;
}
