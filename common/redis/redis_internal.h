/* What the files of the Redis adapter share: redis.c (the machine), redis_connect.c (addresses and
 * greeting), redis_role.c (is it a master?), redis_command.c (commands and deadlines),
 * redis_hooks.c (hiredis on the loop, and replies for a decoder). Nobody else includes this. */
#ifndef METERLINE_REDIS_INTERNAL_H
#define METERLINE_REDIS_INTERNAL_H

#include "common/backoff.h"
#include "common/machine.h"
#include "common/peer.h"
#include "common/redis/redis.h"
#include "common/redis/redis_map.h"
#include "common/str.h"

enum redis_state {
    REDIS_IS_WAITING,    /* no connection; the timer starts the next try */
    REDIS_IS_RESOLVING,  /* the host's name is looked up */
    REDIS_IS_CONNECTING, /* to one of its addresses after the other */
    REDIS_IS_GREETING,   /* AUTH, SELECT, TIME and PING are on their way */
    REDIS_IS_UP,
    REDIS_IS_CLOSING /* handles are being closed */
};

/* One command whose done has not been called yet. */
struct redis_pending {
    redis_done_fn done; /* or NULL */
    void *owner;
    int64_t deadline_ms; /* monotonic */
    enum err_kind kind;  /* once it has ended without a reply */
};

/* First in, first out: a ring. Zero-initialise. */
struct redis_queue {
    struct redis_pending *items;
    size_t capacity; /* 0 or a power of two */
    size_t first;
    size_t n;
};

/* One hiredis connection and its poll handle. It outlives its part in struct redis until hiredis
 * has let go of it and the handle is closed. */
struct redis_link {
    redisAsyncContext *ac; /* NULL once hiredis has freed it */
    uv_poll_t poll;
    int events; /* polled for: UV_READABLE | UV_WRITABLE */
    struct redis *redis;
    void *tls; /* owned by ac, or NULL */
    bool connected;
    char reason[128]; /* why hiredis dropped it, or "" */
};

struct redis {
    uv_loop_t *loop;
    struct redis_url url;
    struct redis_map *map;          /* shared */
    char *key;                      /* stay with the node that serves it; NULL: with any */
    int slot;                       /* of key, or -1 */
    const struct redis_node *fixed; /* this one and no other, or NULL */
    const struct redis_node *node;  /* tried, or connected to; NULL for a unix socket */
    const struct redis_node *next;  /* where a redirection leads, until it is tried; or NULL */
    bool next_asking;               /* … and it was ASK */
    const struct redis_node *told;  /* where the last one that was logged led; or NULL */
    bool asking;                    /* the node takes commands on the key only behind ASKING */
    bool in_multi;                  /* between MULTI and EXEC, where one ASKING is enough */
    unsigned attempts;              /* since it was up last */
    int hops;                       /* redirections since a command was answered */
    struct redis_events events;
    struct redis_decoder decoder; /* no take: hiredis' own reader */

    enum redis_state state;
    struct redis_link *link; /* NULL while waiting and resolving */
    uv_timer_t timer;        /* by state: the wait, the connect deadline, the next look at ROLE */
    uv_timer_t deadline;     /* of the commands in flight */
    int64_t deadline_at_ms;  /* when that one fires; INT64_MAX while it is stopped */
    bool looked_again;       /* a deadline passed, and the socket got its last look */
    uv_timer_t soon;         /* calls what must not be called from inside a public function */
    uv_getaddrinfo_t lookup; /* runs while resolving */
    int handles;             /* open handles and requests; at 0 redis is freed */
    struct addrinfo *addresses; /* owned */
    struct addrinfo *address;   /* of these, the one being tried; NULL for a unix socket */

    int greetings_left; /* parts of the greeting without an answer yet */
    struct err refused; /* the first part that was refused; else ERR_NONE */
    int64_t asked_clock_ms;

