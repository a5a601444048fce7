/* What the files of the HTTP server share: http_server.c (the daemon and the loop),
 * http_connections.c (who may stay), http_exchange.c (one request and its answer) and http_pieces.c
 * (an answer in pieces). Nobody else includes this. */
#ifndef METERLINE_HTTP_SERVER_INTERNAL_H
#define METERLINE_HTTP_SERVER_INTERNAL_H

#include "common/closing.h"
#include "common/http/http_server.h"
#include "common/log.h"
#include "common/str.h"

#include <microhttpd.h>

enum { REPLY_HEADERS_MAX = 12, CONNECTIONS_MAX = 1000, EXCHANGE_TEXT_SIZE = 64 };

/* See the drawing in http_exchange.c. */
enum exchange_state { READING, HANDED, ANSWERED, QUEUED, GONE };

/* An answer in pieces: what the handler gave and libmicrohttpd has not taken. */
struct pieces {
    struct http_pieces events; /* on_wanted NULL: the answer is not in pieces */
    struct buf waiting;
    size_t taken;   /* of waiting */
    bool is_wanted; /* on_wanted is to be called, or was */
    bool is_ended;
    bool is_whole;
};

struct http_server {
    struct MHD_Daemon *daemon;
    const char *name;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_timer_t watch; /* of connections */
    struct connection *connections;
    struct connection *connections_last;
    int connections_count;
    int connections_max;
    size_t held_bytes;  /* of bodies, read or being read */
    int64_t crowded_ms; /* when somebody last had to go, monotonic; 0: never */
    struct log_repeat cut;
    size_t max_body_bytes;
    http_handler_fn handler;
    void *owner;
    struct exchange *handed; /* list of those without an answer */
    struct exchange *begun;  /* list of those whose answer is given in pieces */
    int in_flight;           /* the length of both */
    bool quiesced;
    bool resumed; /* since the last MHD_run */
    struct closing closing;
};

struct connection {
    int fd;
    int64_t since_ms; /* monotonic: of the connection, its last answer or the request's line */
    bool is_asking;   /* the request's line has come */
    bool is_cut;
    struct exchange *exchange; /* the request being read or answered, or NULL */
    char *target;              /* of the newest request's line, or NULL */
    struct connection *next;
    struct connection *previous;
};

struct http_response {
    struct MHD_Response *response;
    int status;
    int references;
    bool is_last; /* it says that the connection closes */
};

/* Held by the connection until it is done, and by the handler until http_reply: freed after both.
 */
struct exchange {
    struct http_exchange public;
    struct http_server *server;        /* not to be used once GONE */
    struct MHD_Connection *connection; /* NULL once GONE */
    struct exchange *next;
    struct exchange *previous;
    struct buf body;
    size_t discarded_bytes;
    bool is_dropped; /* what has come of the body is not kept: 503 */
    char *path;      /* in text, or malloc'd */
    char *method;
    char *target;
    struct pieces pieces;
    char text[EXCHANGE_TEXT_SIZE];
    enum exchange_state state;
    bool suspended;
    bool owed;                     /* the handler has it and has not replied */
    struct MHD_Response *response; /* owned; NULL: shared's, or none yet */
    struct http_response *shared;
    int status;
    char *header_names[REPLY_HEADERS_MAX];
    char *header_values[REPLY_HEADERS_MAX];
    int headers;
};

/* http_server.c: let libmicrohttpd work in the next turn of the loop. */
void http_server_run_soon(struct http_server *s);

/* http_connections.c: libmicrohttpd's callbacks; … */
void http_connections_on_change(void *owner, struct MHD_Connection *connection, void **slot,
                                enum MHD_ConnectionNotificationCode code);
void *http_connections_on_line(void *owner, const char *uri, struct MHD_Connection *connection);
struct connection *http_connection_of(struct MHD_Connection *connection);
/* … the answer is out; cut off who is too slow; and make room for so many bytes of a body, which
 * fails if too many are being answered. */
void http_connections_on_answered(struct http_server *s, struct connection *c);
void http_connections_look(struct http_server *s);
bool http_connections_hold(struct http_server *s, const struct connection *for_this, size_t more);

/* http_exchange.c: what http_pieces.c needs of it. */
void http_exchange_answer(struct exchange *x, int status, struct MHD_Response *response);
void http_exchange_resume(struct exchange *x);
void http_exchange_free(struct exchange *x);

/* http_exchange.c: libmicrohttpd's callbacks, and 503 for all that have no answer. */
enum MHD_Result http_exchange_on_access(void *owner, struct MHD_Connection *connection,
                                        const char *url, const char *method, const char *version,
                                        const char *data, size_t *length, void **slot);
void http_exchange_on_completed(void *owner, struct MHD_Connection *connection, void **slot,
                                enum MHD_RequestTerminationCode why);
void http_exchange_answer_all(struct http_server *s);
/* http_pieces.c. After libmicrohttpd has run: asks for what answers in pieces lack. */
void http_pieces_ask(struct http_server *s);
/* Cuts all of them. */
void http_pieces_cut_all(struct http_server *s);
/* Its client has left, or has all. */
void http_pieces_leave(struct exchange *x);
/* Its client was cut off. */
void http_exchange_drop_body(struct exchange *x);

#endif
