/* What the files of the PostgreSQL adapter share: pg.c (the machine), pg_connect.c (making a
 * connection), pg_pipeline.c (running statements), pg_error.c. Nobody else includes this. */
#ifndef METERLINE_PG_INTERNAL_H
#define METERLINE_PG_INTERNAL_H

#include "common/backoff.h"
#include "common/machine.h"
#include "common/peer.h"
#include "common/pg/pg.h"
#include "common/str.h"

enum pg_state {
    PG_IS_WAITING,    /* no connection; the timer starts the next try, or tries the next host */
    PG_IS_RESOLVING,  /* the hosts' names are looked up */
    PG_IS_CONNECTING, /* PQconnectPoll */
    PG_IS_SETUP,      /* the session's settings are on their way */
    PG_IS_READY,
    PG_IS_BUSY,   /* a caller's pipeline is in flight */
    PG_IS_CLOSING /* handles are being closed */
};

/* The pipeline in flight, or one whose done has not been called yet. */
struct pg_pipeline {
    bool active;        /* sent, and the answer to its Sync has not come */
    bool rolling_back;  /* it failed inside BEGIN; ROLLBACK was sent after it */
    bool send_failed;   /* a statement could not be given to libpq */
    bool wrapped;       /* the adapter began the open transaction, and must commit it */
    int most;           /* the caller gives so many statements at most … */
    int n;              /* … and has given so many */
    const char *before; /* the SQL of the caller's last one, or NULL */
    int sent;           /* statements sent: the caller's, and those that the adapter adds */
    bool *is_added;     /* owned; for each one sent: the adapter added it, and drops its result */
    int at;             /* of those sent, the one whose result comes next */
    int kept;           /* results of the caller's statements that have come */
    PGresult **results; /* owned; room for most of them, NULL until they come */
    struct err error;   /* the first; ERR_NONE while all goes well */
    pg_row_fn on_row;   /* NULL but for a stream */
    pg_next_fn next;    /* NULL once all statements are given, or from the start */
    pg_done_fn done;
    void *owner;
};

struct pg_host {
    char *name;    /* what certificates and passwords are looked up by */
    char *address; /* "": a socket */
    char *port;    /* "": libpq's default */
};

/* The URL in its parts, and the addresses of its hosts, which are tried one by one. */
struct pg_hosts {
    PQconninfoOption *options; /* owned; set from resolving until it is up or all were tried */
    size_t at;                 /* the host of the URL that is looked up */
    uv_getaddrinfo_t lookup;
    int n; /* entries; 0 while options is set: libpq gets the URL as it is */
    struct pg_host *entries;
    int next;        /* entry that is tried next; n: all were */
    struct buf said; /* why the entries before could not be used */
};

struct pg {
    uv_loop_t *loop;
    char *url;
    char *role; /* or NULL */
    char *application_name;
    struct pg_events events;

    enum pg_state state;
    struct pg_hosts hosts;
    PGconn *conn;      /* NULL while waiting */
    uv_poll_t *poll;   /* on the socket of conn; NULL while there is none */
    uv_timer_t timer;  /* by state: the connect deadline, the wait, the pipeline's deadline */
    bool is_direct;    /* no pooler is between us and the server */
    bool takes_reader; /* a primary that is read-only by default will do */
    uv_timer_t soon;   /* calls what must not be called from inside a public function */
    int handles;       /* open handles and requests; at 0 pg is freed */
    bool looked_again; /* the deadline passed, and the socket got its last look */

    struct pg_pipeline pipeline;
    bool in_transaction; /* the last pipeline left BEGIN without COMMIT */
    bool pipeline_ended; /* by a lost connection: done is called soon */
    bool tell_down;      /* on_down is called soon */
    bool tell_notified;  /* on_notified is called soon */
    struct err down;
    struct err fatal; /* why the server closes the connection, if it said so */

    struct backoff backoff;
    struct peer_link peer;
    int64_t asked_clock_ms; /* our clock when the server's was asked for */
    int64_t clock_offset_ms;

    void (*closed)(void *owner);
    void *closed_owner;
};

/* pg.c */
extern const struct machine PG_MACHINE;
/* Poll the socket of conn for these events. */
void pg_watch(struct pg *pg, int events);
void pg_unwatch(struct pg *pg);
/* Start the timer, counted from now and not from the beginning of this turn of the loop. */
void pg_start_timer(struct pg *pg, uint64_t wait_ms);
/* Start the timer that calls what must not be called from inside a public function. */
void pg_start_soon(struct pg *pg);
/* The connection was lost or could not be made: drop it, call on_down soon, try again later. */
void pg_lost(struct pg *pg, const struct err *error);
void pg_release_handle(struct pg *pg);

/* pg_connect.c */
void pg_connect_prepare(struct pg *pg); /* takes the URL apart, looks up its hosts, connects */
void pg_connect_step(struct pg *pg);    /* the socket is ready */
void pg_connect_start(struct pg *pg);   /* to the next host */
/* Is there another address to try before waiting? */
bool pg_has_next_host(const struct pg *pg);
void pg_say_host(struct pg *pg, const struct err *error); /* notes why this one failed */
void pg_resolve_done(struct pg *pg);                      /* frees what was found */

/* pg_pipeline.c */
void pg_pipeline_begin(struct pg *pg, int most);
void pg_pipeline_add(struct pg *pg, const struct pg_statement *statement);
int pg_pipeline_end(struct pg *pg, struct err *e);
void pg_pipeline_io(struct pg *pg, int events); /* the socket is ready */
/* Ends with that error unless it has failed before. done is not called. */
void pg_pipeline_fail(struct pg *pg, const struct err *error);
/* Calls done, which may do anything but free pg; then releases the results. */
void pg_pipeline_finish(struct pg *pg);

/* pg_error.c */
void pg_first_line(const char *text, char *out, size_t size);
/* The server or the session is read-only, so this connection is of no use. is_added: the error is
 * of a statement that the adapter added. */
bool pg_is_read_only(const struct err *e, bool is_added);
/* Why the connection is gone: what the server said, else what libpq says. */
void pg_loss_err(const struct pg *pg, struct err *e);
/* Keep an error result in pg->fatal if the server closes the connection with it. */
void pg_note_fatal(struct pg *pg, const PGresult *r, const struct err *e);
/* The notice receiver: logs at debug level, where libpq would write to stderr. */
void pg_on_notice(void *owner, const PGresult *notice);

#endif
