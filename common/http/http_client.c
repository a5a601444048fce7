/* HTTP requests under libuv by libcurl's multi interface.
 *
 * libcurl tells which sockets it waits for (on_socket_wanted) and when it wants to be called at the
 * latest (on_timer_wanted); we tell it what happened. Finished transfers are collected after EVERY
 * curl_multi_socket_action, since one that ends by a timeout has no socket event to follow.
 *
 * The happy path: http_send adds an easy handle, libcurl connects or takes a kept connection,
 * writes, reads, and collect() gives the answer to done. Failure modes are told apart by one
 * question, "may the peer have read the request?": see http_failure_of.
 *
 * libcurl by itself repeats a request, once, on a new connection if a kept one turns out to be dead
 * before a single byte of an answer came. The peer may have read the first one nevertheless. That
 * is safe here: what we send is a GET, or carries an Idempotency-Key; and the answer tells it. */
#include "common/http/http_client.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/str.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

struct http_client {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;
    char *user_agent;
    size_t max_body_bytes;
    struct http_request *requests; /* those in flight */
    struct closing closing;
};

struct http_request {
    struct http_client *client;
    CURL *easy;
    struct curl_slist *headers;
    struct http_request *next;
    struct http_request *previous;
    struct buf answer;
    int64_t started_ms;
    int sends; /* how often libcurl wrote it */
    http_done_fn done;
    void *owner;
    char why[CURL_ERROR_SIZE];
};

/* One socket of libcurl's; owned by the loop until its close callback. */
struct watch {
    uv_poll_t poll;
    curl_socket_t socket;
    struct http_client *client;
};

static void collect(struct http_client *c);

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_socket_event(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    /* The watch may be closed inside the action; the client may not, it closes from its timer. */
    struct http_client *c = w->client;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    int running;
    curl_multi_socket_action(c->multi, w->socket, flags, &running);
    collect(c);
}

static struct watch *watch_new(struct http_client *c, curl_socket_t socket)
{
    struct watch *w = xcalloc(1, sizeof *w);
    w->client = c;
    w->socket = socket;
    int failed = uv_poll_init_socket(c->loop, &w->poll, socket);
    assert(!failed);
    w->poll.data = w;
    curl_multi_assign(c->multi, socket, w);
    return w;
}

static int on_socket_wanted(CURL *easy, curl_socket_t socket, int what, void *owner, void *slot)
{
    (void)easy;
    struct http_client *c = owner;
    struct watch *w = slot;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            uv_close((uv_handle_t *)&w->poll, on_watch_closed);
            curl_multi_assign(c->multi, socket, NULL);
        }
        return 0;
    }
    if (!w)
        w = watch_new(c, socket);
    int events = what & CURL_POLL_IN ? UV_READABLE : 0;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    uv_poll_start(&w->poll, events, on_socket_event);
    return 0;
}

static void on_client_timer(uv_timer_t *timer)
{
    struct http_client *c = timer->data;
    int running;
    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(c);
}

static int on_timer_wanted(CURLM *multi, long wait_ms, void *owner)
{
    (void)multi;
    struct http_client *c = owner;
    /* Once closing, the timer has another task. */
    if (closing_has_begun(&c->closing))
        return 0;
    if (wait_ms < 0)
        uv_timer_stop(&c->timer);
    else
        uv_timer_start(&c->timer, on_client_timer, (uint64_t)wait_ms, 0);
    return 0;
}

/* Keep what fits and drop the rest: the status matters even if the body is absurd. */
static size_t on_body(char *data, size_t size, size_t count, void *owner)
{
    struct http_request *r = owner;
    size_t length = size * count;
    size_t room = r->client->max_body_bytes - r->answer.length;
    buf_add(&r->answer, data, length < room ? length : room);
    return length;
}

/* Before each writing of the request. */
static int on_sending(void *owner, char *peer, char *own, int peer_port, int own_port)
{
    struct http_request *r = owner;
    (void)peer, (void)own, (void)peer_port, (void)own_port;
    r->sends++;
    return CURL_PREREQFUNC_OK;
}

/* What a failed transfer means: https://curl.se/libcurl/c/libcurl-errors.html */

static bool is_tls_failure(CURLcode code)
{
    switch (code) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_USE_SSL_FAILED:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
        return true;
    default:
        return false;
    }
}

enum err_kind http_failure_of(int curl_code, bool sent)
{
    CURLcode code = (CURLcode)curl_code;
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return ERR_INPUT;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return sent ? ERR_TIMEOUT : ERR_CONNECT;
    if (sent)
        return ERR_CLOSED;
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
        return ERR_CONNECT;
    return is_tls_failure(code) ? ERR_TLS : ERR_CLOSED;
}