    bool was_master;    /* ROLE said so since we connected */
    bool role_hidden;   /* an ACL forbids ROLE */
    bool role_due;      /* with a decoder: ROLE is sent before the next command */
    bool role_asked;    /* ROLE is in flight; with a decoder its answer goes to hiredis, and … */
    struct buf delayed; /* … commands wait here until it has come */
    unsigned replicas;  /* replicas found in a row */

    struct redis_queue sent;  /* in the order in which the replies come */
    struct redis_queue ended; /* without a reply; done is called soon */
    struct err down;          /* why the last connection was lost */
    bool tell_down;           /* on_down is called soon */

    struct backoff backoff;
    struct peer_link peer;

    void (*closed)(void *owner);
    void *closed_owner;
};

/* redis.c */
extern const struct machine REDIS_MACHINE;
/* The connection was lost or could not be made: drop it, call on_down soon, try again later.
 * Commands whose deadline is at most overdue_ms (monotonic; INT64_MIN for none) end with
 * ERR_TIMEOUT, the others with ERR_CLOSED. */
void redis_lost(struct redis *r, const struct err *error, int64_t overdue_ms);
/* Another node serves the key, r->next: drop the connection and go there. No peer was lost. */
void redis_follow(struct redis *r);
/* Note where that error reply leads. Returns false if it is no redirection, or r has no key. */
bool redis_note_redirect(struct redis *r, const char *text);
/* The socket of r->link was ready and hiredis has done its work. */
void redis_link_moved(struct redis *r);
void redis_release_handle(struct redis *r);
void redis_start_timer(struct redis *r, uint64_t wait_ms);
void redis_start_soon(struct redis *r);

/* redis_connect.c */
void redis_connect_start(struct redis *r);
void redis_connect_failed(struct redis *r, const char *reason); /* the next address, or lost */
void redis_connect_done(struct redis *r);                       /* frees the addresses */
void redis_greet(struct redis *r);
/* Which of a name's addresses to try: the first one, and the next for each replica found. */
struct addrinfo *redis_pick_address(struct addrinfo *first, unsigned replicas);

/* redis_role.c */
void redis_role_greet(struct redis *r, const redisReply *reply); /* ROLE's, of the greeting */
void redis_role_start(struct redis *r);                          /* it is up */
void redis_role_ask(struct redis *r);                            /* it is time to ask again */
void redis_role_forget(struct redis *r);                         /* the connection is dropped */
/* Does this error reply say that the server is a replica? Then the connection is to be lost. */
bool redis_role_refuses(const struct redis *r, const char *text);
void redis_role_lose(struct redis *r, const char *text);

/* redis_command.c */
void redis_end_sent(struct redis *r, enum err_kind kind, int64_t overdue_ms);
void redis_deliver_ended(struct redis *r); /* those that have ended before this call */
/* The reply to the first command in flight has come: reply, or e, or neither from a decoder. */
void redis_end_first(struct redis *r, struct err *e, void *reply);
/* Like redis_command, of formatted bytes, which are copied. */
void redis_send(struct redis *r, uint64_t deadline_ms, redis_done_fn done, void *owner,
                const char *bytes, size_t length);
/* The node of a cluster and no other, for redis_router.c; the map is the URL's and outlives it. */
struct redis *redis_open_node(uv_loop_t *loop, const char *url, const struct redis_node *node,
                              struct redis_events events, struct err *e);

/* redis_hooks.c */
/* Start connecting; returns NULL with e if hiredis refuses at once. */
struct redis_link *redis_link_open(struct redis *r, const char *host, struct err *e);
/* hiredis may free its context only later, if we are inside one of its callbacks. */
void redis_link_drop(struct redis_link *link);
bool redis_is_raw(const struct redis_link *link); /* a decoder takes what comes from now on */
/* For a decoder. Returns false if the connection cannot take it. */
bool redis_raw_send(struct redis_link *link, const char *bytes, size_t length);

#endif
