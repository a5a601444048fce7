/* From a URL to a connection that has been greeted.
 *
 * A plain server is connected to at its address. In a cluster the connection goes where a
 * redirection leads, else where the map says that the key is, else to any node, which will tell.
 *
 * Names are looked up by the loop, since hiredis would block, and the addresses are tried in turn.
 * The greeting is sent as one pipeline:
 *
 *     AUTH, SELECT    as the URL says
 *     TIME            to compare the clocks
 *     CLUSTER SLOTS   which a plain server refuses
 *     EXISTS key      which a node that does not serve the key answers with the one that does
 *     ROLE            is it a master?
 *     PING            which fails while Redis still loads its data set */
#include "common/redis/redis_internal.h"

#include "common/clock.h"
#include "common/lookup.h"
#include "common/str.h"

#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_DEADLINE_MS = 5000, ADDRESS_SIZE = 128 };

void redis_connect_done(struct redis *r)
{
    if (r->addresses)
        uv_freeaddrinfo(r->addresses);
    r->addresses = NULL;
    r->address = NULL;
}

static void connect_now(struct redis *r)
{
    char host[ADDRESS_SIZE] = "";
    struct err e;
    if (r->address && getnameinfo(r->address->ai_addr, r->address->ai_addrlen, host, sizeof host,
                                  NULL, 0, NI_NUMERICHOST) != 0) {
        redis_connect_failed(r, "an address of an unknown family");
        return;
    }
    r->link = redis_link_open(r, host, &e);
    if (!r->link)
        redis_connect_failed(r, e.text);
    else
        redis_start_timer(r, CONNECT_DEADLINE_MS);
}

static void lost_connecting(struct redis *r, const char *reason)
{
    struct err e;
    if (r->url.path)
        err_set(&e, ERR_CONNECT, "connect to %s: %s", r->url.path, reason);
    else
        err_set(&e, ERR_CONNECT, "connect to %s:%d: %s", r->node->host, r->node->port, reason);
    redis_lost(r, &e, INT64_MIN);
}

void redis_connect_failed(struct redis *r, const char *reason)
{
    if (!r->address || !r->address->ai_next) {
        lost_connecting(r, reason);
        return;
    }
    r->address = r->address->ai_next;
    struct redis_link *link = r->link;
    r->link = NULL;
    if (link)
        redis_link_drop(link);
    connect_now(r);
}

struct addrinfo *redis_pick_address(struct addrinfo *first, unsigned replicas)
{
    struct addrinfo *picked = first;
    for (; replicas > 0; replicas--)
        picked = picked->ai_next ? picked->ai_next : first;
    return picked;
}

static void on_resolved(uv_getaddrinfo_t *lookup, int status, struct addrinfo *addresses)
{
    struct redis *r = lookup->data;
    lookup_ended();
    if (r->state == REDIS_IS_CLOSING) {
        uv_freeaddrinfo(addresses);
    } else if (status != 0) {
        lost_connecting(r, uv_strerror(status));
    } else {
        r->addresses = addresses;
        r->address = redis_pick_address(addresses, r->replicas);
        machine_go(&REDIS_MACHINE, r->state, REDIS_IS_CONNECTING);
        connect_now(r);
    }
    redis_release_handle(r);
}

static void resolve(struct redis *r)
{
    machine_go(&REDIS_MACHINE, r->state, REDIS_IS_RESOLVING);
    r->lookup.data = r;
    int failed = lookup_start(r->loop, &r->lookup, on_resolved, r->node->host);
    if (failed)
        lost_connecting(r, uv_strerror(failed));
    else
        r->handles++;
}

static void choose_node(struct redis *r)
{
    r->asking = r->next && r->next_asking;
    r->node = r->next ? r->next : r->fixed;
    r->next = NULL;
    if (!r->node)
        r->node = redis_map_pick(r->map, r->slot, r->attempts++);
    assert(r->node);
}

void redis_connect_start(struct redis *r)
{
    if (!r->url.path) {
        choose_node(r);
        resolve(r);
        return;
    }
    machine_go(&REDIS_MACHINE, r->state, REDIS_IS_CONNECTING);
    connect_now(r);
}

/* An ACL may forbid PING and TIME to a user who may do all that we need. */
static bool is_refusal(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOPERM", 6) != 0;
}

/* The connection whose greeting this answers; NULL if it was dropped meanwhile. */
static struct redis *greeted(const redisAsyncContext *ac, const void *reply)
{
    struct redis_link *link = ac->ev.data;
    return reply && link->redis->link == link ? link->redis : NULL;
}

