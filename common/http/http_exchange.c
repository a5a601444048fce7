/* One request and its answer.
 *
 *      READING -> HANDED -> ANSWERED -> QUEUED
 *         |          |          |          |
 *         +----------+----------+----------+--> GONE (answered, or the client left)
 *
 * The happy path: the body is read whole, the handler gets the exchange, the connection is
 * suspended unless the answer is there already, http_reply resumes it, and the next MHD_run queues
 * the answer.
 *
 * Failure modes: the client leaves before the body is whole: the handler never hears of it. The
 * client leaves before the answer: http_reply is then a no-op that frees the exchange. The body is
 * too large: it is read and dropped up to a bound, so that the client reads our 413 rather than a
 * reset. */
#include "common/http/http_server_internal.h"

#include "common/machine.h"
#include "common/metric_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Of a body that is too large, before the connection is cut. */
enum { DISCARD_MAX_BYTES = 8 << 20 };

static const struct machine EXCHANGE = {"http_exchange",
                                        {[READING] = {"reading", TO(HANDED) | TO(GONE)},
                                         [HANDED] = {"handed", TO(ANSWERED) | TO(GONE)},
                                         [ANSWERED] = {"answered", TO(QUEUED) | TO(GONE)},
                                         [QUEUED] = {"queued", TO(GONE)},
                                         [GONE] = {"gone", 0}}};

/* server outlives every body that is counted: exchanges that outlive it have left, and given theirs
 * back. */
void http_exchange_drop_body(struct exchange *x)
{
    if (x->body.length > 0 && x->state != GONE)
        x->server->held_bytes -= x->body.length;
    buf_done(&x->body);
}

void http_exchange_free(struct exchange *x)
{
    for (int i = 0; i < x->headers; i++) {
        free(x->header_names[i]);
        free(x->header_values[i]);
    }
    if (x->response)
        MHD_destroy_response(x->response);
    http_response_free(x->shared);
    http_exchange_drop_body(x);
    buf_done(&x->pieces.waiting);
    if (x->path != x->text) {
        free(x->path);
        free(x->method);
    }
    free(x->target);
    free(x);
}

static void list_add(struct http_server *s, struct exchange *x)
{
    x->previous = NULL;
    x->next = s->handed;
    if (s->handed)
        s->handed->previous = x;
    s->handed = x;
    s->in_flight++;
}

static void list_remove(struct http_server *s, struct exchange *x)
{
    if (x->previous)
        x->previous->next = x->next;
    else
        s->handed = x->next;
    if (x->next)
        x->next->previous = x->previous;
    s->in_flight--;
}

static struct exchange *exchange_new(struct http_server *s, struct MHD_Connection *connection,
                                     const char *method, const char *path)
{
    struct exchange *x = xcalloc(1, sizeof *x);
    x->server = s;
    x->connection = connection;
    size_t path_size = strlen(path) + 1;
    size_t method_size = strlen(method) + 1;
    if (path_size + method_size <= sizeof x->text) {
        x->path = memcpy(x->text, path, path_size);
        x->method = memcpy(x->text + path_size, method, method_size);
    } else {
        x->path = xstrdup(path);
        x->method = xstrdup(method);
    }
    struct connection *c = http_connection_of(connection);
    x->target = c->target ? c->target : xstrdup("");
    c->target = NULL;
    x->public.method = x->method;
    x->public.path = x->path;
    x->public.target = x->target;
    x->public.internal = x;
    return x;
}

static enum MHD_Result add_body(struct exchange *x, const char *data, size_t length)
{
    struct http_server *s = x->server;
    x->public.too_large =
        x->public.too_large || x->body.length + length > x->server->max_body_bytes;
    if (!x->is_dropped && !x->public.too_large) {
        if (http_connections_hold(s, http_connection_of(x->connection), length)) {
            buf_add(&x->body, data, length);
            s->held_bytes += length;
            return MHD_YES;
        }
        x->is_dropped = true;
        metric_count(METRIC_OF_HTTP_CUT, "memory");
    }
    http_exchange_drop_body(x);
    x->discarded_bytes += length;
    return x->discarded_bytes > DISCARD_MAX_BYTES ? MHD_NO : MHD_YES;
}

