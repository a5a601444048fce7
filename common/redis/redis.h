/* Redis under libuv: one hiredis connection that comes back by itself. Own hooks on ac->ev, since
 * the libuv adapter of hiredis 0.14 never reports a refused connection.
 *
 * Failure modes: a lost connection or a passed deadline gives every command in flight ERR_CLOSED or
 * ERR_TIMEOUT (outcome unknown) and the connection is made anew after a backoff (50 ms to 2 s). An
 * error reply gives ERR_REFUSED with Redis' text; retry is set for those that pass, such as LOADING
 * or OOM. A plain server that is a replica, or becomes one, is lost like one that is away, within
 * 10 s: the URL is looked up anew, and of several hosts or addresses each is tried.
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

/* reply: a redisReply, borrowed until done returns; NULL with an error, and on a connection with a
 * decoder. An error reply within an array (MULTI/EXEC) is the caller's to see. */
typedef void (*redis_done_fn)(void *owner, const struct err *error, void *reply);

/* redis://[user:password@]host:port[,host:port…][/db], rediss:// where hiredis has TLS,
 * unix:///path. Start connecting; returns NULL with e only for a URL that cannot be used. Peer lost
 * and back is logged here. Of a Redis Cluster it is any node that answers; of several plain servers
 * the one that is a master. */
struct redis *redis_open(uv_loop_t *loop, const char *url, struct redis_events events,
                         struct err *e);

/* The same, to the server that has this key: of a Redis Cluster the node that serves it, now and
 * after it moved; for a plain server there is no difference. So MULTI, and what concerns the whole
 * server (ROLE, CONFIG GET), may be sent as well as commands on the key, and none on keys of other
 * slots. When the key has moved, the commands in flight get ERR_CLOSED, on_down is called, and then
 * on_up with the connection to the other node: to the caller it is a connection that was lost. For
 * keys all over the cluster see redis_router.h. key: copied. */
struct redis *redis_open_at(uv_loop_t *loop, const char *url, const char *key,
                            struct redis_events events, struct err *e);

/* Every connection of this process that is made from now on authenticates with this URL's user and
 * password, whatever it was opened with: for a password that is rolled. url: one that can be read
 * (asserted); NULL ends it. */
void redis_use_login(const char *url);

/* Replies as raw bytes, for those that are too many for a redisReply. */
struct redis_decoder {
    /* Another connection: what came of a reply that is not whole is forgotten. */
    void (*restart)(void *owner);
    /* Room for the bytes that come next, borrowed until take; *size: at least 1. */
    char *(*reserve)(void *owner, size_t *size);
    /* n bytes have been written there. Returns 0: the reply goes on. 1: it has ended, with e of
     * ERR_NONE or with what is wrong with it, such as ERR_REFUSED with Redis' text; take is called
     * again with n = 0, for the next one. -1 with e: the bytes make no sense; the connection is
     * dropped. */
    int (*take)(void *owner, size_t n, struct err *e);
    void *owner;
};

/* After the handshake, at each connection anew, what Redis sends is the decoder's. done gets no
 * reply then; it finds what the decoder made of it. Call right after redis_open. */
void redis_set_decoder(struct redis *r, struct redis_decoder decoder);

bool redis_is_up(const struct redis *r);

/* For a caller with a decoder who works long in one turn of the loop: what has come is taken now,
 * which may call done of commands in flight, and what waits to be written is. */
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
/* The same for a server that the caller found to be a replica: the peer is lost, and looked up. */
void redis_found_replica(struct redis *r);
/* Once. Commands in flight and later ones get ERR_CANCELED; closed runs from the loop when r is
 * freed. */
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
/* The same to the node that serves this key, where the server is a cluster. It does not follow the
 * key later: then commands on it are refused with MOVED or ASK. *asking: the key is on its way to
 * this node: commands on it are taken only right behind ASKING. asking NULL: that is an error. */
redisContext *redis_connect_blocking_at(const char *url, const char *key, int timeout_ms,
                                        bool *asking, struct err *e);
/* To the i-th master of a cluster, from 0; of a plain server there is one. Behind the last one it
 * returns NULL, and e->kind is ERR_NONE. Call it from 0 on. */
redisContext *redis_connect_blocking_master(const char *url, int i, int timeout_ms, struct err *e);

#endif