static void on_greeting(redisAsyncContext *ac, void *reply, void *privdata)
{
    struct redis *r = greeted(ac, reply);
    (void)privdata;
    if (!r)
        return;
    r->greetings_left--;
    if (is_refusal(reply) && r->refused.kind == ERR_NONE)
        err_set(&r->refused, ERR_REFUSED, "greet Redis: %s", ((redisReply *)reply)->str);
}

/* TIME answers seconds and microseconds, https://redis.io/docs/latest/commands/time/ */
static void take_clock(struct redis *r, const redisReply *reply)
{
    int64_t seconds;
    int64_t us;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        str_to_i64(reply->element[0]->str, reply->element[0]->len, &seconds) != 0 ||
        str_to_i64(reply->element[1]->str, reply->element[1]->len, &us) != 0)
        return;
    int64_t answered_ms = clock_unix_ms();
    int64_t ours_ms = r->asked_clock_ms + (answered_ms - r->asked_clock_ms) / 2;
    peer_measured_clock(PEER_REDIS, seconds * 1000 + us / 1000 - ours_ms);
}

static void on_time(redisAsyncContext *ac, void *reply, void *privdata)
{
    struct redis *r = greeted(ac, reply);
    if (r)
        take_clock(r, reply);
    on_greeting(ac, reply, privdata);
}

/* A plain server refuses this, and an ACL may too. */
static void on_slots(redisAsyncContext *ac, void *reply, void *privdata)
{
    struct redis *r = greeted(ac, reply);
    (void)privdata;
    if (!r)
        return;
    r->greetings_left--;
    redis_map_take(r->map, reply, r->node);
}

static void on_role(redisAsyncContext *ac, void *reply, void *privdata)
{
    struct redis *r = greeted(ac, reply);
    (void)privdata;
    if (!r)
        return;
    r->greetings_left--;
    redis_role_greet(r, reply);
}

/* Whether the key exists does not matter, only which node serves it. An ACL may forbid EXISTS. */
static void on_looked(redisAsyncContext *ac, void *reply, void *privdata)
{
    struct redis *r = greeted(ac, reply);
    const redisReply *answer = reply;
    if (!r)
        return;
    if (answer->type == REDIS_REPLY_ERROR && redis_note_redirect(r, answer->str))
        r->greetings_left--;
    else
        on_greeting(ac, reply, privdata);
}

static void send_greeting(struct redis *r, redisCallbackFn *fn, int argc, const char **argv)
{
    int failed = redisAsyncCommandArgv(r->link->ac, fn, NULL, argc, argv, NULL);
    assert(failed == REDIS_OK); /* it refuses only while it disconnects */
    r->greetings_left++;
}

static struct redis_url login_in_force; /* its user and password are used, if … */
static bool has_login;                  /* … redis_use_login was called; else each URL's own */

void redis_use_login(const char *url)
{
    struct err e;
    redis_url_done(&login_in_force);
    has_login = url != NULL;
    int failed = url ? redis_url_parse(url, &login_in_force, &e) : 0;
    assert(!failed);
    (void)failed;
}

static void send_auth(struct redis *r)
{
    const struct redis_url *login = has_login ? &login_in_force : &r->url;
    if (!login->password)
        return;
    if (login->user)
        send_greeting(r, on_greeting, 3, (const char *[]){"AUTH", login->user, login->password});
    else
        send_greeting(r, on_greeting, 2, (const char *[]){"AUTH", login->password});
}

void redis_greet(struct redis *r)
{
    machine_go(&REDIS_MACHINE, r->state, REDIS_IS_GREETING);
    redis_connect_done(r);
    redis_start_timer(r, CONNECT_DEADLINE_MS);
    r->refused = (struct err){0};
    r->greetings_left = 0;
    r->in_multi = false;
    send_auth(r);
    char database[16];
    (void)snprintf(database, sizeof database, "%d", r->url.database);
    if (r->url.database != 0)
        send_greeting(r, on_greeting, 2, (const char *[]){"SELECT", database});
    r->asked_clock_ms = clock_unix_ms();
    send_greeting(r, on_time, 1, (const char *[]){"TIME"});
    if (r->node)
        send_greeting(r, on_slots, 2, (const char *[]){"CLUSTER", "SLOTS"});
    if (r->asking)
        send_greeting(r, on_greeting, 1, (const char *[]){"ASKING"});
    if (r->key)
        send_greeting(r, on_looked, 2, (const char *[]){"EXISTS", r->key});
    send_greeting(r, on_role, 1, (const char *[]){"ROLE"});
    send_greeting(r, on_greeting, 1, (const char *[]){"PING"});
}