static struct MHD_Response *make_response(const char *content_type, const char *body, size_t length)
{
    /* libmicrohttpd only reads a buffer that it copies, yet asks for a pointer to non-const. */
    union {
        const char *text;
        void *any;
    } bytes = {.text = length > 0 ? body : ""};
    struct MHD_Response *r =
        MHD_create_response_from_buffer(length, bytes.any, MHD_RESPMEM_MUST_COPY);
    assert(r);
    if (content_type)
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    return r;
}

void http_exchange_resume(struct exchange *x)
{
    if (!x->suspended)
        return;
    x->suspended = false;
    x->server->resumed = true;
    MHD_resume_connection(x->connection);
    http_server_run_soon(x->server);
}

static struct MHD_Response *make_stopping(void)
{
    static const char BODY[] = "stopping\n";
    return make_response("text/plain", BODY, sizeof BODY - 1);
}

void http_exchange_answer(struct exchange *x, int status, struct MHD_Response *response)
{
    x->status = status;
    x->response = response;
    machine_go(&EXCHANGE, x->state, ANSWERED);
    list_remove(x->server, x);
    http_exchange_resume(x);
}

static void add_header(struct exchange *x, const char *name, const char *value)
{
    assert(x->headers < REPLY_HEADERS_MAX);
    x->header_names[x->headers] = xstrdup(name);
    x->header_values[x->headers++] = xstrdup(value);
}

/* It is not changed for one connection alone: from now on all of them are told. */
static enum MHD_Result queue_shared(struct exchange *x)
{
    struct http_response *r = x->shared;
    bool is_last = x->server->quiesced || closing_has_begun(&x->server->closing);
    if (is_last && !r->is_last)
        MHD_add_response_header(r->response, MHD_HTTP_HEADER_CONNECTION, "close");
    r->is_last = r->is_last || is_last;
    machine_go(&EXCHANGE, x->state, QUEUED);
    return MHD_queue_response(x->connection, (unsigned)r->status, r->response);
}

static enum MHD_Result queue_answer(struct exchange *x)
{
    if (x->shared)
        return queue_shared(x);
    for (int i = 0; i < x->headers; i++)
        MHD_add_response_header(x->response, x->header_names[i], x->header_values[i]);
    if (x->server->quiesced || closing_has_begun(&x->server->closing))
        MHD_add_response_header(x->response, MHD_HTTP_HEADER_CONNECTION, "close");
    machine_go(&EXCHANGE, x->state, QUEUED);
    return MHD_queue_response(x->connection, (unsigned)x->status, x->response);
}

/* The body is whole: hand the exchange over. If the answer is not there when the handler returns,
 * the connection sleeps until http_reply. */
static enum MHD_Result hand_over(struct exchange *x)
{
    machine_go(&EXCHANGE, x->state, HANDED);
    list_add(x->server, x);
    if (closing_has_begun(&x->server->closing)) {
        http_exchange_answer(x, 503, make_stopping());
        return queue_answer(x);
    }
    if (x->is_dropped) {
        static const char WHY[] = "too many requests are being answered: send it again later\n";
        add_header(x, MHD_HTTP_HEADER_CONNECTION, "close");
        http_exchange_answer(x, MHD_HTTP_SERVICE_UNAVAILABLE,
                             make_response("text/plain", WHY, sizeof WHY - 1));
        return queue_answer(x);
    }
    x->public.body = x->body.data ? x->body.data : "";
    x->public.body_length = x->body.length;
    x->owed = true;
    x->server->handler(x->server->owner, &x->public);
    if (x->state == ANSWERED)
        return queue_answer(x);
    x->suspended = true;
    MHD_suspend_connection(x->connection);
    return MHD_YES;
}

/* A proxy in front may have taken the other one, and what it took for the body we would take for
 * the next request (RFC 9112, 6.3). */
struct lengths {
    const char *length; /* the first one said */
    bool is_chunked;
    bool differ;
};

static enum MHD_Result add_length(void *owner, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct lengths *l = owner;
    (void)kind;
    l->is_chunked = l->is_chunked || !strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    if (!strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH)) {
        l->differ = l->differ || !value || (l->length && strcmp(l->length, value) != 0);
        l->length = value;
    }
    return MHD_YES;
}

