/* Transfers of libcurl under libuv, by its multi interface. What is transferred, and how, is in the
 * easy handles of http_client and smtp_client.
 *
 * libcurl tells which sockets it waits for (on_socket_wanted) and when it wants to be called at the
 * latest (on_timer_wanted); we tell it what happened. Finished transfers are collected after EVERY
 * curl_multi_socket_action, since one that ends by a timeout has no socket event to follow. */
#ifndef METERLINE_CURL_LOOP_H
#define METERLINE_CURL_LOOP_H

#include <curl/curl.h>
#include <uv.h>

struct curl_loop;

/* A member of what is transferred. The easy handle is the caller's, and is set up before; its
 * CURLOPT_PRIVATE is used here. */
struct curl_transfer {
    CURL *easy;
    /* code: a CURLcode, or CURL_LOOP_CLOSED. Exactly once, from the loop; the transfer is the
     * caller's again. */
    void (*done)(void *owner, int code);
    void *owner;

    struct curl_loop *loop; /* from here on: curl_loop's own */
    struct curl_transfer *next;
    struct curl_transfer *previous;
};

enum { CURL_LOOP_CLOSED = -1 };

/* max_connections: further transfers wait, within their timeout. */
struct curl_loop *curl_loop_open(uv_loop_t *loop, int max_connections);
void curl_loop_start(struct curl_loop *c, struct curl_transfer *t);
/* Ends one that is under way: done is not called, and the transfer is the caller's again. Not from
 * inside a callback of libcurl's. */
void curl_loop_forget(struct curl_transfer *t);
/* Transfers in flight end with CURL_LOOP_CLOSED; closed runs from the loop when c is freed. */
void curl_loop_close(struct curl_loop *c, void (*closed)(void *owner), void *owner);

/* What goes for every transfer: TLS 1.2 or later, peer and name verified, no proxy. */
void curl_set_safety(CURL *easy);

#endif