static void fill_error(const struct http_request *r, CURLcode code, struct err *e)
{
    long sent_bytes = 0;
    curl_easy_getinfo(r->easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
    const char *why = r->why[0] ? r->why : curl_easy_strerror(code);
    err_set(e, http_failure_of((int)code, sent_bytes > 0), "%s", why);
}

static void fill_answer(struct http_request *r, struct http_answer *a)
{
    long status = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    a->status = (int)status;
    a->body = r->answer.data ? r->answer.data : "";
    a->body_length = r->answer.length;
    a->elapsed_ms = clock_monotonic_ms() - r->started_ms;
    a->repeated = r->sends > 1;
    a->internal = r->easy;
    const char *date = http_answer_header(a, "Date");
    time_t seconds = date ? curl_getdate(date, NULL) : -1;
    a->server_date_ms = seconds > 0 ? (int64_t)seconds * 1000 : 0;
}

const char *http_answer_header(const struct http_answer *answer, const char *name)
{
    struct curl_header *header = NULL;
    /* -1: of the last answer, not of an interim 100. */
    CURLHcode missing = curl_easy_header(answer->internal, name, 0, CURLH_HEADER, -1, &header);
    return missing ? NULL : header->value;
}

static void request_unlink(struct http_request *r)
{
    if (r->previous)
        r->previous->next = r->next;
    else
        r->client->requests = r->next;
    if (r->next)
        r->next->previous = r->previous;
}

static void request_free(struct http_request *r)
{
    curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->headers);
    buf_done(&r->answer);
    free(r);
}

static void finish(struct http_request *r, CURLcode code)
{
    struct err e = {0};
    struct http_answer answer = {0};
    request_unlink(r);
    curl_multi_remove_handle(r->client->multi, r->easy);
    if (code == CURLE_OK) {
        fill_answer(r, &answer);
        r->done(r->owner, NULL, &answer);
    } else {
        fill_error(r, code, &e);
        r->done(r->owner, &e, NULL);
    }
    request_free(r);
}

static void collect(struct http_client *c)
{
    int left;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(c->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        char *private = NULL;
        /* Copied first: removing the handle frees the message. */
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        finish((struct http_request *)(void *)private, code);
    }
}

/* How a request is set up in libcurl: what is sent, and what is never done. */

static struct curl_slist *make_headers(const struct http_call *call)
{
    struct curl_slist *list = NULL;
    for (const struct http_header *h = call->headers; h && h->name; h++) {
        char *line = xasprintf("%s: %s", h->name, h->value);
        list = curl_slist_append(list, line);
        free(line);
    }
    /* Without a value libcurl leaves the header out: waiting for "100 Continue" costs a second. */
    return curl_slist_append(list, "Expect:");
}

static void set_method(CURL *easy, const struct http_call *call)
{
    if (call->body || !strcmp(call->method, "POST")) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_length);
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, call->body ? call->body : "");
    }
    if (!strcmp(call->method, "HEAD"))
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (strcmp(call->method, "GET") != 0 && strcmp(call->method, "POST") != 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

static void set_safety(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    /* A proxy from the environment would read what we send, keys included. */
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A lookup goes on by itself when its call is given up. Without this, the loop would wait for
     * it, for as long as no name server answers. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    /* One connection, one request at a time: then "was it sent?" has a plain answer. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

/* All options but the callbacks. Returns the list of headers, to be freed after the handle. */
static struct curl_slist *set_up(CURL *easy, const struct http_call *call, const char *user_agent)
{
    struct curl_slist *headers = make_headers(call);
    set_safety(easy);
    set_method(easy, call);
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    return headers;
}

struct http_request *http_send(struct http_client *c, const struct http_call *call,
                               http_done_fn done, void *owner)
{
    assert(!closing_has_begun(&c->closing) && call->timeout_ms > 0);
    struct http_request *r = xcalloc(1, sizeof *r);
    r->client = c;
    r->done = done;
    r->owner = owner;
    r->started_ms = clock_monotonic_ms();
    r->easy = curl_easy_init();
    assert(r->easy);
    r->headers = set_up(r->easy, call, c->user_agent);
    curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(r->easy, CURLOPT_PREREQFUNCTION, on_sending);
    curl_easy_setopt(r->easy, CURLOPT_PREREQDATA, r);
    curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->why);
    curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
    r->next = c->requests;
    if (r->next)
        r->next->previous = r;
    c->requests = r;
    /* Only asks for the timer: nothing is sent, and done does not run, inside this call. */
    CURLMcode failed = curl_multi_add_handle(c->multi, r->easy);
    assert(!failed);
    return r;
}

struct http_client *http_client_open(uv_loop_t *loop, const char *user_agent, int max_connections,
                                     size_t max_body_bytes)
{
    /* Counted inside libcurl; the first call initialises. */
    CURLcode failed = curl_global_init(CURL_GLOBAL_DEFAULT);
    assert(!failed);
    struct http_client *c = xcalloc(1, sizeof *c);
    c->loop = loop;
    c->user_agent = xstrdup(user_agent);
    c->max_body_bytes = max_body_bytes;
    c->multi = curl_multi_init();
    assert(c->multi);
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)max_connections);
    return c;
}

static void cancel(struct http_request *r)
{
    struct err e;
    err_set(&e, ERR_CANCELED, "the client was closed");
    request_unlink(r);
    curl_multi_remove_handle(r->client->multi, r->easy);
    r->done(r->owner, &e, NULL);
    request_free(r);
}

static void on_client_closing(uv_timer_t *timer)
{
    struct http_client *c = timer->data;
    while (c->requests)
        cancel(c->requests); /* NOLINT(clang-analyzer-unix.Malloc): it leaves the list */
    /* Closes kept connections, whose watches are told to go. */
    curl_multi_cleanup(c->multi);
    curl_global_cleanup();
    free(c->user_agent);
    closing_handle(&c->closing, &c->timer);
    closing_end(&c->closing);
}

void http_client_close(struct http_client *c, void (*closed)(void *owner), void *owner)
{
    closing_begin(&c->closing, c, free, closed, owner);
    uv_timer_start(&c->timer, on_client_closing, 0, 0);
}
