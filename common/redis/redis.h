/* Redis under libuv: one hiredis connection that reconnects by itself. It has hooks of its own on
 * ac->ev, since the libuv adapter of hiredis 0.14 never reports a refused connection.
 *
 * Failure modes: a lost connection or a passed deadline gives every command in flight ERR_CLOSED or
 * ERR_TIMEOUT (outcome unknown) and the connection is made anew after a backoff (50 ms to 2 s). An
 * error reply gives ERR_REFUSED with Redis' text; retry is set for those that pass, such as LOADING
 * or OOM. A plain server that is a replica or becomes one counts as lost within 10 s: the URL's
 * hosts are looked up again, and each of their addresses is tried.
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
    /* The connection was lost, or a try to make it failed. Not called after redis_close. */
    void (*on_down)(void *owner, const struct err *error);
    void *owner;
};

/* reply: a redisReply, borrowed until done returns; NULL with an error, and on a connection with a
 * decoder. An error reply within an array (MULTI/EXEC) is the caller's to see. */
typedef void (*redis_done_fn)(void *owner, const struct err *error, void *reply);

/* redis://[user:password@]host:port[,host:port…][/db], rediss:// where hiredis has TLS,
 * unix:///path. Start connecting; returns NULL with e only for a URL that cannot be used. Peer lost
 * and back is logged here. Of a Redis Cluster it is any node that answers; of several plain servers
 * the one that is a master. */
struct redis *redis_open(uv_loop_t *loop, const char *url, struct redis_events events,
                         struct err *e);

/* The same, to the server that has this key: in a Redis Cluster the node that serves it, also after
 * the key has moved; with a plain server there is no difference. Commands on the key may be sent,
 * MULTI, and commands about the server (ROLE, CONFIG GET), but none on keys of other slots. When
 * the key moves, the commands in flight get ERR_CLOSED, on_down is called, and then on_up with the
 * connection to the other node: to the caller the connection was lost and is back. For keys all
 * over the cluster see redis_router.h. key: copied. */
struct redis *redis_open_at(uv_loop_t *loop, const char *url, const char *key,
                            struct redis_events events, struct err *e);

/* Every connection that this process makes from now on authenticates with the user and password of
 * this URL in place of its own: for a password that was changed. url must be valid (asserted); NULL
 * ends it. */
void redis_use_login(const char *url);

/* Replies as raw bytes, for those that are too many for a redisReply. */
struct redis_decoder {
    /* A new connection begins: forget the part of a reply that came over the old one. */
    void (*restart)(void *owner);
    /* Room for the bytes that come next, borrowed until take; *size: at least 1. */
    char *(*reserve)(void *owner, size_t *size);
    /* n bytes have been written there. Returns 0 if the reply goes on. Returns 1 if it has ended,
     * with e of kind ERR_NONE or, for an error reply, ERR_REFUSED with Redis' text; take is then
     * called again with n = 0 for the next reply. Returns -1 with e if the bytes make no sense; the
     * connection is dropped. */
    int (*take)(void *owner, size_t n, struct err *e);
    void *owner;
};

/* After each greeting everything that Redis sends goes to the decoder. done gets no reply then, and
 * takes the result from the decoder. Call it right after redis_open. */
void redis_set_decoder(struct redis *r, struct redis_decoder decoder);

bool redis_is_up(const struct redis *r);

/* For a caller with a decoder that works long within one turn of the loop: reads what has come,
 * which may call done of commands in flight, and writes what waits to be written. */
void redis_poll(struct redis *r);

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
/* The same when the caller has found that the server is a replica: the peer counts as lost. */
void redis_found_replica(struct redis *r);
/* Call it once. Commands in flight and later ones get ERR_CANCELED; then r is freed and closed
 * runs, from the loop. */
void redis_close(struct redis *r, void (*closed)(void *owner), void *owner);

/* A URL into its parts, for synchronous clients too. All malloc'd, NULL where absent. */
enum { REDIS_SEEDS_MAX = 16 };
struct redis_url {
    struct redis_seed {
        char *host;
        int port;
    } seeds[REDIS_SEEDS_MAX]; /* more than one: nodes of a cluster, or a master and its replicas */
    int n_seeds;              /* 0 with a path */
    char *path;               /* of a unix socket */
    char *user;
    char *password;
    int database;
    bool tls;
};
int redis_url_parse(const char *url, struct redis_url *out, struct err *e);
void redis_url_done(struct redis_url *u);

/* A blocking connection for tools: connected, authenticated, database selected; NULL with e. */
redisContext *redis_connect_blocking(const char *url, int timeout_ms, struct err *e);
/* The same to the node that serves this key, if the server is a cluster. The connection does not
 * follow the key: once it moves, commands on it are refused with MOVED or ASK. *asking is set if
 * the key is just moving to this node, which takes commands on it only right behind ASKING. With
 * asking NULL that is an error. */
redisContext *redis_connect_blocking_at(const char *url, const char *key, int timeout_ms,
                                        bool *asking, struct err *e);
/* The same to the i-th master of a cluster; a plain server is the only one. Call it with i = 0, 1,
 * … Behind the last one it returns NULL, and e->kind is ERR_NONE. */
redisContext *redis_connect_blocking_master(const char *url, int i, int timeout_ms, struct err *e);

#endif
