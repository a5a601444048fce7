/* An HTTP server under libuv by libmicrohttpd: its one epoll descriptor is polled by the loop, no
 * internal threads, raw bodies. The answer may be given at once or later from the loop. Clients
 * that are slow to send, or are too many, are cut off. */
#ifndef METERLINE_HTTP_SERVER_H
#define METERLINE_HTTP_SERVER_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_server;

/* One request being answered. It lives until http_reply, also if the client or the server has gone
 * (headers and query are then NULL). */
struct http_exchange {
    const char *method;
    const char *path;   /* decoded, without the query */
    const char *target; /* path and query as they came; "" before their line was read */
    const char *body;   /* raw bytes, NUL-terminated too */
    size_t body_length;
    bool too_large; /* the body passed max_body_bytes and was not kept */
    void *internal;
};

const char *http_exchange_header(const struct http_exchange *x, const char *name);
const char *http_exchange_query(const struct http_exchange *x, const char *name);

/* Called once a request is read whole. The handler, or someone later, must call http_reply once. */
typedef void (*http_handler_fn)(void *owner, struct http_exchange *x);

/* Answer and forget x. content_type static; body copied; extra header may be NULL. Safe when the
 * client has gone. */
void http_reply(struct http_exchange *x, int status, const char *content_type, const char *body,
                size_t length);
void http_reply_header(struct http_exchange *x, const char *name, const char *value);

/* An answer that comes in pieces, so that it need not be held whole: http_reply_begin in place of
 * http_reply, then http_reply_write whenever more is wanted, then http_reply_end. */
struct http_pieces {
    /* The client has taken most of what it was given. From the loop; not again until something was
     * written. */
    void (*on_wanted)(void *owner);
    /* The client has left, or the server is closing: x is gone, as after http_reply_end. Never
     * from inside a call of these functions. */
    void (*on_gone)(void *owner);
    void *owner;
};
/* Returns 0; or -1 if the client has left already, and x is gone. */
int http_reply_begin(struct http_exchange *x, int status, const char *content_type,
                     struct http_pieces pieces);
void http_reply_write(struct http_exchange *x, const char *data, size_t length);
/* Forget x. is_whole false: the connection is cut, so that the client sees that something lacks. */
void http_reply_end(struct http_exchange *x, bool is_whole);

/* An answer that is made once and given many times, as it is. */
struct http_response;
struct http_response *http_response_new(int status, const char *content_type, const char *body,
                                        size_t length);
void http_response_header(struct http_response *r, const char *name, const char *value);
/* Those who were answered with it have it for as long as they need it. r may be NULL. */
void http_response_free(struct http_response *r);
/* As http_reply. Headers of http_reply_header are not sent. */
void http_reply_with(struct http_exchange *x, struct http_response *r);

/* listen: HOST:PORT, port 0 takes a free one. name ("ops", "webhooks", static) goes into the log
 * line `event=listening name=ops address=127.0.0.1:9101`. Returns NULL with e. */
struct http_server *http_server_open(uv_loop_t *loop, const char *name, const char *listen,
                                     size_t max_body_bytes, http_handler_fn handler, void *owner,
                                     struct err *e);
enum { HTTP_ADDRESS_SIZE = 128 };
/* What http_server_open listens on: a bound socket, non-blocking. listen as there; :9101 is one
 * socket for IPv6 and IPv4. address gets the real one, such as "127.0.0.1:9101" or "[::1]:9101".
 * Returns the descriptor, or -1 with e. */
int http_listen(const char *listen, char address[HTTP_ADDRESS_SIZE], struct err *e);

/* It keeps at most so many connections, 1 to 1000, which it does if this is not called. */
void http_server_set_connections(struct http_server *s, int most);
/* Stop taking connections; those in flight may still be answered until http_server_close. */
void http_server_quiesce(struct http_server *s);
/* Lately there were more connections than it keeps, and the slowest were cut off. */
bool http_server_is_crowded(const struct http_server *s);
/* Exchanges not yet answered, or whose answer is still being given in pieces. */
int http_server_in_flight(const struct http_server *s);
/* Clients without an answer get 503; each exchange still needs its http_reply, which then only
 * frees it. The handler is not called any more. closed runs from the loop when s is freed. */
void http_server_close(struct http_server *s, void (*closed)(void *owner), void *owner);

#endif