static bool says_one_length(struct MHD_Connection *connection)
{
    struct lengths l = {.differ = false};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, add_length, &l);
    return !l.differ && !(l.is_chunked && l.length);
}

/* Before there is an exchange; libmicrohttpd then closes the connection, since the body is not
 * read. */
static enum MHD_Result refuse_lengths(struct MHD_Connection *connection)
{
    static const char BODY[] = "the request says in two ways where its body ends\n";
    struct MHD_Response *r = make_response("text/plain", BODY, sizeof BODY - 1);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_BAD_REQUEST, r);
    MHD_destroy_response(r);
    metric_count(METRIC_OF_HTTP_CUT, "two_lengths");
    return result;
}

/* libmicrohttpd calls this first with the headers alone, then for each piece of the body, then with
 * an empty piece, and once more after a suspended connection was resumed. */
enum MHD_Result http_exchange_on_access(void *owner, struct MHD_Connection *connection,
                                        const char *url, const char *method, const char *version,
                                        const char *data, size_t *length, void **slot)
{
    (void)version;
    struct exchange *x = *slot;
    if (!x && !says_one_length(connection))
        return refuse_lengths(connection);
    if (!x) {
        *slot = x = exchange_new(owner, connection, method, url);
        http_connection_of(connection)->exchange = x;
        return MHD_YES;
    }
    if (*length > 0) {
        enum MHD_Result result = add_body(x, data, *length);
        *length = 0;
        return result;
    }
    if (x->state == READING)
        return hand_over(x);
    return x->state == ANSWERED ? queue_answer(x) : MHD_YES;
}

static void exchange_leave(struct exchange *x)
{
    if (x->state == HANDED)
        list_remove(x->server, x);
    x->server->held_bytes -= x->body.length; /* the handler may hold it for longer */
    machine_go(&EXCHANGE, x->state, GONE);
    x->connection = NULL;
    http_pieces_leave(x);
    if (!x->owed)
        http_exchange_free(x);
}

void http_exchange_on_completed(void *owner, struct MHD_Connection *connection, void **slot,
                                enum MHD_RequestTerminationCode why)
{
    (void)why;
    struct exchange *x = *slot;
    *slot = NULL;
    http_connections_on_answered(owner, http_connection_of(connection));
    if (x)
        exchange_leave(x);
}

const char *http_exchange_header(const struct http_exchange *public, const char *name)
{
    const struct exchange *x = public->internal;
    if (!x->connection)
        return NULL;
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

const char *http_exchange_query(const struct http_exchange *public, const char *name)
{
    const struct exchange *x = public->internal;
    if (!x->connection)
        return NULL;
    return MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name);
}

void http_reply_header(struct http_exchange *public, const char *name, const char *value)
{
    struct exchange *x = public->internal;
    assert(x->owed);
    add_header(x, name, value);
}

void http_reply(struct http_exchange *public, int status, const char *content_type,
                const char *body, size_t length)
{
    struct exchange *x = public->internal;
    assert(x->owed);
    x->owed = false;
    if (x->state == GONE)
        http_exchange_free(x);
    else if (x->state == HANDED)
        http_exchange_answer(x, status, make_response(content_type, body, length));
    /* Else closing answered 503 already and the connection is about to end. */
}

struct http_response *http_response_new(int status, const char *content_type, const char *body,
                                        size_t length)
{
    struct http_response *r = xmalloc(sizeof *r);
    *r = (struct http_response){
        .response = make_response(content_type, body, length), .status = status, .references = 1};
    return r;
}

void http_response_header(struct http_response *r, const char *name, const char *value)
{
    MHD_add_response_header(r->response, name, value);
}

void http_response_free(struct http_response *r)
{
    if (!r || --r->references > 0)
        return;
    MHD_destroy_response(r->response);
    free(r);
}

void http_reply_with(struct http_exchange *public, struct http_response *r)
{
    struct exchange *x = public->internal;
    assert(x->owed);
    x->owed = false;
    if (x->state == GONE) {
        http_exchange_free(x);
    } else if (x->state == HANDED) {
        x->shared = r;
        r->references++;
        http_exchange_answer(x, r->status, NULL);
    }
}

void http_exchange_answer_all(struct http_server *s)
{
    while (s->handed)
        http_exchange_answer(s->handed, 503, make_stopping());
}
