/* Redis under libuv: one hiredis connection that comes back by itself. Own hooks on ac->ev, since
 * the libuv adapter of hiredis 0.14 never reports a refused connection.
 *
 * Failure modes: a lost connection or a passed deadline gives every command in flight ERR_CLOSED or
 * ERR_TIMEOUT (outcome unknown) and the connection is made anew after a backoff (50 ms to 2 s). An
 * error reply gives ERR_REFUSED with Redis' text; retry is set for those that pass, such as LOADING
 * or OOM.
 *
 * No pub/sub and no MONITOR. hiredis writes without MSG_NOSIGNAL, so redis_open ignores SIGPIPE
 * unless the program handles it already. */
#ifndef METERLINE_REDIS_H
#define METERLINE_REDIS_H

#include "common/err.h"

#include <hiredis/async.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct redis; /* opaque: one connection */

struct redis_events {
    void (*on_up)(void *owner); /* connected, authenticated, database selected (again) */
    /* Lost, or could not be made: after each try, until on_up. Never after redis_close. */
    void (*on_down)(void *owner, const struct err *error);
    void *owner;
};

/* reply: a redisReply, or what the functions of redis_set_reader made; borrowed until done returns;
 * NULL with an error. An error reply within an array (MULTI/EXEC) is the caller's to see. */
typedef void (*redis_done_fn)(void *owner, const struct err *error, void *reply);

/* redis://[user:password@]host:port[/db], rediss:// where hiredis has TLS, unix:///path. Start
 * connecting; returns NULL with e only for a URL that cannot be used. Peer lost and back is logged
 * here. */
struct redis *redis_open(uv_loop_t *loop, const char *url, struct redis_events events,
                         struct err *e);

/* Replies after the handshake are built by fns instead of hiredis' own (no object per field), at
 * each connection anew. privdata: what task->privdata holds. Call right after redis_open.
 *
 * The root object must begin with a redisReply, as `struct { redisReply head; … }`: hiredis and
 * this module look at its type, and for REDIS_REPLY_ERROR at its str (NUL-terminated) and len. An
 * error reply comes to createString with task->type REDIS_REPLY_ERROR and becomes ERR_REFUSED as
 * always. No object may be NULL, though all may be the root. freeObject gets roots only, also
 * half-built ones. */
void redis_set_reader(struct redis *r, redisReplyObjectFunctions *fns, void *privdata);

bool redis_is_up(const struct redis *r);

/* Send one command; done exactly once, from the loop. May be called while others are in flight
 * (pipelining). If the connection is down, done gets ERR_CLOSED from the loop. deadline_ms counts
 * from now. done may be NULL. */
void redis_command(struct redis *r, uint64_t deadline_ms, redis_done_fn done, void *owner, int argc,
                   const char **argv, const size_t *argv_length);
/* The same with hiredis' format (%s, %b, %lld). */
void redis_commandf(struct redis *r, uint64_t deadline_ms, redis_done_fn done, void *owner,
                    const char *format, ...);

/* Drop the connection and connect anew: commands in flight get ERR_CLOSED, on_down is called. While
 * there is no connection it does nothing. */
void redis_reset(struct redis *r);
/* Once. Commands in flight and later ones get ERR_CANCELED; closed runs from the loop when r is
 * freed. */
void redis_close(struct redis *r, void (*closed)(void *owner), void *owner);

/* A URL into its parts, for synchronous clients too. All malloc'd, NULL where absent. */
struct redis_url {
    char *host;
    char *path; /* of a unix socket */
    char *user;
    char *password;
    int port;
    int database;
    bool tls;
};
int redis_url_parse(const char *url, struct redis_url *out, struct err *e);
void redis_url_done(struct redis_url *u);

/* A blocking connection for tools: connected, authenticated, database selected; NULL with e. */
redisContext *redis_connect_blocking(const char *url, int timeout_ms, struct err *e);

#endif
