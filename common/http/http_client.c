/* HTTP requests under libuv.
 *
 * The happy path: http_send adds an easy handle, libcurl connects or takes a kept connection,
 * writes, reads, and finish() gives the answer to done. Failure modes are told apart by one
 * question, "may the peer have read the request?": see http_failure_of.
 *
 * libcurl by itself repeats a request, once, on a new connection if a kept one turns out to be dead
 * before a single byte of an answer came. The peer may have read the first one nevertheless. That
 * is safe here: what we send is a GET, or carries an Idempotency-Key; and the answer tells it. */
#include "common/http/http_client.h"

#include "common/clock.h"
#include "common/http/curl_loop.h"
#include "common/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct http_client {
    struct curl_loop *curl;
    char *user_agent;
    size_t max_body_bytes;
    void (*closed)(void *owner);
    void *closed_owner;
};

struct http_request {
    struct http_client *client;
    struct curl_transfer transfer;
    struct curl_slist *headers;
    struct buf answer;
    int64_t started_ms;
    int sends; /* how often libcurl wrote it */
    bool (*allows)(const struct sockaddr *address);
    enum http_taken (*on_data)(void *owner, const struct http_answer *head, const char *data,
                               size_t length);
    bool was_forbidden; /* an address that the name has … */
    bool was_allowed;   /* … and another one */
    http_done_fn done;
    void *owner;
    char why[CURL_ERROR_SIZE];
};

static void fill_answer(struct http_request *r, struct http_answer *a);

static size_t give_data(struct http_request *r, const struct http_answer *head, const char *data,
                        size_t length)
{
    switch (r->on_data(r->owner, head, data, length)) {
    case HTTP_TAKEN:
        return length;
    case HTTP_PAUSED:
        return CURL_WRITEFUNC_PAUSE;
    case HTTP_STOPPED:
        break;
    }
    return CURL_WRITEFUNC_ERROR;
}

/* Keep what fits and drop the rest: the status matters even if the body is absurd. */
static size_t on_body(char *data, size_t size, size_t count, void *owner)
{
    struct http_request *r = owner;
    struct http_answer head = {0};
    size_t length = size * count;
    if (r->on_data) {
        fill_answer(r, &head);
        if (head.status == 200)
            return give_data(r, &head, data, length);
    }
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

/* Before each connection, of each address that a name has: so a name that changes meanwhile does
 * not help. */
static curl_socket_t on_connecting(void *owner, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http_request *r = owner;
    (void)purpose;
    if (!r->allows(&a->addr)) {
        r->was_forbidden = true;
        return CURL_SOCKET_BAD;
    }
    r->was_allowed = true;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
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

static void fill_error(const struct http_request *r, int code, struct err *e)
{
    long sent_bytes = 0;
    if (code == CURL_LOOP_CLOSED) {
        err_set(e, ERR_CANCELED, "the client was closed");
        return;
    }
    if (r->was_forbidden && !r->was_allowed) {
        err_set(e, ERR_INPUT, "the address is private or local");
        return;
    }
    curl_easy_getinfo(r->transfer.easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
    const char *why = r->why[0] ? r->why : curl_easy_strerror((CURLcode)code);
    err_set(e, http_failure_of(code, sent_bytes > 0), "%s", why);
}

static void fill_answer(struct http_request *r, struct http_answer *a)
{
    long status = 0;
    curl_easy_getinfo(r->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    a->status = (int)status;
    a->body = r->answer.data ? r->answer.data : "";
    a->body_length = r->answer.length;
    a->elapsed_ms = clock_monotonic_ms() - r->started_ms;
    a->repeated = r->sends > 1;
    a->internal = r->transfer.easy;
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

const char *http_answer_redirect(const struct http_answer *answer)
{
    char *url = NULL;
    curl_easy_getinfo(answer->internal, CURLINFO_REDIRECT_URL, &url);
    return url;
}

static void request_free(struct http_request *r)
{
    curl_easy_cleanup(r->transfer.easy);
    curl_slist_free_all(r->headers);
    buf_done(&r->answer);
    free(r);
}

static void finish(void *owner, int code)
{
    struct http_request *r = owner;
    struct err e = {0};
    struct http_answer answer = {0};
    if (code == CURLE_OK) {
        fill_answer(r, &answer);
        r->done(r->owner, NULL, &answer);
    } else {
        fill_error(r, code, &e);
        r->done(r->owner, &e, NULL);
    }
    request_free(r);
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
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_set_safety(easy);
    /* One connection, one request at a time: then "was it sent?" has a plain answer. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

/* All options but the callbacks. Returns the list of headers, to be freed after the handle. */
static struct curl_slist *set_up(CURL *easy, const struct http_call *call, const char *user_agent)
{
    struct curl_slist *headers = make_headers(call);
    set_safety(easy);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, call->only_https ? "https" : "http,https");
    set_method(easy, call);
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    return headers;
}

struct http_request *http_send(struct http_client *c, const struct http_call *call,
                               http_done_fn done, void *owner)
{
    assert(call->timeout_ms > 0);
    struct http_request *r = xcalloc(1, sizeof *r);
    CURL *easy = curl_easy_init();
    assert(easy);
    r->client = c;
    r->transfer = (struct curl_transfer){.easy = easy, .done = finish, .owner = r};
    r->done = done;
    r->owner = owner;
    r->started_ms = clock_monotonic_ms();
    r->allows = call->allows;
    r->on_data = call->on_data;
    r->headers = set_up(easy, call, c->user_agent);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_sending);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, r);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->why);
    if (call->allows) {
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_connecting);
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, r);
    }
    curl_loop_start(c->curl, &r->transfer);
    return r;
}

void http_resume(struct http_request *r)
{
    curl_easy_pause(r->transfer.easy, CURLPAUSE_CONT);
}

void http_cancel(struct http_request *r)
{
    curl_loop_forget(&r->transfer);
    request_free(r);
}

struct http_client *http_client_open(uv_loop_t *loop, const char *user_agent, int max_connections,
                                     size_t max_body_bytes)
{
    struct http_client *c = xcalloc(1, sizeof *c);
    c->curl = curl_loop_open(loop, max_connections);
    c->user_agent = xstrdup(user_agent);
    c->max_body_bytes = max_body_bytes;
    return c;
}

static void on_curl_closed(void *owner)
{
    struct http_client c = *(struct http_client *)owner;
    free(c.user_agent);
    free(owner);
    if (c.closed)
        c.closed(c.closed_owner);
}

void http_client_close(struct http_client *c, void (*closed)(void *owner), void *owner)
{
    c->closed = closed;
    c->closed_owner = owner;
    curl_loop_close(c->curl, on_curl_closed, c);
}
