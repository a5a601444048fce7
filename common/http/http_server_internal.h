/* What the files of the HTTP server share: http_server.c (the daemon and the loop) and
 * http_exchange.c (one request and its answer). Nobody else includes this. */
#ifndef METERLINE_HTTP_SERVER_INTERNAL_H
#define METERLINE_HTTP_SERVER_INTERNAL_H

#include "common/closing.h"
#include "common/http/http_server.h"
#include "common/str.h"

#include <microhttpd.h>

enum { REPLY_HEADERS_MAX = 4 };

/* See the drawing in http_exchange.c. */
enum exchange_state { READING, HANDED, ANSWERED, QUEUED, GONE };

struct http_server {
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer;
    size_t max_body_bytes;
    http_handler_fn handler;
    void *owner;
    struct exchange *handed; /* list of those without an answer */
    int in_flight;           /* its length */
    bool quiesced;
    bool resumed; /* since the last MHD_run */
    struct closing closing;
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
    char *path;
    char *method;
    enum exchange_state state;
    bool suspended;
    bool owed; /* the handler has it and has not replied */
    struct MHD_Response *response;
    int status;
    char *header_names[REPLY_HEADERS_MAX];
    char *header_values[REPLY_HEADERS_MAX];
    int headers;
};

/* http_server.c: let libmicrohttpd work in the next turn of the loop. */
void http_server_run_soon(struct http_server *s);

/* http_exchange.c: libmicrohttpd's callbacks, and 503 for all that have no answer. */
enum MHD_Result http_exchange_on_access(void *owner, struct MHD_Connection *connection,
                                        const char *url, const char *method, const char *version,
                                        const char *data, size_t *length, void **slot);
void http_exchange_on_completed(void *owner, struct MHD_Connection *connection, void **slot,
                                enum MHD_RequestTerminationCode why);
void http_exchange_answer_all(struct http_server *s);

#endif
