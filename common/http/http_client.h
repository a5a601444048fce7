/* HTTP requests under libuv by libcurl. TLS 1.2 or later, peer and name verified,
 * never a redirect, connections kept alive, answers cut at max_body_bytes. */
#ifndef METERLINE_HTTP_CLIENT_H
#define METERLINE_HTTP_CLIENT_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_client;
struct http_request; /* one in flight; gone after done */

struct http_header {
    const char *name;
    const char *value;
};

/* What becomes of a transfer whose data were given to on_data. */
enum http_taken {
    HTTP_TAKEN,
    HTTP_PAUSED, /* nothing was taken: the same data come again after http_resume */
    HTTP_STOPPED /* it ends, as ERR_CLOSED */
};

struct http_answer;

struct http_call {
    const char *method; /* GET, POST, DELETE */
    const char *url;
    const struct http_header *headers; /* ends in {NULL}; copied */
    const char *body;                  /* copied; NULL for none */
    size_t body_length;
    uint64_t connect_timeout_ms; /* from libcurl 8 on with the wait for one of max_connections */
    uint64_t timeout_ms;         /* all of it */
    bool only_https;
    /* Whether it may connect to this address; NULL: to any. If not: ERR_INPUT. */
    bool (*allows)(const struct sockaddr *address);
    /* Takes the body of a 200 as it comes, so that it is not held whole, and bounded by the taker
     * alone; the answer's own body is then empty. head: without body. owner: of http_send. NULL:
     * the body is held. */
    enum http_taken (*on_data)(void *owner, const struct http_answer *head, const char *data,
                               size_t length);
};

struct http_answer {
    int status;
    const char *body; /* NUL-terminated too */
    size_t body_length;
    int64_t server_date_ms; /* the Date header, Unix ms; 0 if absent */
    int64_t elapsed_ms;
    bool repeated; /* a first request was lost on a kept connection, and the peer may have read it;
                      this is the answer to the same bytes on a new one */
    void *internal;
};

/* A response header by name without regard to case, or NULL. Valid until done returns. */
const char *http_answer_header(const struct http_answer *answer, const char *name);
/* Where a 3xx leads, as a whole URL; NULL: nowhere. Valid until done returns. */
const char *http_answer_redirect(const struct http_answer *answer);

/* error NULL: answer holds any status; its body is cut at max_body_bytes. Else ERR_CONNECT,
 * ERR_TLS, ERR_INPUT (the URL cannot be used): the request was not sent; ERR_TIMEOUT, ERR_CLOSED:
 * outcome unknown; ERR_CANCELED: closed while in flight, outcome unknown. Exactly once, from the
 * loop. */
typedef void (*http_done_fn)(void *owner, const struct err *error,
                             const struct http_answer *answer);

/* max_connections bounds connections, further requests wait (within their timeout); user_agent is
 * copied. */
struct http_client *http_client_open(uv_loop_t *loop, const char *user_agent, int max_connections,
                                     size_t max_body_bytes);
struct http_request *http_send(struct http_client *c, const struct http_call *call,
                               http_done_fn done, void *owner);
/* Goes on with one that on_data paused; on_data may run inside this call. */
void http_resume(struct http_request *r);
/* Gives up: done is not called. Not from inside on_data. */
void http_cancel(struct http_request *r);
/* Requests in flight get ERR_CANCELED; closed runs from the loop when c is freed. */
void http_client_close(struct http_client *c, void (*closed)(void *owner), void *owner);

/* What a failed transfer means for the caller: may the peer have read the request? Pure, for tests.
 * curl_code: a CURLcode other than CURLE_OK. sent: at least one byte of the request was written to
 * the connection (TLS handshakes do not count). ERR_CONNECT and ERR_TLS promise that the peer has
 * read nothing, so they are only given while sent is false. ERR_INPUT: the URL cannot be used. */
enum err_kind http_failure_of(int curl_code, bool sent);

#endif
